/** Streams that subscribe to WebSockets, and to connections with and without TLS: text and binary, both ways, and who is gone. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { Authority } from '../../../support/certificates.ts';
import { ask, TestSocket } from '../../../support/client.ts';
import { EventClient } from '../../../support/event-stream.ts';
import { folderWith } from '../../../support/gateway.ts';
import { startPeer } from '../../../support/peer.ts';
import { until } from '../../../support/processes.ts';
import { BACK, failing, startSubscribed } from '../../../support/subscribed.ts';

/** @param speak gets each connection */
async function socketServer(t: TestContext, speak: (socket: WebSocket) => void) {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: (offered) => (offered.has('json') ? 'json' : false),
  });
  await once(server, 'listening');
  const sockets: WebSocket[] = [];
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    speak(socket);
  });
  t.after(() => {
    for (const socket of sockets) socket.terminate();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

test('a WebSocket: text and binary keep their type in both directions, the subprotocol is offered', async (t) => {
  const got: [string, boolean][] = [];
  const upstream = await socketServer(t, (socket) => {
    socket.on('message', (data: Buffer, binary) => got.push([data.toString('latin1'), binary]));
    socket.send('text grün');
    socket.send(Buffer.from([0, 1, 255]));
  });
  const keys = `subscribe = "ws://127.0.0.1:${upstream.port}/x"\nsubprotocols = ["other", "json"]\nhistory = 10`;
  const running = await startSubscribed(t, { '/x': keys });
  const viewer = await TestSocket.open(`ws://127.0.0.1:${running.port}/x`);
  await viewer.first(2);
  assert.deepEqual(viewer.binary, [false, true]);
  assert.equal(viewer.messages[0], 'text grün');
  assert.equal(upstream.sockets[0]?.protocol, 'json');
  // An event stream and a long-poll say which of them are binary.
  const events = await EventClient.open(running.port, '/x');
  assert.deepEqual(await events.first(1), ['text grün']);
  assert.deepEqual(await events.first(1, 'binary'), ['AAH/']);
  const poll = JSON.parse((await ask(running.port, '/x?transport=poll')).body) as { messages: object[] };
  const [text, binary] = poll.messages as [Record<string, string>, Record<string, string>];
  assert.deepEqual([text['data'], text['encoding']], ['text grün', undefined]);
  assert.deepEqual([binary['data'], binary['encoding']], ['AAH/', 'base64']);
  viewer.ws.send('up');
  viewer.ws.send(Buffer.from([255, 0]));
  const posted = await ask(running.port, '/x', { method: 'POST', body: 'posted' });
  assert.equal(posted.status, 202);
  await until('all of it has arrived', () => got.length === 3);
  assert.deepEqual(got.slice(0, 2), [
    ['up', false],
    ['\xff\0', true],
  ]);
  events.close();
  viewer.ws.close();
  await until('it is closed', () => upstream.sockets[0]?.readyState === 3);
  assert.equal(await running.stop(), 0);
});

test('a WebSocket that closes at once is not back; one that stands is', async (t) => {
  let closes = true;
  const upstream = await socketServer(t, (socket) => {
    if (closes) socket.close(1000, 'go away');
  });
  const running = await startSubscribed(t, { '/x': `subscribe = "ws://127.0.0.1:${upstream.port}/"` });
  const viewer = await EventClient.open(running.port, '/x');
  const why = failing('it has closed the WebSocket');
  assert.deepEqual(await viewer.first(1, 'notice'), [why]);
  await until('it was tried often', () => upstream.sockets.length > 6);
  assert.deepEqual(viewer.all('notice'), [why]);
  const lost = await ask(running.port, '/x', { method: 'POST', body: 'x' });
  assert.ok(lost.status === 503 || lost.status === 202, String(lost.status));
  closes = false;
  assert.deepEqual(await viewer.first(2, 'notice'), [why, BACK]);
  await running.logged(({ detail }) => detail === 'code 1000 "go away"');
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('a WebSocket that stops answering is found by its pings, a message that is too large is told', async (t) => {
  const upstream = await socketServer(t, (socket) => {
    if (upstream.sockets.length === 1) {
      socket.send('first');
      // It neither reads nor answers.
      socket.pause();
    } else if (upstream.sockets.length === 2) socket.send('x'.repeat(2000));
    else socket.send('third');
  });
  const keys = `subscribe = "ws://127.0.0.1:${upstream.port}/"\nping_interval = "200ms"\nmax_message = "1KiB"`;
  const running = await startSubscribed(t, { '/x': keys });
  const viewer = await EventClient.open(running.port, '/x');
  assert.deepEqual(await viewer.first(2), ['first', 'third']);
  assert.deepEqual(viewer.all('notice'), [failing('it does not answer pings'), BACK]);
  await running.logged(({ why }) => why === 'it does not answer pings');
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('a TCP connection and a Unix socket: lines, bytes and lengths, both ways, made again when they end', async (t) => {
  const got: string[] = [];
  let connections = 0;
  const lines = await startPeer(t, (socket) => {
    socket.on('data', (chunk: Buffer) => got.push(chunk.toString()));
    connections++;
    if (connections === 2) socket.end(`second\r\nwithout an end`);
    else socket.write(`line ${connections}\r\nha`, () => setTimeout(() => socket.write('lf\n'), 20));
    if (connections === 1) setTimeout(() => socket.end(), 100);
  });
  const path = join(folderWith(t, {}), 'up.sock');
  await startPeer(t, (socket) => socket.write(Buffer.from([0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 9])), path);
  const running = await startSubscribed(t, {
    '/lines': `subscribe = "tcp://127.0.0.1:${lines.port}"`,
    '/lengths': `subscribe = "unix:${path}"\nframing = "length-prefixed"`,
  });
  const viewer = await EventClient.open(running.port, '/lines');
  const expected = ['line 1', 'half', 'second', 'without an end', 'line 3', 'half'];
  assert.deepEqual(await viewer.first(6), expected);
  const posted = await ask(running.port, '/lines', { method: 'POST', body: 'hello' });
  assert.equal(posted.status, 202);
  await until('it has arrived', () => got.join('') === 'hello\n');
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/lengths`);
  await socket.first(2);
  assert.deepEqual(socket.messages, ['\x01\x02', '\x09']);
  assert.deepEqual(socket.binary, [true, true]);
  socket.ws.terminate();
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('an upstream that says nothing is left after silence_timeout, whatever it speaks', async (t) => {
  let connections = 0;
  const silent = await startPeer(t, (socket) => {
    connections++;
    socket.write(`hello ${connections}\n`);
  });
  const running = await startSubscribed(t, {
    '/x': `subscribe = "tcp://127.0.0.1:${silent.port}"\nsilence_timeout = "1s"`,
    // It answers no request: "hello 1" is no HTTP, and a head never comes from the one below.
    '/head': `subscribe = "http://127.0.0.1:${(await startPeer(t, () => undefined)).port}"\nsilence_timeout = "1s"`,
  });
  const viewer = await EventClient.open(running.port, '/x');
  assert.deepEqual(await viewer.first(2), ['hello 1', 'hello 2']);
  assert.deepEqual(await viewer.first(1, 'notice'), [failing('nothing came for 1 s')]);
  const head = await EventClient.open(running.port, '/head');
  assert.deepEqual(await head.first(1, 'notice'), [failing('it did not answer in time')]);
  viewer.close();
  head.close();
  assert.equal(await running.stop(), 0);
});

test('TLS: an own authority, a pin, another name, and the certificate of somebody else', async (t) => {
  const authority = new Authority();
  const made = authority.server(['board.lan', '127.0.0.1']);
  const folder = folderWith(t, { 'ca.crt': authority.certificate, 'other.crt': new Authority('Other').certificate });
  const key = new X509Certificate(made.certificate).publicKey.export({ type: 'spki', format: 'der' });
  const pin = `sha256//${createHash('sha256').update(key).digest('base64')}`;
  const credentials = { cert: made.certificate, key: made.pem };
  const open = new Set<Socket>();
  const names: unknown[] = [];
  const bytes = createTlsServer(credentials, (socket) => {
    names.push(Reflect.get(socket, 'servername'));
    socket.on('error', () => undefined);
    socket.write('secure line\n');
  });
  const web = createSecureServer(credentials, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: secure event\n\n');
  });
  const sockets = new WebSocketServer({ server: web });
  sockets.on('connection', (socket) => socket.send('secure message'));
  for (const server of [bytes, web]) {
    server.on('connection', (socket: Socket) => {
      open.add(socket);
      socket.on('error', () => undefined);
    });
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  t.after(() => {
    for (const socket of open) socket.destroy();
    bytes.close();
    web.close();
  });
  const [tcp, http] = [bytes, web].map((server) => (server.address() as AddressInfo).port);
  const ca = `ca = "${join(folder, 'ca.crt')}"`;
  const running = await startSubscribed(t, {
    '/tls': `subscribe = "tls://127.0.0.1:${tcp}"\n${ca}\nserver_name = "board.lan"\nreplay = "last"`,
    '/https': `subscribe = "https://127.0.0.1:${http}/"\n${ca}\nreplay = "last"`,
    '/wss': `subscribe = "wss://127.0.0.1:${http}/"\npin = ["${pin}"]\nreplay = "last"`,
    '/stranger': `subscribe = "tls://127.0.0.1:${tcp}"\nca = "${join(folder, 'other.crt')}"`,
    '/unnamed': `subscribe = "https://127.0.0.1:${http}/"\n${ca}\nserver_name = "other.lan"`,
    '/pinned': `subscribe = "wss://127.0.0.1:${http}/"\npin = ["sha256//${'A'.repeat(43)}="]`,
  });
  for (const [path, message] of [
    ['/tls', 'secure line'],
    ['/https', 'secure event'],
    ['/wss', 'secure message'],
  ] as const) {
    const viewer = await EventClient.open(running.port, path);
    assert.deepEqual(await viewer.first(1), [message]);
    viewer.close();
  }
  assert.ok(names.includes('board.lan'));
  for (const path of ['/stranger', '/unnamed', '/pinned']) {
    const viewer = await EventClient.open(running.port, path);
    assert.deepEqual(await viewer.first(1, 'notice'), [failing('its certificate is not accepted')]);
    viewer.close();
  }
  assert.equal(await running.stop(), 0);
});

test('a listener that appears late is found', async (t) => {
  const server = createServer((socket) => socket.write('here\n'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const running = await startSubscribed(t, { '/x': `subscribe = "tcp://127.0.0.1:${port}"` });
  const viewer = await EventClient.open(running.port, '/x');
  assert.deepEqual(await viewer.first(1, 'notice'), [failing('nothing listens there')]);
  const again = createServer((socket) => socket.write('here\n'));
  again.listen(port, '127.0.0.1');
  await once(again, 'listening');
  t.after(() => again.close());
  assert.deepEqual(await viewer.first(1), ['here']);
  assert.deepEqual(await viewer.first(2, 'notice'), [failing('nothing listens there'), BACK]);
  viewer.close();
  assert.equal(await running.stop(), 0);
});
