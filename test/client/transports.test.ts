/** The same stream by each transport, and what happens where one does not get through. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Transport } from 'runnel/client';
import { startGateway } from '../support/gateway.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { failureOf, read, readAll, write } from './support.ts';

const CONFIG = `[[listen]]
address = "127.0.0.1:0"
[stream."/shared"]
command = ["cat"]
share = "all"
history = 1000
[stream."/bytes"]
command = ["cat"]
share = "all"
framing = "length-prefixed"
history = 10
[stream."/own"]
command = ["cat"]
[stream."/ends"]
command = ["sh", "-c", "read x; echo $x; exit 3"]
share = "all"
restart = "never"
[stream."/much"]
command = ["sh", "-c", "read x; seq 1 30000"]
share = "all"
restart = "never"
history = { messages = 1000, bytes = "1MiB" }
max_behind = "16MiB"
`;

async function httpServer(t: TestContext, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

for (const transport of ['websocket', 'events', 'poll'] satisfies Transport[])
  describe(transport, () => {
    const only = { transports: [transport] };

    test('messages go both ways and have ids; binary ones too', async (t) => {
      const gateway = await startGateway(t, { config: CONFIG });
      const text = await connect(gateway.url('/shared'), only);
      await write(text, 'one', 'zwei ü', '', 'two\nlines');
      assert.deepEqual(await read(text, 5), ['one', 'zwei ü', '', 'two', 'lines']);
      assert.equal(text.facts.transport, transport);
      assert.match(text.lastEventId, /-5$/);
      const bytes = await connect(gateway.url('/bytes'), only);
      await write(bytes, Uint8Array.of(0, 255, 10, 13));
      assert.deepEqual(Buffer.from((await read(bytes, 1))[0] as Uint8Array), Buffer.from([0, 255, 10, 13]));
      await Promise.all([text.close(), bytes.close()]);
    });

    test('a connection that is cut is resumed, each message once', async (t) => {
      const gateway = await startGateway(t, { config: CONFIG });
      const line = await tcpProxy(t, { to: gateway.port, cutAfter: 80_000 });
      const sender = await connect(gateway.url('/shared'));
      const connection = await connect(`http://127.0.0.1:${line.port}/shared`, {
        ...only,
        reconnect: true,
        maxDelay: 20,
        times: { answer: 30_000 },
      });
      const wanted = Array.from({ length: 1000 }, (_, at) => `${at} ${'x'.repeat(200)}`);
      const writing = write(sender, ...wanted);
      assert.deepEqual(await read(connection, wanted.length), wanted);
      await writing;
      assert.ok(line.cuts > 0);
      await Promise.all([connection.close(), sender.close()]);
    });

    test('the end of the program is told', async (t) => {
      const gateway = await startGateway(t, { config: CONFIG });
      const connection = await connect(gateway.url('/ends'), only);
      await write(connection, 'last');
      assert.deepEqual(await readAll(connection), ['last']);
      assert.deepEqual(await connection.closed, { code: 1011, reason: 'exit 3' });
    });

    test('a slow reader gets everything that it is owed', async (t) => {
      const gateway = await startGateway(t, { config: CONFIG });
      const connection = await connect(gateway.url('/much'), only);
      await write(connection, 'go');
      let sum = 0;
      let count = 0;
      for await (const message of connection.readable) {
        sum += Number(message);
        if (count++ % 5000 === 0) await sleep(20);
      }
      assert.deepEqual([count, sum], [30_000, (30_000 * 30_001) / 2]);
    });
  });

test('an event stream has a stream of its own too, and sends to it', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG });
  const connection = await connect(gateway.url('/own'), { transports: ['events'] });
  assert.match(connection.facts.session ?? '', /./);
  await write(connection, 'mine');
  assert.deepEqual(await read(connection, 1), ['mine']);
  await connection.close();
});

test('where WebSocket is blocked the event stream comes next, and then polling', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG });
  const rows: [refuse: RegExp, transport: Transport][] = [
    [/^upgrade: websocket/im, 'events'],
    [/^upgrade: websocket|text\/event-stream/im, 'poll'],
  ];
  for (const [refuse, transport] of rows) {
    const line = await tcpProxy(t, { to: gateway.port, refuse });
    const connection = await connect(`http://127.0.0.1:${line.port}/shared`);
    assert.equal(connection.facts.transport, transport);
    await connection.close();
  }
  const line = await tcpProxy(t, { to: gateway.port, refuse: /^upgrade: websocket|text\/event-stream/im });
  const error = await failureOf(connect(`http://127.0.0.1:${line.port}/own`));
  assert.equal(error.failure, 'lost', 'that it cannot be polled says less than that the line was cut');
});

test('an event stream that is held back on its way is not waited for', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG });
  // Passes on what fills its buffer, which an event stream does not.
  const port = await httpServer(t, (request, response) => {
    if (request.headers.accept === 'text/event-stream') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      return;
    }
    void fetch(`http://127.0.0.1:${gateway.port}${request.url}`, {
      headers: request.headers['prefer'] === undefined ? {} : { prefer: 'wait=0' },
    }).then(async (answer) => response.writeHead(answer.status).end(await answer.text()));
  });
  const connection = await connect(`http://127.0.0.1:${port}/shared`, {
    transports: ['events', 'poll'],
    times: { answer: 500 },
  });
  assert.equal(connection.facts.transport, 'poll');
  await connection.close();
});

test('an event stream of another server is read, whatever its events are called', async (t) => {
  const port = await httpServer(t, (request, response) => {
    assert.equal(request.url, '/events?key=1');
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.write(
      '\ufeff: hello\r\n\r\ndata: one\r\ndata:two\r\n\r\nevent: update\rdata: {"a":1}\r\rid: 7\ndata: last\n\ndata: cut',
    );
    response.end();
  });
  const connection = await connect(`http://127.0.0.1:${port}/events?key=1`, { transports: ['events'], resume: false });
  assert.deepEqual(await read(connection, 3), ['one\ntwo', '{"a":1}', 'last']);
  assert.equal(connection.lastEventId, '7');
  assert.equal((await failureOf(connection.closed)).failure, 'lost');
});

test('a stream that is busy is asked again, one that refuses a message is an error', async (t) => {
  const statuses = [503, 429, 202, 413];
  const bodies: string[] = [];
  const port = await httpServer(t, (request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('event: joined\ndata: {"session":"s","ping":25000}\n\n');
      return;
    }
    request.on('data', (chunk: Buffer) => bodies.push(`${request.url} ${chunk.toString()}`));
    request.on('end', () => response.writeHead(statuses.shift() ?? 500, { 'retry-after': '0' }).end());
  });
  const connection = await connect(`http://127.0.0.1:${port}/x`, { transports: ['events'] });
  await write(connection, 'patient');
  assert.deepEqual(bodies, ['/x?session=s patient', '/x?session=s patient', '/x?session=s patient']);
  const error = await failureOf(write(connection, 'large'));
  assert.deepEqual([error.failure, error.status], ['unsent', 413]);
  await connection.close();
});

test('a page that is no stream is none by any transport', async (t) => {
  const port = await httpServer(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Hello');
  });
  assert.equal((await failureOf(connect(`http://127.0.0.1:${port}/`))).failure, 'protocol');
  const gone = await httpServer(t, (_request, response) => response.writeHead(404).end());
  const error = await failureOf(connect(`http://127.0.0.1:${gone}/`));
  assert.deepEqual([error.failure, error.status], ['rejected', 404]);
});

test('an event stream that falls silent between two pings is given up', async (t) => {
  const port = await httpServer(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('event: joined\ndata: {"ping":50}\n\nevent: ping\ndata: 50\n\n');
  });
  const connection = await connect(`http://127.0.0.1:${port}/`, { transports: ['events'], times: { answer: 200 } });
  await until(() => connection.facts.ping === 50, 'the facts');
  const error = await failureOf(connection.closed);
  assert.deepEqual([error.failure, error.message], ['lost', `nothing comes from 127.0.0.1:${port} any more`]);
});

test('polls that something on the way cuts are asked for again, to be held back for less', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG });
  const line = await tcpProxy(t, { to: gateway.port, idle: 1500 });
  const events: string[] = [];
  const connection = await connect(`http://127.0.0.1:${line.port}/shared`, {
    transports: ['poll'],
    onEvent: ({ type }) => events.push(type),
  });
  const other = await connect(gateway.url('/shared'));
  await until(() => line.cuts >= 4, 'some cuts');
  await write(other, 'one', 'two');
  assert.deepEqual(await read(connection, 2), ['one', 'two']);
  // Nothing was counted as a loss.
  assert.deepEqual(events, ['open']);
  await connection.close();
  await other.close();
});

test('a line that cuts every poll is lost in the end', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG });
  const line = await tcpProxy(t, { to: gateway.port, idle: 200 });
  const connection = await connect(`http://127.0.0.1:${line.port}/shared`, { transports: ['poll'] });
  assert.equal((await failureOf(connection.closed)).failure, 'lost');
});
