/** `runnel run`: the real program, asked by curl, WebSockets and openssl. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hashSync } from 'bcryptjs';
import { ask, refused, TestSocket } from '../../support/client.ts';
import { EventClient } from '../../support/event-stream.ts';
import { folderWith, type Running, runnel, startRunnel } from '../../support/gateway.ts';
import { freePort } from '../../support/peer.ts';
import { processes, programsOf } from '../../support/processes.ts';
import { HAS_ZBAR, modulesOf, readQrCode } from '../../support/qr.ts';
import { until } from '../../support/until.ts';

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url));
const PASSWORDS = `ann:${hashSync('secret', 4)}\n`;

async function start(t: TestContext, ...args: readonly string[]): Promise<Running> {
  return await startRunnel(t, ['run', '-l', '127.0.0.1:0', ...args], { folder: folderWith(t, {}) });
}

function ws({ port }: Running, path = '/'): string {
  return `ws://127.0.0.1:${port}${path}`;
}

/** Also where it has ended already. */
async function exitOf({ process }: Running): Promise<number | null> {
  if (process.exitCode === null && process.signalCode === null) await once(process, 'exit');
  return process.exitCode;
}

// ---- who shares what ----

test('each viewer has a process of its own, unless --share all', async (t) => {
  const own = await start(t, '--', 'sh', '-c', 'echo $$; cat');
  const [one, two] = await Promise.all([TestSocket.open(ws(own)), TestSocket.open(ws(own))]);
  assert.notDeepEqual(await one.first(1), await two.first(1));

  const shared = await start(t, '--share', 'all', '--history', '5', '--', 'sh', '-c', 'echo $$; cat');
  const first = await TestSocket.open(ws(shared));
  const [pid] = await first.first(1);
  const second = await TestSocket.open(ws(shared));
  assert.deepEqual(await second.first(1), [pid], 'who comes later gets the history');
  second.ws.send('from the second');
  assert.deepEqual(await first.first(2), [pid, 'from the second']);
});

const REPLAYS: readonly [args: readonly string[], lines: readonly string[]][] = [
  [
    ['--history', '2'],
    ['2', '3', 'new'],
  ],
  [
    ['--history', '2', '--replay', 'all'],
    ['2', '3', 'new'],
  ],
  [
    ['--history', '2', '--replay', 'last'],
    ['3', 'new'],
  ],
  [['--history', '2', '--replay', 'none'], ['new']],
  [
    ['--replay', 'all'],
    ['1', '2', '3', 'new'],
  ],
  [[], ['new']],
];

for (const [args, lines] of REPLAYS)
  test(`what a later viewer gets with ${args.join(' ') || 'no history'}`, async (t) => {
    const running = await start(t, '--share', 'all', ...args, '--', 'sh', '-c', 'echo 1; echo 2; echo 3; cat');
    const early = await TestSocket.open(ws(running));
    await early.first(3);
    const late = await TestSocket.open(ws(running));
    early.ws.send('new');
    assert.deepEqual(await late.first(lines.length), lines);
  });

test('--share query: one process for each query', async (t) => {
  const running = await start(t, '--share', 'query', '--', 'sh', '-c', 'echo "$QUERY_STRING $$"; cat');
  const [a, b, again] = await Promise.all(['/?a', '/?b', '/?a'].map((path) => TestSocket.open(ws(running, path))));
  assert.match((await a?.first(1))?.[0] ?? '', /^a \d+$/);
  assert.match((await b?.first(1))?.[0] ?? '', /^b \d+$/);
  assert.equal(again?.ws.readyState, 1);
  assert.equal(programsOf(running.pid).filter(({ command }) => command.includes('QUERY_STRING')).length, 2);
});

// ---- who may what ----

test('--read-only: a message closes with 1008, a POST gets 405, the program goes on', async (t) => {
  const running = await start(t, '--read-only', '--share', 'all', '--history', '9', '--', 'sh', '-c', 'echo up; cat');
  const typing = await TestSocket.open(ws(running));
  const watching = await TestSocket.open(ws(running));
  await Promise.all([typing.first(1), watching.first(1)]);
  typing.ws.send('rm -rf /');
  assert.deepEqual(await typing.closed, { code: 1008, reason: 'this stream is read-only' });
  const posted = await ask(running.port, '/', { method: 'POST' });
  assert.deepEqual([posted.status, posted.headers['allow']], [405, 'GET, HEAD, OPTIONS']);
  assert.deepEqual([watching.ws.readyState, watching.messages], [1, ['up']], 'the others see nothing of it');
});

test('--max-clients: the next one gets 503, and the place of one that left', async (t) => {
  const running = await start(t, '--max-clients', '2', '--share', 'all', '--', 'sh', '-c', 'echo up; cat');
  const one = await TestSocket.open(ws(running));
  const events = await EventClient.open(running.port, '/');
  assert.equal((await refused(ws(running))).status, 503);
  await running.logged((line) => JSON.stringify(line).includes('has 2 clients already (max_clients)'));
  assert.equal((await ask(running.port, '/')).status, 200, 'the page itself is no viewer');
  one.ws.close();
  await one.closed;
  let next: TestSocket | undefined;
  while (next === undefined) next = await TestSocket.open(ws(running)).catch(() => undefined);
  assert.equal((await refused(ws(running))).status, 503);
  events.close();
});

test('--password-file: nobody without, one with; a file that others can read is warned of', async (t) => {
  const folder = folderWith(t, { users: PASSWORDS });
  chmodSync(join(folder, 'users'), 0o644);
  const args = ['run', '-l', '0', '--password-file', 'users', '--', 'echo', 'hello'];
  const running = await startRunnel(t, args, { folder });
  assert.equal((await ask(running.port, '/')).status, 401);
  assert.equal((await refused(ws(running))).status, 401);
  const socket = await TestSocket.open(ws(running), {
    headers: { authorization: `Basic ${btoa('ann:secret')}` },
  });
  assert.deepEqual(await socket.first(1), ['hello']);
  await running.logged(
    ({ level, message }) => level === 'warn' && /every user of this machine can read users/.test(message),
  );

  chmodSync(join(folder, 'users'), 0o600);
  const quiet = await startRunnel(t, args, { folder });
  await quiet.stop();
  assert.deepEqual(
    quiet.log.filter(({ level }) => level === 'warn'),
    [],
  );
});

test('--token-file: in the field, and in the address for the page and its WebSocket', async (t) => {
  const folder = folderWith(t, {});
  const made = await runnel(['token', 'ann'], folder);
  const line = /^ann:[0-9a-f]{64}$/m.exec(made.stdout)?.[0] ?? '';
  const token = /: (\S+)$/m.exec(made.stderr)?.[1] ?? '';
  const files = folderWith(t, { tokens: `${line}\n` });
  const running = await startRunnel(t, ['run', '-l', '0', '--token-file', 'tokens', '--', 'echo', 'hello'], {
    folder: files,
  });
  assert.equal((await refused(ws(running))).status, 401);
  const socket = await TestSocket.open(ws(running), { headers: { authorization: `Bearer ${token}` } });
  assert.deepEqual(await socket.first(1), ['hello']);
  assert.equal((await ask(running.port, `/?access_token=${token}`)).status, 200);
  const paged = await TestSocket.open(ws(running, `/?access_token=${token}`));
  assert.deepEqual(await paged.first(1), ['hello']);
});

// ---- once ----

const ENDS: readonly [script: string, code: number, closed: { code: number; reason: string }][] = [
  ['seq 1 20000', 0, { code: 1000, reason: 'exit 0' }],
  ['seq 1 20000; exit 7', 7, { code: 1011, reason: 'exit 7' }],
  ['seq 1 20000; kill -TERM $$', 143, { code: 1011, reason: 'signal SIGTERM' }],
];

for (const share of ['client', 'all'])
  for (const [script, code, closed] of ENDS)
    test(`--once --share ${share}: ${script}: viewers get everything, and the status is ${code}`, async (t) => {
      const running = await start(t, '--once', '--share', share, '--', 'sh', '-c', script);
      const socket = await TestSocket.open(ws(running));
      assert.deepEqual(await socket.closed, closed);
      assert.equal(socket.messages.length, 20_000);
      assert.equal(socket.messages.at(-1), '20000');
      assert.equal(await exitOf(running), code);
    });

test('--once: a second viewer is refused while the first has its process, and the end of the viewer is the end', async (t) => {
  const running = await start(t, '--once', '--', 'cat');
  const socket = await TestSocket.open(ws(running));
  assert.equal((await refused(ws(running))).status, 503);
  socket.ws.close();
  assert.equal(await exitOf(running), 0, 'cat ends with its input');
});

test('--once: curl gets everything', {
  skip: existsSync('/usr/bin/curl') ? false : 'curl is not installed',
}, async (t) => {
  const running = await start(t, '--once', '--', 'sh', '-c', 'seq 1 50000; exit 3');
  const got = spawnSync('curl', ['-sS', '-H', 'Accept: text/plain', running.url('/')], { maxBuffer: 1 << 24 });
  assert.equal(got.stdout.toString().trimEnd().split('\n').length, 50_000, got.stderr.toString());
  assert.equal(await exitOf(running), 3);
});

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
  [['--', 'bash'], /whoever reaches this address can run any command .* as the user/],
  [['--tls', '--', 'bash'], /can run any command/],
  [['--read-only', '--', 'bash'], undefined],
  [['--', 'vmstat', '1'], /can type into "vmstat 1"; --read-only/],
  [['--read-only', '--', 'vmstat', '1'], undefined],
  [['--password-file', 'users', '--tls', '--', 'python3'], /whoever is let in can run any command/],
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

// ---- the line ----

const WRONG: readonly [args: readonly string[], says: RegExp][] = [
  [[], /runnel run -- vmstat -n 1\n[\s\S]*runnel run needs a command/],
  [['--'], /runnel run needs a command/],
  [['-p', '9000', '--', 'ls'], /no flag -p; did you mean -l PORT\?/],
  [['--port', '9000', '--', 'ls'], /no flag --port; did you mean -l PORT\?/],
  [['--password', 'x', '--', 'ls'], /did you mean --password-file FILE/],
  [['--readonly', '--', 'ls'], /did you mean --read-only\?/],
  [
    ['--share', 'everybody', '--', 'ls'],
    /^--share: must be "client", "all", "query" or "credentials" \(got "everybody"\)/,
  ],
  [['--share', 'credentials', '--', 'ls'], /^--share: can be "credentials" only with "poll"/],
  [['--history', '5', '--', 'ls'], /^--history needs --share all/],
  [['--replay', 'all', '--share', 'client', '--', 'ls'], /^--replay needs --share all/],
  [['--share', 'all', '--history', 'much', '--', 'ls'], /^--history: must be a whole number .*got "much"/],
  [['--share', 'all', '--history', '-5', '--', 'ls'], /--history needs a value/],
  [['--share', 'all', '--replay', 'some', '--', 'ls'], /^--replay: must be "none", "last" or "all"/],
  [['--max-clients', '0', '--', 'ls'], /^--max-clients: must be a whole number from 1/],
  [['--password-file', 'nowhere', '--', 'ls'], /^--password-file: the file "nowhere" .*does not exist/],
  [['--password-file', 'empty', '--', 'ls'], /^--password-file: the file "empty" .*contains no passwords/],
  [['--password-file', 'plain', '--', 'ls'], /^--password-file: line 1 of "plain": .*runnel hash-password/],
  [['--token-file', 'plain', '--', 'ls'], /^--token-file: line 1 of "plain": .*runnel token NAME/],
  [['--password-file', '.', '--', 'ls'], /^--password-file: .*is (a folder|not a (regular )?file)/],
  [['--open-to', 'world', '--', 'ls'], /^--open-to takes LAN, not "world"; -l :8080/],
  [['--open-to', 'LAN', '-l', '192.168.1.7:80', '--', 'ls'], /-l is to name only the port: -l 80 /],
  [['--open-to', 'LAN', '-l', '0', '--', 'ls'], /has to name a port/],
  [['-l', '99999', '--', 'ls'], /^-l: a port is from 1 to 65535, not 99999/],
  [['-l', 'localhost:80', '--', 'ls'], /^-l: must be an IP address and a port: names are not looked up/],
  [['-d', 'nowhere', '--', 'ls'], /^--directory: the folder "nowhere"/],
  [['--unbuffer', '--buffered', '--', 'ls'], /cannot be set together/],
  [['--once=yes', '--', 'ls'], /--once takes no value/],
  [['--tls', 'self-signed'], /^the command: the program "self-signed"/],
  [['--', 'no-such-program-here'], /^the command: the program "no-such-program-here"/],
  [['--share', 'x', '--replay', 'y', '--engine', 'z', '--', 'ls'], /--engine: [\s\S]*--replay: [\s\S]*--share: /],
];

for (const [args, says] of WRONG)
  test(`the line is wrong: run ${args.join(' ')}`, async (t) => {
    const { code, stdout, stderr } = await runnel(
      ['run', ...args],
      folderWith(t, { empty: '# nobody yet\n', plain: 'secret\n' }),
    );
    assert.match(stderr, says);
    assert.deepEqual([code, stdout], [2, '']);
  });

test('help: three examples, and where it listens', async (t) => {
  const { stdout } = await runnel(['help', 'run'], folderWith(t, {}));
  assert.equal(stdout.match(/^ {2}runnel run .*-- /gm)?.length, 3, stdout);
  assert.match(stdout, /default 127\.0\.0\.1:8080, for this machine alone/);
});

// ---- the end ----

test('Ctrl-C ends the program too, also one that ignores every signal that can be ignored', async (t) => {
  const running = await start(t, '--', 'bash', '-c', 'trap "" INT TERM HUP; echo up; while :; do sleep 1; done');
  const socket = await TestSocket.open(ws(running));
  await socket.first(1);
  const [program] = programsOf(running.pid).filter(({ command }) => command.includes('trap'));
  assert.ok(program !== undefined);
  assert.equal(await running.stop('SIGINT'), 0);
  assert.equal((await socket.closed).code, 1001);
  assert.equal(
    processes().some(({ session, state }) => session === program.session && state !== 'Z'),
    false,
  );
});

test('TERM by a terminal that nobody reads: the QR code and the log hold nothing up', async (t) => {
  const running = await start(t, '--qr', '--', 'cat');
  running.process.stdout?.pause();
  running.process.stderr?.pause();
  assert.equal(await running.stop('SIGTERM'), 0);
});
