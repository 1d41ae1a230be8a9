/** HTTP/2 connections: how they count, how they end, and WebSocket over them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import type { Exchange } from '../../../../src/engine/engine.ts';
import {
  ask2,
  DATA,
  errorCode,
  FrameClient,
  frame,
  GOAWAY,
  get,
  HEADERS,
  head,
  number32,
  openSession,
  RST_STREAM,
  request,
  startHttp2,
} from '../../../support/http2.ts';
import { PatternSource, text } from '../../../support/trial.ts';
import { until } from '../../../support/until.ts';
import { Recorded, upgradeTo } from '../../../support/websocket.ts';

const CONNECT: readonly (readonly [string, string])[] = [
  [':method', 'CONNECT'],
  [':protocol', 'websocket'],
  ...get('/')
    .slice(1)
    .map(([name, value]) => [name, value] as const),
];
const ASK = [...CONNECT, ['sec-websocket-version', '13']] as const;
/** A text frame of a client, masked with zeros. */
const HELLO = Buffer.from([0x81, 0x85, 0, 0, 0, 0, ...Buffer.from('hello')]);
const BYE = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);

function fields(list: readonly (readonly [string, string])[]): [string, string][] {
  return list.map(([name, value]) => [name, value]);
}

describe('HTTP/2: connections', { concurrency: true }, () => {
  test('one connection counts once, however many requests it has', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('ok')));
    const session = await openSession(trial.port);
    await Promise.all(Array.from({ length: 50 }, () => ask2(session, { ':path': '/' })));
    assert.equal(trial.events.connections, 1);
    session.close();
    await until(() => trial.events.connections === 0, 'the end of the connection');
    await trial.close();
  });

  test('stop: the client is told, what is under way is answered, then the connection is closed', async () => {
    const waiting: Exchange[] = [];
    const trial = await startHttp2((exchange) => waiting.push(exchange));
    const session = await openSession(trial.port);
    const idle = await openSession(trial.port);
    const goaways: number[] = [];
    session.on('goaway', (code) => goaways.push(code));
    const answer = ask2(session, { ':path': '/' });
    await until(() => waiting.length === 1, 'the request');
    trial.listening.stop();
    await until(() => goaways.length > 0 && idle.destroyed, 'the notice');
    for (const exchange of waiting) exchange.reply(text('done'));
    assert.equal((await answer).body.toString(), 'done');
    await trial.listening.finished;
    await until(() => session.destroyed, 'the end of the connection');
    assert(goaways.every((code) => code === 0));
    await trial.close();
  });

  test('close drops what is under way', async () => {
    let aborted = 0;
    const trial = await startHttp2((exchange) => exchange.onAborted(() => aborted++));
    const session = await openSession(trial.port);
    session.request({ ':path': '/' }).on('error', () => undefined);
    await until(() => trial.events.requests.length === 1, 'the request');
    await trial.close();
    assert.equal(aborted, 1);
  });

  test('an idle connection is closed, also one that never said a word, and one that does not hang up itself', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('ok')), {
      headerTimeout: 1000,
      keepAliveTimeout: 1000,
    });
    const silent = await FrameClient.connect(trial.port, Buffer.alloc(0));
    const idle = await FrameClient.connect(trial.port);
    const asked = await FrameClient.connect(trial.port);
    asked.write(request(1));
    await asked.next(HEADERS, 1);
    assert.equal(errorCode(await idle.next(GOAWAY)), 0);
    assert.equal(errorCode(await asked.next(GOAWAY)), 0);
    await silent.ended();
    // All three keep their side open.
    await until(() => trial.events.connections === 0, 'the end of every connection');
    assert.deepEqual(trial.events.refusals, []);
    await trial.close();
  });

  test('a connection with an endless answer is not idle', async () => {
    const source = new PatternSource(1 << 30, undefined, { at: 64 * 1024, act: () => undefined });
    const trial = await startHttp2((exchange) => exchange.reply({ status: 200, headers: [], body: source }), {
      keepAliveTimeout: 100,
    });
    const session = await openSession(trial.port);
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => undefined);
    stream.resume();
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(stream.destroyed, false);
    session.destroy();
    await until(() => source.cancelled === 1, 'the cancelled source');
    await trial.close();
  });

  test('a client that shuts its sending side has left', async () => {
    let aborted = 0;
    const trial = await startHttp2((exchange) => exchange.onAborted(() => aborted++));
    const client = await FrameClient.connect(trial.port);
    client.write(request(1));
    await until(() => trial.events.requests.length === 1, 'the request');
    client.socket.end();
    await until(() => aborted === 1 && trial.events.connections === 0, 'the abort');
    client.socket.destroy();
    await trial.close();
  });

  test('a client that leaves at each step leaves nothing', async () => {
    const recorded = new Recorded();
    const trial = await startHttp2((exchange) => {
      if (exchange.handshake !== undefined) upgradeTo(exchange, recorded);
      else if (exchange.hasBody) exchange.receive({ chunk: () => undefined, end: () => undefined });
      else exchange.reply({ status: 200, headers: [], body: new PatternSource(1 << 24, undefined) });
    });
    const steps: readonly Buffer[] = [
      request(1),
      head(3),
      frame(DATA, 0, 3, Buffer.from('a part')),
      head(5, fields(ASK)),
      frame(DATA, 0, 5, HELLO.subarray(0, 3)),
      frame(DATA, 0, 5, HELLO.subarray(3)),
      frame(RST_STREAM, 0, 1, number32(8)),
      frame(HEADERS, 0, 7),
    ];
    for (let step = 0; step <= steps.length; step++) {
      for (const reset of [false, true]) {
        const client = await FrameClient.connect(trial.port);
        client.write(...steps.slice(0, step));
        await new Promise((resolve) => setTimeout(resolve, 10));
        if (reset) client.socket.destroy();
        else client.socket.end();
        await until(() => trial.events.connections === 0, `the end behind step ${step}`);
        client.socket.destroy();
      }
    }
    trial.listening.stop();
    await trial.listening.finished;
    await trial.close();
  });
});

describe('HTTP/2: WebSocket (RFC 8441)', { concurrency: true }, () => {
  test('a handshake, messages both ways, and the end', async () => {
    const recorded = new Recorded((socket, data, binary) => socket.send(data, binary));
    const trial = await startHttp2((exchange) => {
      assert.equal(exchange.request.method, 'GET');
      assert.deepEqual(exchange.handshake, { protocols: ['mqttv3.1', 'mqtt'] });
      upgradeTo(exchange, recorded, { protocol: 'mqtt', headers: [['x-name', 'caf\xe9']] });
    });
    const session = await openSession(trial.port);
    await once(session, 'remoteSettings').catch(() => undefined);
    const stream = session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'https',
        ':path': '/',
        ':authority': 'board.test',
        'sec-websocket-version': '13',
        'sec-websocket-protocol': 'mqttv3.1, mqtt',
      },
      { endStream: false },
    );
    const [headers] = await once(stream, 'response');
    assert.equal(headers[':status'], 200);
    assert.equal(headers['sec-websocket-protocol'], 'mqtt');
    assert.equal(headers['x-name'], 'caf\xe9');
    const received: Buffer[] = [];
    stream.on('data', (bytes: Buffer) => received.push(bytes));
    stream.write(HELLO);
    const echo = Buffer.from([0x81, 0x05, ...Buffer.from('hello')]);
    await until(() => Buffer.concat(received).equals(echo), 'the echo');
    // Others of the connection go on meanwhile.
    stream.end(BYE);
    assert.equal(await recorded.closed(), 'close 1000 ');
    await until(() => stream.destroyed, 'the end of the stream');
    assert.equal(stream.rstCode, 0);
    session.close();
    await trial.close();
  });

  for (const [what, list, status] of [
    ['another version', [...CONNECT, ['sec-websocket-version', '8']], '426'],
    ['no version', CONNECT, '426'],
    ['a bad subprotocol', [...ASK, ['sec-websocket-protocol', 'a b']], '400'],
  ] as const) {
    test(`a handshake with ${what}: ${status}`, async () => {
      const trial = await startHttp2((exchange) => exchange.reply(text('ok')));
      const client = await FrameClient.connect(trial.port);
      client.write(head(1, fields(list)));
      await client.next(HEADERS, 1);
      assert.match((await client.next(DATA, 1)).payload.toString(), /^refused: a/);
      assert.equal(trial.events.refusals.length, 1);
      assert.equal(trial.events.requests.length, 0);
      client.socket.destroy();
      await trial.close();
    });
  }

  test('a handshake that is refused above is an answer', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('not now', 503)));
    const client = await FrameClient.connect(trial.port);
    client.write(head(1, fields(ASK)));
    await client.next(HEADERS, 1);
    assert.equal((await client.next(DATA, 1)).payload.toString(), 'not now');
    client.socket.destroy();
    await trial.close();
  });

  for (const code of [0, 8]) {
    test(`a client that resets its stream with ${code}: 1006`, async () => {
      const recorded = new Recorded();
      const trial = await startHttp2((exchange) => upgradeTo(exchange, recorded));
      const client = await FrameClient.connect(trial.port);
      client.write(head(1, fields(ASK)));
      await recorded.opened();
      client.write(frame(RST_STREAM, 0, 1, number32(code)));
      assert.equal(await recorded.closed(), 'close 1006 ');
      client.socket.destroy();
      await trial.close();
    });
  }

  test('a frame that is not masked: 1002, and the stream ends', async () => {
    const recorded = new Recorded();
    const trial = await startHttp2((exchange) => upgradeTo(exchange, recorded));
    const client = await FrameClient.connect(trial.port);
    client.write(head(1, fields(ASK)), frame(DATA, 0, 1, Buffer.from([0x81, 0x01, 0x61])));
    assert.match(await recorded.closed(), /^close 1002/);
    client.socket.destroy();
    await trial.close();
  });

  test('terminate resets the stream, and no other', async () => {
    const recorded = new Recorded((socket) => socket.terminate());
    const trial = await startHttp2((exchange) => {
      if (exchange.handshake === undefined) exchange.reply(text('ok'));
      else upgradeTo(exchange, recorded);
    });
    const client = await FrameClient.connect(trial.port);
    client.write(head(1, fields(ASK)), frame(DATA, 0, 1, HELLO));
    await client.next(RST_STREAM, 1);
    client.write(request(3));
    await client.next(HEADERS, 3);
    client.socket.destroy();
    await trial.close();
  });
});
