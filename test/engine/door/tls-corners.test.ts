/** TLS at the door where it is rare: a ticket of another name, early data, certificates that change within handshakes. The same from both engines. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectSecurely } from 'node:tls';
import { Authority } from '../../support/certificates.ts';
import { type Running, startGateway } from '../../support/gateway.ts';
import { sessionOf } from '../../support/https.ts';
import { inTurns } from '../../support/many.ts';
import { until } from '../../support/until.ts';

const authority = new Authority();
const PAGE = 'GET /a.txt HTTP/1.1\r\nHost: board.test\r\nConnection: close\r\n\r\n';
const ENGINES = ['auto', 'node'] as const;

function pair(name: string, host: string): { readonly [path: string]: string } {
  const made = authority.server([host]);
  return { [`${name}.pem`]: made.certificate, [`${name}.key`]: made.pem };
}

async function start(t: TestContext, engine: string): Promise<Running> {
  return await startGateway(t, {
    config: `[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
tls = { certificate = "one.pem", key = "one.key", certificates = [{ certificate = "two.pem", key = "two.key" }] }
[static."/"]
root = "www"
[connections]
max_per_address = 1000
[log]
requests = false
`,
    files: { 'www/a.txt': 'a page', ...pair('one', 'one.test'), ...pair('two', 'two.test') },
  });
}

interface Outcome {
  readonly reused: boolean;
  readonly shown: string;
  readonly text: string;
}

/** All that comes for a request on a connection of its own. Rejects when the handshake fails or the connection breaks. */
async function visit(port: number, options: ConnectionOptions): Promise<Outcome> {
  const socket = connectSecurely({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  await once(socket, 'secureConnect');
  const facts = { reused: socket.isSessionReused(), shown: socket.getPeerCertificate().subject?.CN ?? '' };
  socket.write(PAGE);
  await once(socket, 'close');
  return { ...facts, text };
}

for (const engine of ENGINES)
  describe(`${engine}: TLS where it is rare`, { concurrency: true }, () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
      test(`${version}: a ticket that was given for another name harms nothing`, async (t) => {
        const { port } = await start(t, engine);
        const options = { maxVersion: version, minVersion: version };
        const session = await sessionOf(port, { ...options, servername: 'one.test' });
        assert(session !== undefined);
        const same = await visit(port, { ...options, servername: 'one.test', session });
        assert.equal(same.reused, true);
        const other = await visit(port, { ...options, servername: 'two.test', session });
        // OpenSSL takes it: the client has seen to it that the first certificate is good for both. Each app of uWebSockets.js has keys of its own.
        if (engine === 'auto') assert.deepEqual([other.reused, other.shown], [false, 'two.test']);
        assert.match(other.text, /^HTTP\/1\.1 200 .*a page$/s);
        // Nor by who names nobody, and would get the first.
        const nobody = await visit(port, { ...options, servername: '', session: undefined });
        assert.equal(nobody.shown, 'one.test');
      });

    test('early data is not taken; the request behind the handshake is answered', {
      skip: existsSync('/usr/bin/openssl') ? false : 'needs openssl',
    }, async (t) => {
      const { port, folder } = await start(t, engine);
      const file = (name: string) => join(folder, name);
      // No ticket of ours allows early data. One of another server does, so that its client sends some all the same.
      const stranger = spawn(
        'openssl',
        [
          's_server',
          '-accept',
          '127.0.0.1:0',
          '-cert',
          file('one.pem'),
          '-key',
          file('one.key'),
          '-early_data',
          '-naccept',
          '1',
        ],
        { stdio: ['pipe', 'pipe', 'ignore'] },
      );
      t.after(() => stranger.kill('SIGKILL'));
      let said = '';
      stranger.stdout.on('data', (bytes: Buffer) => {
        said += bytes.toString();
      });
      await until(() => /^ACCEPT .*:\d+$/m.test(said), 'the other server');
      const other = /^ACCEPT .*:(\d+)$/m.exec(said)?.[1] ?? '';
      for (const [from, name, early] of [
        [String(port), 'ours', 'was not sent'],
        [other, 'theirs', 'was rejected'],
      ] as const) {
        // BoringSSL sends its tickets with the first answer.
        await client(from, ['-sess_out', file(name)], name === 'ours' ? PAGE : 'Q\n');
        writeFileSync(file('early'), PAGE.replace('a.txt', 'early.txt'));
        const output = await client(String(port), ['-sess_in', file(name), '-early_data', file('early')], PAGE);
        assert.match(output, new RegExp(`Early data ${early}`));
        assert.match(output, /HTTP\/1\.1 200 /);
        assert.doesNotMatch(output, /HTTP\/1\.1 404 /, 'what came early was not answered');
      }
      // It was neither served nor kept: the next client is.
      assert.match((await visit(port, { servername: 'one.test' })).text, /a page$/);
    });

    test('certificates that change while handshakes are under way: none fails', async (t) => {
      const running = await start(t, engine);
      const slow = await slowLine(t, running.port);
      let over = false;
      const changing = (async () => {
        const isResult = (message: string): boolean => message === 'the configuration is reloaded';
        for (let times = 0; times < 15 || !over; times++) {
          const made = authority.server(['one.test']);
          put(running, 'one.key', made.pem);
          put(running, 'one.pem', made.certificate);
          const before = running.log.filter(({ message }) => isResult(message)).length;
          running.process.kill('SIGHUP');
          await until(() => running.log.filter(({ message }) => isResult(message)).length > before, 'the reload');
        }
      })();
      const outcomes = await inTurns(120, 20, (index) =>
        visit(slow, {
          servername: 'one.test',
          maxVersion: index % 3 === 0 ? 'TLSv1.2' : 'TLSv1.3',
        }),
      );
      over = true;
      await changing;
      for (const { text, shown } of outcomes) {
        assert.match(text, /^HTTP\/1\.1 200 .*a page$/s);
        assert.equal(shown, 'one.test');
      }
    });
  });

test('node is wanted for the first time, and the listener changes or ends at that moment', async (t) => {
  const old = 'GET /a.txt HTTP/1.0\r\n\r\n';
  const config = (place: string, engine: string): string =>
    `stop_timeout = "10s"\n[[listen]]\naddress = "${place}"\nengine = "${engine}"\n[static."/"]\nroot = "www"\n`;
  for (const delay of [0, 5, 20]) {
    const running = await startGateway(t, { config: config('127.0.0.1:0', 'auto'), files: { 'www/a.txt': 'a page' } });
    const place = `127.0.0.1:${running.port}`;
    const answers = Array.from({ length: 10 }, () => spoken(running.port, old));
    await sleep(delay);
    writeFileSync(join(running.folder, 'runnel.toml'), config(place, 'node'));
    running.process.kill('SIGHUP');
    for (const answer of await Promise.all(answers)) assert.match(answer, /^HTTP\/1\.1 200 .*a page$/s);
    await running.logged(({ message }) => message === 'the configuration is reloaded');
    assert.match(await spoken(running.port, old), /a page$/);
    assert.equal(await running.stop(), 0);

    const ending = await startGateway(t, { config: config('127.0.0.1:0', 'auto'), files: { 'www/a.txt': 'a page' } });
    const last = Array.from({ length: 10 }, () => spoken(ending.port, old));
    await sleep(delay);
    // Each is answered whole, or not at all; and nothing holds up the end.
    assert.equal(await ending.stop(), 0);
    for (const answer of await Promise.all(last)) assert.match(answer, /^(HTTP\/1\.1 200 .*a page)?$/s);
    assert.deepEqual(
      [...running.log, ...ending.log].filter(({ level }) => level === 'error'),
      [],
    );
  }
});

function put(running: Running, name: string, content: string): void {
  writeFileSync(join(running.folder, 'next'), content);
  renameSync(join(running.folder, 'next'), join(running.folder, name));
}

/** What comes until the connection is over. */
function spoken(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (part: Buffer) => {
      text += part.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
    socket.write(bytes);
  });
}

/** What OpenSSL's client prints, of itself and of the answer. */
async function client(port: string, args: readonly string[], input: string): Promise<string> {
  const child = spawn('openssl', [
    's_client',
    '-connect',
    `127.0.0.1:${port}`,
    '-servername',
    'one.test',
    '-tls1_3',
    ...args,
  ]);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => {
      output += bytes.toString('latin1');
    });
  child.stdin.on('error', () => undefined);
  // It has its ticket by then, which comes behind the handshake.
  await until(() => /Post-Handshake New Session Ticket|Verify return code|Early data/.test(output), 'the handshake');
  if (args.includes('-sess_out')) await sleep(300);
  child.stdin.write(input);
  const deadline = setTimeout(() => child.kill(), 20_000);
  await once(child, 'close');
  clearTimeout(deadline);
  return output;
}

/** A port behind which every 100 bytes take 15 ms, both ways: a handshake takes longer than a reload. */
async function slowLine(t: TestContext, to: number): Promise<number> {
  const server = createServer((from) => {
    const upstream = connect(to, '127.0.0.1');
    for (const [source, target] of [
      [from, upstream],
      [upstream, from],
    ] as const) {
      source.on('error', () => undefined);
      source.on('close', () => setTimeout(() => target.destroy(), 2000));
      void (async () => {
        for await (const bytes of source as AsyncIterable<Buffer>)
          for (let at = 0; at < bytes.length; at += 100) {
            target.write(bytes.subarray(at, at + 100));
            await sleep(15);
          }
        target.end();
      })().catch(() => target.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}
