/** Connections to an upstream: kept, taken again, waited for, given up. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { UpstreamError } from '../../src/upstream/faults.ts';
import { serverAt, Upstream } from '../../src/upstream/upstream.ts';
import { bodyOf } from '../support/collect.ts';
import { rawServer } from '../support/raw-server.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

function upstreamAt(port: number, maxConnections = 1): Upstream {
  return new Upstream({ server: serverAt(new URL(`http://127.0.0.1:${port}/`)), maxConnections });
}

async function ask(upstream: Upstream, method = 'GET', signal = AbortSignal.timeout(20_000)): Promise<string> {
  const body = method === 'POST' ? { length: 3, bytes: Buffer.from('x=1'), descriptor: undefined } : undefined;
  const response = await upstream.ask({ method, target: '/a?b', headers: [['X-A', 'b']], body, signal });
  return `${response.status} ${await bodyOf(response)}`;
}

test('one connection for one request after the other, and what is sent', async (t) => {
  const asked: (readonly [number, string])[] = [];
  const port = await rawServer(
    t,
    (request, connection) => {
      asked.push([connection, request]);
      return [OK];
    },
    () => true,
  );
  const upstream = upstreamAt(port);
  for (const method of ['GET', 'POST', 'GET']) assert.equal(await ask(upstream, method), '200 hi');
  upstream.close();
  const head = `/a?b HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX-A: b\r\n`;
  const get = `GET ${head}Connection: keep-alive\r\n\r\n`;
  const post = `POST ${head}Content-Length: 3\r\nConnection: keep-alive\r\n\r\nx=1`;
  assert.deepEqual(asked, [
    [0, get],
    [0, post],
    [0, get],
  ]);
});

/** What is answered each time over a connection that the server keeps open. */
const NOT_KEPT = {
  close: 'HTTP/1.1 200 OK\r\nConnection: X, close\r\nContent-Length: 2\r\n\r\nhi',
  'HTTP/1.0': 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi',
  'LF only': 'HTTP/1.1 200 OK\nContent-Length: 2\n\nhi',
  'more than announced': `${OK} HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong`,
  'a length beside chunks':
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
};

for (const [name, answer] of Object.entries(NOT_KEPT))
  test(`not kept: ${name}`, async (t) => {
    const connections: number[] = [];
    const port = await rawServer(
      t,
      (_, connection) => {
        connections.push(connection);
        return [answer];
      },
      () => true,
    );
    const upstream = upstreamAt(port);
    for (let time = 0; time < 3; time++) assert.equal(await ask(upstream), '200 hi');
    assert.deepEqual(connections, [0, 1, 2]);
  });

test('kept in HTTP/1.0 where it says so', async (t) => {
  const connections: number[] = [];
  const port = await rawServer(
    t,
    (_, connection) => {
      connections.push(connection);
      return ['HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi'];
    },
    () => true,
  );
  const upstream = upstreamAt(port);
  for (let time = 0; time < 2; time++) assert.equal(await ask(upstream), '200 hi');
  upstream.close();
  assert.deepEqual(connections, [0, 0]);
});

test('a kept connection that ends as it is used: GET is sent again, POST is not', async (t) => {
  const server = createServer((socket) => {
    let requests = 0;
    socket.on('error', () => undefined);
    socket.on('data', () => {
      if (requests++ === 0) socket.write(OK);
      else socket.resetAndDestroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const upstream = upstreamAt((server.address() as { port: number }).port);
  t.after(() => upstream.close());
  for (let time = 0; time < 5; time++) assert.equal(await ask(upstream), '200 hi');
  await assert.rejects(ask(upstream, 'POST'), UpstreamError);
  assert.equal(await ask(upstream, 'POST'), '200 hi');
});

test('a server that ends before it has had a request: no endless attempts', async (t) => {
  const port = await rawServer(t, () => []);
  const upstream = upstreamAt(port);
  await assert.rejects(ask(upstream), { message: 'it closed the connection too early' });
  await assert.rejects(ask(upstream), { message: 'it closed the connection too early' });
});

test('as many connections as are allowed; the others wait, or are given up', async (t) => {
  const gate = { open: (): void => undefined };
  const opened = new Promise<void>((resolve) => {
    gate.open = resolve;
  });
  let most = 0;
  let now = 0;
  const server = createServer((socket) => {
    most = Math.max(most, ++now);
    socket.on('error', () => undefined).on('close', () => now--);
    socket.on('data', () => void opened.then(() => socket.write(OK)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const upstream = upstreamAt((server.address() as { port: number }).port, 2);
  t.after(() => upstream.close());
  const all = [1, 2, 3, 4, 5, 6].map(() => ask(upstream));
  const nobody = new AbortController();
  const givenUp = ask(upstream, 'GET', nobody.signal);
  const last = ask(upstream);
  nobody.abort(new Error('nobody waits'));
  await assert.rejects(givenUp, /nobody waits/);
  gate.open();
  for (const one of [...all, last]) assert.equal(await one, '200 hi');
  assert.equal(most, 2);
});

test('given up between every two bytes of an answer: the place is free again and the connection closed', async (t) => {
  const answer = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n';
  const open = new Set<unknown>();
  let bytes = 0;
  let all = false;
  const server = createServer({ noDelay: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
    socket.on('data', () => socket.write(all ? answer : answer.slice(0, bytes), 'latin1'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const upstream = upstreamAt((server.address() as { port: number }).port);
  for (bytes = 0; bytes < answer.length; bytes++) {
    const nobody = new AbortController();
    const asked = ask(upstream, 'GET', nobody.signal);
    for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
    nobody.abort(new Error('nobody waits'));
    await assert.rejects(asked, /nobody waits/, `${bytes}`);
  }
  const before = new AbortController();
  before.abort(new Error('before'));
  await assert.rejects(ask(upstream, 'GET', before.signal), /before/);
  const connecting = new AbortController();
  const asked = ask(upstream, 'GET', connecting.signal);
  connecting.abort(new Error('while it connects'));
  await assert.rejects(asked, /while it connects/);
  all = true;
  assert.equal(await ask(upstream), '200 hi');
  upstream.close();
  while (open.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

test('an answer that nobody reads holds its server back, and is given up by who has it', async (t) => {
  const chunk = Buffer.alloc(65_536, 'x');
  let sent = 0;
  let closed = false;
  const server = createServer((socket) => {
    socket
      .on('error', () => undefined)
      .on('close', () => {
        closed = true;
      });
    const more = (): void => {
      while (!socket.destroyed && sent < 100e6 && socket.write(chunk)) sent += chunk.length;
    };
    socket.on('drain', more);
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      more();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const upstream = upstreamAt((server.address() as { port: number }).port);
  const signal = AbortSignal.timeout(20_000);
  const { body } = await upstream.ask({ method: 'GET', target: '/', headers: [], body: undefined, signal });
  let before = -1;
  while (before !== sent) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(sent < 50e6, `${sent}`);
  assert.ok('start' in body);
  body.cancel();
  while (!closed) await new Promise((resolve) => setTimeout(resolve, 5));
  await assert.rejects(ask(upstream, 'GET', AbortSignal.timeout(200)), /./);
});

test('what is more than one line is not sent', async () => {
  const request = { method: 'GET', target: '/', body: undefined, signal: AbortSignal.timeout(1000) };
  for (const value of ['a\r\nb', 'a\nb', 'a\0b'])
    await assert.rejects(upstreamAt(1).ask({ ...request, headers: [['x', value]] }), TypeError);
  await assert.rejects(upstreamAt(1).ask({ ...request, target: '/ HTTP/1.1\r\n', headers: [] }), TypeError);
});

test('nobody listens', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  await assert.rejects(ask(upstreamAt(port)), { message: 'nothing listens there' });
});
