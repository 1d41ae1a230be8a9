/** Where `runnel run` listens and what it says about it: ports, the LAN, certificates, QR codes, warnings. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hashSync } from 'bcryptjs';
import { folderWith, type Running, runnel, startRunnel } from '../../support/gateway.ts';
import { freePort } from '../../support/ports.ts';
import { HAS_ZBAR, modulesOf, readQrCode } from '../../support/qr.ts';
import { until } from '../../support/until.ts';

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url));
const PASSWORDS = `ann:${hashSync('secret', 4)}\n`;

async function start(t: TestContext, ...args: readonly string[]): Promise<Running> {
  return await startRunnel(t, ['run', '-l', '127.0.0.1:0', ...args], { folder: folderWith(t, {}) });
}

// ---- where ----

test('--tls: the fingerprint and the pin that are printed are those that openssl and runnel connect see', {
  skip: existsSync('/usr/bin/openssl') ? false : 'openssl is not installed',
}, async (t) => {
  const running = await start(t, '--tls', '--', 'echo', 'hello');
  const { message, pin } = await running.logged((line) => line.message.includes('SHA-256 fingerprint'));
  const printed = /([0-9A-F]{2}:){31}[0-9A-F]{2}$/.exec(message)?.[0];
  const seen = spawnSync(
    'sh',
    [
      '-c',
      `openssl s_client -connect 127.0.0.1:${running.port} -servername localhost </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256 -ext subjectAltName`,
    ],
    { encoding: 'utf8' },
  ).stdout;
  assert.equal(/Fingerprint=(.*)/.exec(seen)?.[1], printed);
  assert.match(seen, /DNS:localhost/);
  assert.match(seen, /IP Address:127\.0\.0\.1/);
  const url = `wss://127.0.0.1:${running.port}/`;
  const connected = await runnel(['connect', '--pin', String(pin), url], running.folder);
  assert.deepEqual([connected.code, connected.stdout], [0, 'hello\n'], connected.stderr);
  assert.notEqual((await runnel(['connect', url], running.folder)).code, 0, 'nobody else vouches for it');
});

test('a port in use: it says which is free, takes none, and ends with 71', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => other.close());
  const { port } = other.address() as { port: number };
  const { code, stdout, stderr } = await runnel(['run', '-l', String(port), '--', 'echo'], folderWith(t, {}));
  assert.equal(code, 71);
  const [, free, written] =
    /cannot listen on 127\.0\.0\.1:\d+: .*in use.*; port (\d+) is free: -l (\d+)$/m.exec(stderr) ?? [];
  assert.ok(free !== undefined && Number(free) > port, stderr);
  assert.equal(written, free);
  assert.doesNotMatch(stdout, /listening|ready/);
});

test('a port alone is one of this machine alone', async (t) => {
  const port = await freePort();
  const running = await startRunnel(t, ['run', '-l', String(port), '--', 'bash'], { folder: folderWith(t, {}) });
  await running.logged(({ message }) => message === `listening on http://127.0.0.1:${port}/`);
  await running.stop();
  assert.deepEqual(
    running.log.filter(({ level }) => level === 'warn'),
    [],
    'nobody else can type',
  );
});

const WARNINGS: readonly [args: readonly string[], warns: RegExp | undefined][] = [
  [['--', 'bash'], /everybody who reaches this address can run any command .* as the user/],
  [['--tls', '--', 'bash'], /can run any command/],
  [['--read-only', '--', 'bash'], undefined],
  [['--', 'vmstat', '1'], /can type into "vmstat 1"; --read-only/],
  [['--read-only', '--', 'vmstat', '1'], undefined],
  [['--password-file', 'users', '--tls', '--', 'python3'], /everybody who signs in can run any command/],
  [['--password-file', 'users', '--read-only', '--', 'cat'], /travel in the clear/],
  [['--password-file', 'users', '--tls', '--', 'cat'], undefined],
];

for (const [args, warns] of WARNINGS)
  test(`open to others: ${args.join(' ')}`, async (t) => {
    const folder = folderWith(t, { users: PASSWORDS });
    chmodSync(join(folder, 'users'), 0o600);
    const running = await startRunnel(t, ['run', '-l', ':0', ...args], { folder });
    if (warns !== undefined) await running.logged(({ level, message }) => level === 'warn' && warns.test(message));
    await running.stop();
    if (warns === undefined)
      assert.deepEqual(
        running.log.filter(({ level }) => level === 'warn'),
        [],
      );
  });

// ---- a network of its own: what is open to the LAN, and only that ----

const NETWORK = `set -e
ip link set lo up
ip link add lan0 type veth peer name lan1
ip addr add 192.168.7.5/24 dev lan0; ip addr add 203.0.113.9/24 dev lan0
ip link set lan0 up; ip link set lan1 up
ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up
exec "$@"`;
const inNetwork = ['unshare', '--net', 'sh', '-c', NETWORK, 'sh'];
const noNetwork: string | false =
  spawnSync('unshare', [...inNetwork.slice(1), 'true']).status === 0 ? false : 'no network namespace can be made here';

test('--open-to LAN: every LAN address is printed and serves, others do not; the QR code has it', {
  skip: noNetwork,
}, async (t) => {
  const running = await startRunnel(
    t,
    ['run', '--open-to', 'LAN', '--qr', '-l', '9000', '--read-only', '--', 'echo', 'hello'],
    {
      folder: folderWith(t, {}),
      launcher: inNetwork,
    },
  );
  const urls = running.log.flatMap(({ message }) => /^listening on (\S+)$/.exec(message)?.[1] ?? []);
  assert.deepEqual(urls, ['http://127.0.0.1:9000/', 'http://192.168.7.5:9000/']);
  const curl = (url: string) =>
    spawnSync('nsenter', [
      '--net',
      '-t',
      String(running.pid),
      'curl',
      '-sS',
      '-m',
      '20',
      '-H',
      'Accept: text/plain',
      url,
    ]);
  for (const url of urls) assert.equal(curl(url).stdout.toString(), 'hello\n', url);
  for (const host of ['203.0.113.9', '172.17.0.1'])
    assert.equal(curl(`http://${host}:9000/`).status, 7, `${host} is closed: curl cannot connect`);
  await until(() => running.noise().includes('http://192.168.7.5:9000/\n'), 'the QR code');
  const drawn = running
    .noise()
    .split('\n')
    .filter((line) => /[█▀▄]/.test(line));
  if (HAS_ZBAR) assert.equal(readQrCode(modulesOf(drawn, { colour: false, blocks: true })), 'http://192.168.7.5:9000/');
});

test('on a terminal what is open to the LAN is drawn without being asked', {
  skip: noNetwork || (HAS_ZBAR ? false : 'zbarimg is not installed'),
}, async (t) => {
  const command = `exec '${process.execPath}' '${MAIN}' run --open-to LAN --read-only -- echo`;
  const [program = '', ...args] = [...inNetwork, 'script', '-qec', command, '/dev/null'];
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TERM: 'xterm', NO_COLOR: undefined },
  });
  t.after(() => child.kill('SIGTERM'));
  let shown = '';
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  await until(() => shown.includes('\nhttp://192.168.7.5:8080/\r\n'), 'the QR code');
  const drawn = shown.split('\r\n').filter((line) => line.startsWith('\x1b[38;5;16;48;5;231m'));
  assert.equal(readQrCode(modulesOf(drawn, { colour: true, blocks: true })), 'http://192.168.7.5:8080/');
});

test('-l :PORT: every address is printed', { skip: noNetwork }, async (t) => {
  const running = await startRunnel(t, ['run', '-l', ':9000', '--', 'echo'], {
    folder: folderWith(t, {}),
    launcher: inNetwork,
  });
  await running.logged(({ message }) => message.includes('can type into'));
  const also = running.log.flatMap(({ message }) => /^also on (\S+)$/.exec(message)?.[1] ?? []);
  assert.deepEqual(also, ['http://192.168.7.5:9000/', 'http://203.0.113.9:9000/', 'http://172.17.0.1:9000/']);
  assert.equal(running.noise(), '', 'a QR code is for a terminal');
});

test("a QR code is zbarimg's to read", { skip: HAS_ZBAR ? false : 'zbarimg is not installed' }, async (t) => {
  const running = await start(t, '--qr', '--', 'echo');
  await until(() => running.noise().includes('see --open-to'), 'the QR code');
  const drawn = running
    .noise()
    .split('\n')
    .filter((line) => /[█▀▄]/.test(line));
  assert.equal(readQrCode(modulesOf(drawn, { colour: false, blocks: true })), running.url('/'));
});
