/** `runnel/client` by WebSocket, against the gateway and against servers that are none. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect } from 'runnel/client';
import { folderWith, startGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { failureOf, read, readAll, write, wsServer } from './support.ts';

const ECHO = `[[listen]]
address = "127.0.0.1:0"
[stream."/echo"]
command = ["cat"]
eof_message = "EOF"
[stream."/sort"]
command = ["sort"]
eof_message = "EOF"
[stream."/raw"]
command = ["cat"]
framing = "raw"
[stream."/fail"]
command = ["sh", "-c", "echo one; exit 3"]
[stream."/shared"]
command = ["cat"]
share = "all"
history = 10
`;

/** A server that does what `onConnection` says with what it accepts. */
async function rawServer(t: TestContext, onConnection: (socket: Socket) => void, host = '127.0.0.1'): Promise<number> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

test('text and bytes go both ways, and it is closed in good order', async (t) => {
  const gateway = await startGateway(t, { config: ECHO });
  const text = await connect(`ws://127.0.0.1:${gateway.port}/echo`);
  await write(text, 'one', 'zwei ü');
  assert.deepEqual(await read(text, 2), ['one', 'zwei ü']);
  assert.equal(text.facts.transport, 'websocket');
  assert.deepEqual(await text.close(), { code: 1000, reason: '' });
  const bytes = await connect(`ws://127.0.0.1:${gateway.port}/raw`);
  await write(bytes, Uint8Array.of(0, 255, 10));
  assert.deepEqual(Buffer.concat((await read(bytes, 1)) as Uint8Array[]), Buffer.from([0, 255, 10]));
  await bytes.close();
});

test('the side that is written may end while the other goes on', async (t) => {
  const gateway = await startGateway(t, { config: ECHO });
  const sorted = await connect(`ws://127.0.0.1:${gateway.port}/sort`, { eofMessage: 'EOF' });
  const writer = sorted.writable.getWriter();
  for (const line of ['b', 'a', 'c']) await writer.write(line);
  await writer.close();
  assert.deepEqual(await readAll(sorted), ['a', 'b', 'c']);
  assert.deepEqual(await sorted.closed, { code: 1000, reason: 'exit 0' });
});

test('it ends when both sides have ended, and not before', async (t) => {
  const closes: number[] = [];
  const port = await wsServer(t, (socket) => {
    socket.on('message', (data) => socket.send(String(data)));
    socket.on('close', (code) => closes.push(code));
  });
  const connection = await connect(`ws://127.0.0.1:${port}/`);
  await write(connection, 'one');
  await connection.writable.close();
  assert.deepEqual(await read(connection, 1), ['one']);
  assert.deepEqual(closes, []);
  await connection.readable.cancel();
  assert.deepEqual(await connection.closed, { code: 1000, reason: '' });
  await until(() => closes.length > 0, 'the server to see the close');
  assert.deepEqual(closes, [1000]);
});

test('a reader that has cancelled does not keep the writer from writing', async (t) => {
  const got: string[] = [];
  const port = await wsServer(t, (socket) => {
    socket.send('x'.repeat(1 << 20));
    socket.on('message', (data) => got.push(String(data)));
  });
  const connection = await connect(`ws://127.0.0.1:${port}/`);
  await connection.readable.cancel();
  await write(connection, 'still here');
  await until(() => got.length === 1, 'the message to arrive');
  await connection.writable.close();
  await connection.closed;
});

test('a close with another code is a close: what came is read, and the writer has an error', async (t) => {
  const gateway = await startGateway(t, { config: ECHO });
  const connection = await connect(`ws://127.0.0.1:${gateway.port}/fail`);
  assert.deepEqual(await readAll(connection), ['one']);
  assert.deepEqual(await connection.closed, { code: 1011, reason: 'exit 3' });
  const error = await failureOf(write(connection, 'late'));
  assert.equal(error.failure, 'unsent');
  assert.match(error.message, /1011: exit 3/);
});

test('an abrupt end is an error on both sides, behind what came', async (t) => {
  const port = await wsServer(t, (socket) => socket.send('one', () => socket.terminate()));
  const connection = await connect(`ws://127.0.0.1:${port}/`);
  assert.equal((await failureOf(connection.closed)).failure, 'lost');
  assert.equal((await failureOf(connection.writable.getWriter().closed)).failure, 'lost');
  const reader = connection.readable.getReader();
  assert.deepEqual(await reader.read(), { done: false, value: 'one' });
  assert.equal((await failureOf(reader.read())).failure, 'lost');
});

test('a gateway numbers its messages, and the stream is resumed behind the last that was read', async (t) => {
  const gateway = await startGateway(t, { config: ECHO });
  const url = `http://127.0.0.1:${gateway.port}/shared`;
  const first = await connect(url);
  await write(first, 'a', 'b', 'c');
  assert.deepEqual(await read(first, 2), ['a', 'b']);
  assert.match(first.lastEventId, /^.+-\d+$/);
  assert.match(first.facts.session ?? '', /./);
  const { lastEventId } = first;
  await first.close();
  const second = await connect(url, { after: lastEventId });
  assert.deepEqual(await read(second, 1), ['c']);
  await second.close();
});

test('it comes again by itself, each message once', async (t) => {
  const gateway = await startGateway(t, { config: ECHO });
  const { tcpProxy } = await import('../support/tcp-proxy.ts');
  const line = await tcpProxy(t, { to: gateway.port });
  const waits: string[] = [];
  const connection = await connect(`ws://127.0.0.1:${line.port}/shared`, {
    reconnect: true,
    maxDelay: 50,
    onEvent: (event) => waits.push(event.type),
  });
  await write(connection, 'a');
  assert.deepEqual(await read(connection, 1), ['a']);
  line.cutAll();
  await until(() => waits.filter((type) => type === 'open').length === 2, 'the second connection');
  await write(connection, 'b');
  assert.deepEqual(await read(connection, 1), ['b']);
  await connection.close();
  assert.ok(waits.includes('waiting'));
});

test('no server, no name, a refusal, and something that is no WebSocket are told apart', async (t) => {
  const http = createHttpServer((_request, response) => response.writeHead(404).end());
  http.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.after(() => http.close());
  const { port } = http.address() as AddressInfo;
  const refused = await failureOf(connect(`ws://127.0.0.1:${port}/`));
  assert.deepEqual([refused.failure, refused.status], ['rejected', 403]);
  const babble = await rawServer(t, (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
  assert.equal((await failureOf(connect(`ws://127.0.0.1:${babble}/`))).failure, 'protocol');
  const dumb = await rawServer(t, (socket) => socket.end());
  assert.equal((await failureOf(connect(`ws://127.0.0.1:${dumb}/`))).failure, 'lost');
  const gone = await rawServer(t, () => undefined);
  const silent = connect(`ws://127.0.0.1:${gone}/`, { times: { answer: 50 } });
  assert.equal((await failureOf(silent)).failure, 'timeout');
  assert.equal((await failureOf(connect('ws://127.0.0.1:1/'))).failure, 'refused');
  assert.equal((await failureOf(connect('ws://nothing.invalid/'))).failure, 'unresolved');
  await assert.rejects(connect('ftp://127.0.0.1/'), TypeError);
});

test('a TLS handshake that does not end has a time', async (t) => {
  const port = await rawServer(t, () => undefined);
  const error = await failureOf(connect(`wss://127.0.0.1:${port}/`, { times: { tls: 50 } }));
  assert.equal(error.failure, 'timeout');
  assert.match(error.message, /TLS/);
});

test('a peer that does not answer the close is left after a time', async (t) => {
  let opened: Socket | undefined;
  const server = createHttpServer();
  const port = await wsServer(
    t,
    (_socket, request) => {
      opened = request.socket;
      opened.pause();
    },
    { server },
  );
  const connection = await connect(`ws://127.0.0.1:${port}/`, { times: { close: 50 } });
  await until(() => opened?.isPaused() === true, 'the server to stop reading');
  assert.deepEqual(await connection.close(), { code: 1000, reason: '' });
});

test('a peer of which nothing is heard is given up, one that is only quiet is not', async (t) => {
  const times = { ping: 100 };
  const quiet = await wsServer(t, () => undefined);
  const calm = await connect(`ws://127.0.0.1:${quiet}/`, { times });
  let over = false;
  calm.closed
    .catch(() => undefined)
    .finally(() => {
      over = true;
    });
  const dead = await wsServer(t, (_socket, request) => request.socket.pause());
  const connection = await connect(`ws://127.0.0.1:${dead}/`, { times });
  const error = await failureOf(connection.closed);
  assert.equal(error.failure, 'lost');
  assert.match(error.message, /does not answer any more/);
  assert.equal(over, false);
  await calm.close();
});

test('headers, token, user, subprotocols and an IPv6 address arrive', async (t) => {
  const seen: { readonly [name: string]: string | string[] | undefined }[] = [];
  const port = await wsServer(t, (_socket, request) => seen.push(request.headers), { host: '::1' });
  const first = await connect(`ws://[::1]:${port}/`, {
    headers: { 'X-Board': '7' },
    token: 'secret',
    protocols: ['mqtt', 'other'],
  });
  assert.equal(first.facts.protocol, 'mqtt');
  const second = await connect(`ws://ann:p%40ss@[::1]:${port}/`);
  assert.equal(seen[0]?.['x-board'], '7');
  assert.equal(seen[0]?.['authorization'], 'Bearer secret');
  assert.equal(seen[0]?.['host'], `[::1]:${port}`);
  assert.equal(seen[1]?.['authorization'], `Basic ${Buffer.from('ann:p@ss').toString('base64')}`);
  await Promise.all([first.close(), second.close()]);
});

test('a Unix socket is reached, and a signal ends everything', async (t) => {
  const path = join(folderWith(t, {}), 'gateway.sock');
  await startGateway(t, { config: ECHO.replace('127.0.0.1:0', `unix:${path}`) });
  const stop = new AbortController();
  const connection = await connect('ws://board/echo', { socketPath: path, signal: stop.signal });
  await write(connection, 'one');
  assert.deepEqual(await read(connection, 1), ['one']);
  stop.abort(new Error('enough'));
  const error = await failureOf(connection.closed);
  assert.deepEqual([error.failure, error.message], ['aborted', 'enough']);
});

test('a message that is too large is an error and not a full memory', async (t) => {
  const port = await wsServer(t, (socket) => socket.send('x'.repeat(2000)));
  const connection = await connect(`ws://127.0.0.1:${port}/`, { maxMessage: 1000 });
  assert.equal((await failureOf(connection.closed)).failure, 'protocol');
});
