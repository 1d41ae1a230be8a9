/**
 * Clients that leave at every moment of every kind of answer: afterwards nothing of them is left, neither a program nor a descriptor nor
 * a count. RUNNEL_ABORTS says how many leave.
 */
import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { startBoth } from '../support/both-engines.ts';
import { ask } from '../support/client.ts';
import { descriptorsOf, type ProcessFacts, programsOf, until } from '../support/processes.ts';
import { httpUpstream } from '../support/upstream.ts';

/** For each engine and kind. */
const TIMES = Math.ceil(Number(process.env['RUNNEL_ABORTS'] ?? 150) / 10);
const AT_ONCE = 4;
const LARGE = 300_000;

const WS =
  'Upgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n';
const EVENTS = 'Accept: text/event-stream\r\n';
const BODY = `Content-Length: ${LARGE}\r\n`;

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;

/** What each of them sends; `body`: bytes behind that. */
const KINDS: { readonly [name: string]: { readonly head: (at: number, cursor: string) => string; body?: boolean } } = {
  cgi: { head: () => get('/cgi') },
  'cgi with a spooled body': { head: () => `POST /cgi HTTP/1.1\r\nHost: x\r\n${BODY}\r\n`, body: true },
  'large file': { head: () => get('/files/large') },
  'stream by WebSocket': { head: () => get('/own', WS) },
  'stream by event stream': { head: (at) => get(`/each?k=${at}`, EVENTS) },
  'stream by long-poll': { head: (_, cursor) => get(`/all?transport=poll&cursor=${cursor}`) },
  'long-poll with a spooled body': {
    head: (_, cursor) => get(`/all?transport=poll&cursor=${cursor}`, BODY),
    body: true,
  },
  'stream by POST with a spooled body': { head: () => `POST /all HTTP/1.1\r\nHost: x\r\n${BODY}\r\n`, body: true },
  connect: { head: () => get('/tcp', WS) },
  'proxied page': { head: () => get('/proxied/page') },
  'proxied event stream': { head: () => get('/proxied/events', EVENTS) },
  'proxied upload': { head: () => `POST /proxied/page HTTP/1.1\r\nHost: x\r\n${BODY}\r\n`, body: true },
  'proxied WebSocket': { head: () => get('/proxied/socket', WS) },
  'polled route': { head: (at) => get(`/polled?k=${at}`, EVENTS) },
};

test('clients that leave at any moment leave nothing behind', { timeout: 600_000 }, async (t) => {
  const peers = new Set<Socket>();
  const server = createServer((socket) => {
    peers.add(socket);
    socket.on('error', () => undefined).on('close', () => peers.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const application = await httpUpstream(t, ({ url }, response) => {
    if (url === '/proxied/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const timer = setInterval(() => response.write(`data: ${'x'.repeat(1000)}\n\n`), 10);
      response.on('close', () => clearInterval(timer));
    } else setTimeout(() => response.end(Buffer.alloc(LARGE)), Math.random() * 30);
  });
  const sockets = new WebSocketServer({ noServer: true });
  application.server.on('upgrade', (request, socket, head) =>
    setTimeout(() => sockets.handleUpgrade(request, socket, head, (ws) => ws.send('x')), Math.random() * 20),
  );
  const running = await startBoth(t, {
    config: `
[connections]
max_per_address = 10000
[defaults.limits]
body_memory = "16KiB"
[log]
requests = false
[cgi."/cgi"]
command = ["./slow.sh"]
max_waiting = 10000
[static."/files/"]
root = "files"
[stream."/own"]
command = ["cat"]
max_processes = 1000
[stream."/each"]
command = ["cat"]
share = "query"
idle_stop = "0ms"
max_processes = 1000
[stream."/all"]
command = ["sh", "-c", "while :; do echo x; sleep 0.05; done & exec cat >/dev/null"]
share = "all"
idle_stop = "0ms"
max_message = "1MiB"
[stream."/tcp"]
connect = "tcp://127.0.0.1:${port}"
[proxy."/proxied/"]
upstream = "http://127.0.0.1:${application.port}"
max_waiting = 10000
keep_alive = "0ms"
[stream."/polled"]
poll = "/files/large"
share = "query"
idle_stop = "0ms"
max_message = "1MiB"
max_processes = 1000
[processes]
max = 3000
`,
    files: {
      'slow.sh':
        "#!/bin/sh\nsleep 0.0$(($$ % 5))\nprintf 'Content-Type: text/plain\\n\\nhello'\nsleep 0.02\necho world\n",
      'files/large': Buffer.alloc(LARGE, 'x'),
    },
  });
  const { pid } = running;
  const names = (): string[] =>
    descriptorsOf(pid)
      .map((name) => name.replace(/\d+/g, 'N'))
      .sort();
  const programs = (): readonly ProcessFacts[] => programsOf(pid);
  const counts = async (): Promise<number[]> =>
    await Promise.all(['runnel_stream_clients', 'runnel_processes'].map((name) => running.metric(name)));

  /** One that leaves a random time later, by `way`. */
  const leave = async (to: number, bytes: string, body: boolean, way: number): Promise<void> => {
    const socket = connect(to, '127.0.0.1').on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    if (way % 3 > 0) socket.on('data', () => undefined);
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write(bytes);
    if (body) socket.write(Buffer.alloc(way % 2 === 0 ? LARGE : LARGE / 2));
    await new Promise((resolve) => setTimeout(resolve, Math.random() ** 2 * 60));
    if (way % 2 === 0) socket.destroy();
    else socket.resetAndDestroy();
    await closed;
  };

  const everybody = async (times: number): Promise<void> => {
    for (const [, to] of running.engines) {
      for (const { head, body = false } of Object.values(KINDS)) {
        const first = await ask(to, '/all?transport=poll');
        const { cursor } = JSON.parse(first.body) as { cursor: string };
        let at = 0;
        const some = async (): Promise<void> => {
          for (let each = at++; each < times; each = at++) await leave(to, head(each, cursor), body, each);
        };
        await Promise.all(Array.from({ length: AT_ONCE }, some));
      }
    }
  };
  const quiet = async (): Promise<void> => {
    await until('no program is left', () => programs().length === 0, 30_000).catch((error: unknown) => {
      throw new Error(
        programs()
          .map(({ command }) => command)
          .join(' | '),
        { cause: error },
      );
    });
    await until('the servers have no connection', () => peers.size === 0 && application.open.size === 0);
    let seen: number[] = [];
    await until('the counts are at zero', async () => {
      seen = await counts();
      return seen.every((count) => count === 0);
    }).catch((error: unknown) => {
      throw new Error(`counts: ${seen.join(', ')}`, { cause: error });
    });
  };

  // What is loaded and opened once is there by then.
  await everybody(2);
  await quiet();
  const before = names();
  await everybody(TIMES);
  await quiet();
  // Whoever asks for the metrics has a connection, which ends when it likes.
  await until('no descriptor is left', () => names().length <= before.length).catch(() => undefined);
  const left = names();
  for (const name of before) left.splice(left.indexOf(name), left.includes(name) ? 1 : 0);
  assert.deepEqual(left, []);
  assert.deepEqual(
    // Of several bodies at once the program may take too little.
    running.log.filter(({ level, message }) => level === 'error' && !/you send faster than/.test(message)),
    [],
  );
});
