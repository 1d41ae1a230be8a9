import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { ask, refused, TestSocket } from '../../../support/client.ts';
import { type Running, startGateway } from '../../../support/gateway.ts';
import { type Peer, startPeer } from '../../../support/peer.ts';
import { freePort } from '../../../support/ports.ts';
import { until } from '../../../support/processes.ts';

const ENGINES = ['uws', 'node'] as const;
/** A label that is too long: no name server is asked. */
const NO_NAME = `${'x'.repeat(64)}.invalid`;

/** What a server of the test does with each connection, by the path of the stream that leads there. */
const SPEAKERS: { readonly [path: string]: (socket: Socket) => void } = {
  '/echo': (socket) => socket.pipe(socket),
  '/lines': (socket) => socket.pipe(socket),
  '/prefixed': (socket) => socket.pipe(socket),
  '/closes': (socket) => socket.end(),
  '/says-and-closes': (socket) => socket.end('one\r\ntwo\n\nlast'),
  '/resets': (socket) => socket.once('data', () => socket.resetAndDestroy()),
  '/broken': (socket) => socket.end(Buffer.from([0, 0, 0, 9, 1, 2])),
  '/silent': (socket) => socket.pause(),
  // Answers when its input has ended.
  '/digest': (socket) => {
    const hash = createHash('sha256');
    socket.on('data', (chunk) => hash.update(chunk));
    socket.on('end', () => socket.end(`${hash.digest('hex')}\n`));
  },
  '/few': (socket) => socket.pipe(socket),
};

const SETTINGS: { readonly [path: string]: string } = {
  '/echo': 'framing = "raw"\nmax_message = "1MiB"\nmax_queue = "16MiB"\nsubprotocols = ["b", "a"]',
  '/prefixed': 'framing = "length-prefixed"',
  '/broken': 'framing = "length-prefixed"',
  '/silent': 'framing = "raw"\nmax_queue = "64KiB"',
  '/digest': 'eof_message = "EOF"',
  '/few': 'max_connections = 1',
};

interface Site {
  readonly running: Running;
  readonly peers: { readonly [path: string]: Peer };
  open(path: string, protocols?: string[]): Promise<TestSocket>;
}

/** A gateway with a server behind each of these paths. */
async function start(t: TestContext, engine: string, paths: readonly string[], more = ''): Promise<Site> {
  const peers: { [path: string]: Peer } = {};
  let config = `[admin]\nlisten = "127.0.0.1:0"\n[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n`;
  for (const path of paths) {
    const peer = await startPeer(t, SPEAKERS[path] ?? (() => undefined));
    peers[path] = peer;
    config += `[stream."${path}"]\nconnect = "tcp://127.0.0.1:${peer.port}"\n${SETTINGS[path] ?? ''}\n`;
  }
  const running = await startGateway(t, { config: config + more });
  const open = (path: string, protocols: string[] = []): Promise<TestSocket> =>
    TestSocket.open(
      `ws://127.0.0.1:${running.port}${path}`,
      protocols.length === 0 ? {} : { protocol: protocols.join(',') },
    );
  return { running, peers, open };
}

async function metric(running: Running, line: string): Promise<number> {
  const { body } = await ask(running.ports.at(-1) ?? 0, '/metrics');
  return Number(
    body
      .split('\n')
      .find((each) => each.startsWith(`${line} `))
      ?.slice(line.length + 1) ?? 0,
  );
}

for (const engine of ENGINES) {
  describe(`connections over ${engine}`, { concurrency: false }, () => {
    test('messages, framings and endings', async (t) => {
      const site = await start(t, engine, Object.keys(SPEAKERS));
      const { running, peers, open } = site;

      await t.test('raw: the bytes as they are, both ways', async () => {
        const socket = await open('/echo');
        socket.ws.binaryType = 'nodebuffer';
        const echoed = once(socket.ws, 'message');
        socket.ws.send(Buffer.from([0, 255, 10, 13, 128]));
        const [data, isBinary] = (await echoed) as [Buffer, boolean];
        assert.deepEqual([...data], [0, 255, 10, 13, 128]);
        assert.equal(isBinary, true);
        socket.ws.close(1000);
        await until('the server is told', () => peers['/echo']?.sockets[0]?.closed === true);
      });

      await t.test('lines: a message a line', async () => {
        const socket = await open('/lines');
        socket.ws.send('hello');
        socket.ws.send('two\nlines');
        assert.deepEqual(await socket.first(3), ['hello', 'two', 'lines']);
        socket.ws.close();
      });

      await t.test('length-prefixed: the borders of messages stay', async () => {
        const socket = await open('/prefixed');
        for (const text of ['', 'one', 'x'.repeat(60_000)]) socket.ws.send(Buffer.from(text));
        assert.deepEqual(await socket.first(3), ['', 'one', 'x'.repeat(60_000)]);
        socket.ws.close();
      });

      await t.test('the server closes: what it said, then 1000', async () => {
        assert.deepEqual(await (await open('/closes')).closed, { code: 1000, reason: 'connection closed' });
        const socket = await open('/says-and-closes');
        assert.deepEqual(await socket.closed, { code: 1000, reason: 'connection closed' });
        assert.deepEqual(socket.messages, ['one', 'two', '', 'last']);
      });

      await t.test('the server resets: 1011', async () => {
        const socket = await open('/resets');
        socket.ws.send('go');
        assert.deepEqual(await socket.closed, { code: 1011, reason: 'connection reset' });
      });

      await t.test('the server ends inside a message: 1011, and what is wrong', async () => {
        const socket = await open('/broken');
        const reason = 'output ended inside a message, 6 bytes into it';
        assert.deepEqual(await socket.closed, { code: 1011, reason });
      });

      await t.test('eof_message ends our side, and the answer still comes', async () => {
        const socket = await open('/digest');
        socket.ws.send('abc');
        socket.ws.send('EOF');
        assert.deepEqual(await socket.closed, { code: 1000, reason: 'connection closed' });
        assert.deepEqual(socket.messages, [createHash('sha256').update('abc\n').digest('hex')]);
      });

      await t.test('what a client said before it left reaches the server', async () => {
        const before = peers['/digest']?.sockets.length ?? 0;
        const socket = await open('/digest');
        socket.ws.send('last words');
        socket.ws.close();
        await until('the server has it all', () => peers['/digest']?.sockets[before]?.bytesRead === 11);
      });

      await t.test('a server that says nothing keeps its client waiting', async () => {
        const socket = await open('/silent');
        await until(
          'it is counted',
          async () => (await metric(running, 'runnel_stream_clients{route="/silent"}')) === 1,
        );
        socket.ws.close();
        await until(
          'and not any more',
          async () => (await metric(running, 'runnel_stream_clients{route="/silent"}')) === 0,
        );
      });

      await t.test('max_connections: 503 until one has gone', async () => {
        const first = await open('/few');
        const { status, headers } = await refused(`ws://127.0.0.1:${running.port}/few`);
        assert.equal(status, 503);
        assert.equal(headers['retry-after'], '5');
        first.ws.close();
        await until('there is room again', async () => {
          const next = await open('/few').catch(() => undefined);
          next?.ws.close();
          return next !== undefined;
        });
        assert.ok((await metric(running, 'runnel_connects_total{route="/few",outcome="max"}')) >= 1);
      });

      await t.test('an event stream and a POST work too', async () => {
        const response = await fetch(running.url('/lines'), { headers: { accept: 'text/event-stream' } });
        assert.equal(response.status, 200);
        const { body } = response;
        assert(body !== null);
        let text = '';
        const reader = body.pipeThrough(new TextDecoderStream()).getReader();
        const read = async (end: RegExp): Promise<RegExpExecArray> => {
          for (;;) {
            const match = end.exec(text);
            if (match !== null) return match;
            const { done, value } = await reader.read();
            assert(!done, `ended with ${JSON.stringify(text)}`);
            text += value;
          }
        };
        const [, session = ''] = await read(/"session":\s*"([^"]+)"/);
        const posted = await ask(running.port, `/lines?session=${session}`, { method: 'POST', body: 'over there' });
        assert.equal(posted.status, 202);
        await read(/data: over there\n\n/);
        await reader.cancel();
      });

      await t.test('messages and bytes are counted', async () => {
        assert.equal(await metric(running, 'runnel_stream_messages_total{route="/prefixed",direction="in"}'), 3);
        assert.equal(
          await metric(running, 'runnel_stream_message_bytes_total{route="/prefixed",direction="out"}'),
          60_003,
        );
        assert.equal(await metric(running, 'runnel_connects_total{route="/prefixed",outcome="connected"}'), 1);
      });

      await t.test('stopping closes with 1001, and the server hears the last words', async () => {
        const before = peers['/digest']?.sockets.length ?? 0;
        const socket = await open('/digest');
        const peer = () => peers['/digest']?.sockets[before];
        socket.ws.send('x'.repeat(50_000));
        await until('they are here', () => peer()?.bytesRead === 50_001);
        const code = running.stop();
        assert.equal((await socket.closed).code, 1001);
        assert.equal(await code, 0);
        assert.equal(peer()?.readableEnded, true);
      });
    });

    test('a server that cannot be had is a status', async (t) => {
      const port = await freePort();
      const full = await fullListener(t);
      const socketOf = (path: string): string => `[stream."${path}"]\nconnect = `;
      const { running } = await start(
        t,
        engine,
        [],
        `${socketOf('/refused')}"tcp://127.0.0.1:${port}"
${socketOf('/by-name')}"tcp://localhost:${port}"
${socketOf('/no-socket')}"unix:nobody.sock"
${socketOf('/no-name')}"tcp://${NO_NAME}:80"
${socketOf('/full')}"tcp://127.0.0.1:${full}"\nconnect_timeout = "200ms"
${socketOf('/full-long')}"tcp://127.0.0.1:${full}"\nconnect_timeout = "5m"\nmax_connections = 1\n`,
      );
      const cases: readonly (readonly [string, number, string])[] = [
        ['/refused', 502, 'refused'],
        ['/by-name', 502, 'refused'],
        ['/no-socket', 502, 'refused'],
        ['/no-name', 502, 'unresolved'],
        ['/full', 504, 'timeout'],
      ];
      for (const [path, status, outcome] of cases)
        await t.test(path, async () => {
          const refusal = await refused(`ws://127.0.0.1:${running.port}${path}`);
          assert.equal(refusal.status, status);
          assert.doesNotMatch(
            refusal.body,
            /127\.0\.0\.1|localhost|nobody|invalid/,
            'the address is the operator’s own',
          );
          assert.equal(await metric(running, `runnel_connects_total{route="${path}",outcome="${outcome}"}`), 1);
          await running.logged((line) => line['route'] === path && line.level === 'error');
        });

      await t.test('a client that does not wait ends the attempt', async () => {
        // There is one place: who is refused shows that the other has it.
        const leaving = new AbortController();
        const attempts = [1, 2].map(() => fetch(running.url('/full-long'), { signal: leaving.signal }));
        for (const attempt of attempts) attempt.catch(() => undefined);
        assert.equal((await Promise.race(attempts)).status, 503);
        leaving.abort();
        const left = 'runnel_connects_total{route="/full-long",outcome="left"}';
        await until('it is given up', async () => (await metric(running, left)) === 1);
      });
    });
  });
}

/** A listener that accepts nobody and whose line is full: further connections are neither made nor refused. */
async function fullListener(t: TestContext): Promise<number> {
  const script = `
import socket, sys
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(0)
port = s.getsockname()[1]
held = []
for _ in range(4):
    c = socket.socket(); c.setblocking(False)
    try: c.connect(("127.0.0.1", port))
    except BlockingIOError: pass
    held.append(c)
print(port, flush=True)
sys.stdin.read()
`;
  const child = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill());
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return Number(line);
}
