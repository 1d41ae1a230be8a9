/** What the doctor finds behind, before and around the gateway: FastCGI applications, add-ons, folders, the time zone, compression by a public URL. */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Finding } from '../../../src/cli/doctor/finding.ts';
import { probeFastcgi } from '../../../src/cli/doctor/probes/fastcgi.ts';
import { probeHelpers } from '../../../src/cli/doctor/probes/helpers.ts';
import { probeTimeZone } from '../../../src/cli/doctor/probes/machine.ts';
import { probePublicCompression } from '../../../src/cli/doctor/probes/public-compression.ts';
import { probeSecrets } from '../../../src/cli/doctor/probes/secrets.ts';
import { probeWriting } from '../../../src/cli/doctor/probes/storage.ts';
import { parseConfig } from '../../../src/gateway/config.ts';
import { openAssets } from '../../../src/ops/assets.ts';
import { Authority } from '../../support/certificates.ts';
import { folderWith, startGateway } from '../../support/gateway.ts';
import { phpFpm, startPhpFpm } from '../../support/php-fpm.ts';
import { until } from '../../support/processes.ts';

const SIGNAL = new AbortController().signal;

function configOf(t: TestContext, text: string, files: { readonly [path: string]: string } = {}) {
  const read = parseConfig(Buffer.from(text), 'c', { directory: folderWith(t, files) });
  assert.ok(read.ok, read.ok ? '' : JSON.stringify(read.problems));
  return { config: read.config };
}

const seen = (findings: readonly Finding[]): string =>
  findings.map(({ about, seen: what }) => `${about}: ${what}`).join('\n');

/** A server that answers the first bytes with these, or closes. */
async function answering(t: TestContext, answer: Buffer | 'close'): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => (answer === 'close' ? socket.destroy() : socket.write(answer)));
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await until('it listens', () => server.listening);
  return (server.address() as { port: number }).port;
}

for (const [what, answer, expected] of [
  // GET_VALUES_RESULT, without values.
  ['an application', Buffer.from([1, 10, 0, 0, 0, 0, 0, 0]), ''],
  // UNKNOWN_TYPE.
  ['one that knows no such question', Buffer.from([1, 11, 0, 0, 0, 8, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]), ''],
  ['a server of HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'does not speak FastCGI'],
  ['one that closes', 'close', 'does not speak FastCGI: it closes the connection'],
  ['one that says nothing', Buffer.alloc(0), 'has not answered within 4 s'],
] as const)
  test(`FastCGI: ${what}`, async (t) => {
    const port = await answering(t, answer);
    const found = seen(
      await probeFastcgi(configOf(t, `[fastcgi."/f/"]\nconnect = "tcp://127.0.0.1:${port}"\n`), SIGNAL),
    );
    if (expected === '') assert.equal(found, '');
    else assert.ok(found.startsWith('fastcgi."/f/".connect: ') && found.endsWith(expected), found);
  });

test('secrets: keys that everybody may read, and files that everybody may change', (t) => {
  const folder = folderWith(t, { 'runnel.toml': '', tokens: `ann:${'0'.repeat(64)}\n` });
  const made = new Authority().server(['board.test']);
  writeFileSync(join(folder, 'site.pem'), made.certificate);
  writeFileSync(join(folder, 'site.key'), made.pem);
  const text = `[[listen]]
address = "127.0.0.1:0"
tls = { certificate = "${folder}/site.pem", key = "${folder}/site.key" }
[stream."/live"]
command = ["cat"]
auth = { tokens = "${folder}/tokens" }
`;
  const modes: readonly (readonly [key: number, tokens: number, own: number, expected: readonly RegExp[]])[] = [
    [0o600, 0o644, 0o644, []],
    [0o640, 0o640, 0o644, []],
    [0o644, 0o644, 0o644, [/^listen ".*"\.tls: every user of this machine may read \S+site\.key \(mode 0644\)$/]],
    [0o600, 0o666, 0o644, [/^stream\."\/live"\.auth\.tokens: every user of this machine may change \S+tokens/]],
    [0o666, 0o600, 0o646, [/^configuration: .* may change \S+runnel\.toml/, /may change \S+site\.key \(mode 0666\)$/]],
  ];
  for (const [key, tokens, own, expected] of modes) {
    chmodSync(join(folder, 'site.key'), key);
    chmodSync(join(folder, 'tokens'), tokens);
    chmodSync(join(folder, 'runnel.toml'), own);
    const found = probeSecrets({ ...configOf(t, text), file: join(folder, 'runnel.toml') }).map(
      (finding) => `${finding.about}: ${finding.seen}`,
    );
    assert.equal(found.length, expected.length, found.join('\n'));
    for (const [at, pattern] of expected.entries()) assert.match(found[at] ?? '', pattern);
  }
});

test('FastCGI: php-fpm as Debian ships it', { skip: phpFpm() === undefined && 'needs php-fpm' }, async (t) => {
  const { socket } = await startPhpFpm(t, folderWith(t, {}), 1);
  assert.deepEqual(await probeFastcgi(configOf(t, `[fastcgi."/f/"]\nconnect = "unix:${socket}"\n`), SIGNAL), []);
});

test('FastCGI: that nobody listens is told by the look at upstreams', async (t) => {
  assert.deepEqual(await probeFastcgi(configOf(t, '[fastcgi."/f/"]\nconnect = "unix:/no/such.sock"\n'), SIGNAL), []);
});

test('add-ons and the starter: nothing where they load, and why where they do not', async (t) => {
  const one = configOf(t, '[stream."/s"]\ncommand = ["cat"]\n');
  const assets = openAssets();
  const found = await probeHelpers(one, assets);
  assert.ok(
    found.every(({ seen: what }) => /there is no starter/.test(what)),
    seen(found),
  );
  const broken = Object.assign(Object.create(assets) as typeof assets, {
    single: true,
    copy: () => {
      throw new Error('damaged');
    },
  });
  const without = seen(await probeHelpers(one, broken));
  assert.match(without, /^processes\.spawner: posix_spawn cannot be used, .*damaged$/m);
  assert.match(without, /^listen\.engine: uWebSockets\.js cannot be loaded, .*damaged$/m);
  const node = configOf(
    t,
    '[[listen]]\naddress = "127.0.0.1:0"\nengine = "node"\n[processes]\nspawner = "child_process"\n[stream."/s"]\ncommand = ["cat"]\n',
  );
  assert.deepEqual(await probeHelpers(node, broken), [], 'what is not wanted is not missed');
});

test('a folder that cannot be written', (t) => {
  assert.deepEqual(probeWriting(folderWith(t, {})), []);
  assert.match(
    seen(probeWriting('/proc/sys')),
    /^bodies of requests \(TMPDIR\): nothing can be written in \/proc\/sys /,
  );
});

test('a time zone without its data', () => {
  const machine = (files: { readonly [path: string]: string }) => ({
    read: (path: string) => files[path] ?? '',
    exists: (path: string) => Object.hasOwn(files, path),
    link: (path: string) => files[`link ${path}`] ?? '',
    written: 0,
  });
  const berlin = { 'link /etc/localtime': '../usr/share/zoneinfo/Europe/Berlin' };
  assert.match(seen(probeTimeZone(machine(berlin))), /set to Europe\/Berlin, and has no data/);
  assert.match(seen(probeTimeZone(machine({ '/etc/timezone': 'Asia/Tokyo\n' }))), /Asia\/Tokyo/);
  assert.deepEqual(probeTimeZone(machine({ ...berlin, '/etc/localtime': 'TZif' })), []);
  assert.deepEqual(probeTimeZone(machine({ '/etc/timezone': 'Etc/UTC\n' })), []);
  assert.deepEqual(probeTimeZone(machine({})), []);
});

test('compression by a public URL: as it is, taken away, done twice', async (t) => {
  const page = `<!doctype html><title>x</title>${'a line of text\n'.repeat(500)}`;
  const config = '[[listen]]\naddress = "127.0.0.1:0"\n[static."/"]\nroot = "www"\ncompress = true\n';
  const running = await startGateway(t, { config, files: { 'www/index.html': page } });
  const { config: read } = configOf(t, config.replace(':0"', `:${running.port}"`), { 'www/index.html': page });
  const patient = { config: read, pid: running.pid };
  assert.deepEqual(await probePublicCompression(running.url('/'), patient, SIGNAL), []);
  for (const [way, says] of [
    ['plain', /: the gateway compresses this page, but it arrives uncompressed$/],
    ['twice', /compressed twice$/],
  ] as const) {
    const proxy = createHttpServer((asked, answer) => {
      const headers = { ...asked.headers };
      if (way === 'plain') delete headers['accept-encoding'];
      request(running.url(asked.url ?? '/'), { headers }, (from) => {
        const parts: Buffer[] = [];
        from.on('data', (part: Buffer) => parts.push(part));
        from.on('end', () => {
          const body = Buffer.concat(parts);
          if (way === 'twice') answer.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(body));
          else answer.writeHead(200).end(body);
        });
      }).end();
    }).listen(0, '127.0.0.1');
    t.after(() => {
      proxy.closeAllConnections();
      proxy.close();
    });
    await until('it listens', () => proxy.listening);
    const { port } = proxy.address() as { port: number };
    assert.match(seen(await probePublicCompression(`http://127.0.0.1:${port}`, patient, SIGNAL)), says);
  }
});
