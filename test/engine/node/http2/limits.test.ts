/** What one HTTP/2 connection may ask of us, and what becomes of one that asks more. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Budget, isHttp2Sound } from '../../../../src/engine/node/http2/limits.ts';
import {
  CONTINUATION,
  DATA,
  END_HEADERS,
  errorCode,
  FrameClient,
  frame,
  GOAWAY,
  get,
  HEADERS,
  head,
  headerBlock,
  number32,
  openSession,
  PING,
  PREFACE,
  RST_STREAM,
  request,
  SETTINGS,
  startHttp2,
  WINDOW_UPDATE,
} from '../../../support/http2.ts';
import { MAX_HEADER_BYTES, type Trial, text } from '../../../support/trial.ts';
import { until } from '../../../support/until.ts';

/** Sends until the connection is ended. */
async function flood(client: FrameClient, next: (at: number) => Buffer): Promise<void> {
  for (let at = 0; at < 20_000 && !client.socket.destroyed && !client.socket.readableEnded; at++) {
    client.write(next(at));
    if (at % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await client.ended();
  // What was on its way then may have cost the client the last frame, but not another reason than this.
  for (const one of client.frames) if (one.type === GOAWAY) assert.notEqual(errorCode(one), 0);
}

/** A client that does as it should is served all the while, and nothing is left of the other. */
async function othersAreServed(trial: Trial, client: FrameClient): Promise<void> {
  await client.ended();
  client.socket.destroy();
  const other = await FrameClient.connect(trial.port);
  other.write(request(1));
  await other.next(HEADERS, 1);
  other.socket.destroy();
  await until(() => trial.events.connections === 0, 'the end of every connection');
}

describe('HTTP/2: limits', { concurrency: true }, () => {
  for (const [what, next] of [
    [
      'requests that are reset at once',
      (at) => Buffer.concat([request(2 * at + 1), frame(RST_STREAM, 0, 2 * at + 1, number32(8))]),
    ],
    // "Made you reset": the window overflows, so that it is us who resets.
    [
      'requests that are reset for a mistake',
      (at) => Buffer.concat([request(2 * at + 1), frame(WINDOW_UPDATE, 0, 2 * at + 1, number32(2 ** 31 - 1))]),
    ],
    ['PING frames', () => frame(PING, 0, 0, Buffer.alloc(8))],
    ['SETTINGS frames', () => frame(SETTINGS, 0, 0)],
  ] as const satisfies readonly (readonly [string, (at: number) => Buffer])[]) {
    test(`a flood of ${what}`, async () => {
      let begun = 0;
      const trial = await startHttp2((exchange) => {
        begun++;
        if (exchange.request.headers.some(([name]) => name === 'now')) exchange.reply(text('ok'));
        else setTimeout(() => exchange.reply(text('ok')), 50);
      });
      const client = await FrameClient.connect(trial.port);
      await flood(client, next);
      await until(() => trial.events.refusals.length > 0, 'the refusal');
      assert.equal(trial.events.refusals.length, 1, trial.events.refusals.join());
      assert.match(trial.events.refusals[0] ?? '', /^(too many|broken HTTP\/2)/);
      assert(begun < 2000, `${begun} requests were begun`);
      await othersAreServed(trial, client);
      await trial.close();
    });
  }

  test('a flood of empty DATA frames', async () => {
    const trial = await startHttp2((exchange) => {
      if (exchange.hasBody) exchange.receive({ chunk: () => undefined, end: () => undefined });
      else exchange.reply(text('ok'));
    });
    const client = await FrameClient.connect(trial.port);
    client.write(head(1));
    await flood(client, () => frame(DATA, 0, 1));
    await othersAreServed(trial, client);
    assert.match(trial.events.refusals.join(), /^broken HTTP\/2: [^,]*$/);
    await trial.close();
  });

  test('a head without an end', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('ok')), { keepAliveTimeout: 1000 });
    const client = await FrameClient.connect(trial.port);
    client.write(frame(HEADERS, 0, 1, headerBlock(get('/'))));
    for (let at = 0; at < 1000 && !client.socket.destroyed; at++)
      client.write(frame(CONTINUATION, 0, 1, headerBlock([[`x-${at}`, 'y'.repeat(1000)]])));
    await othersAreServed(trial, client);
    assert.equal(trial.events.requests.length, 1);
    await trial.close();
  });

  test('a head that is small on the wire and large in memory', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('ok')));
    const client = await FrameClient.connect(trial.port);
    // One large field is remembered (RFC 7541 section 6.2.1), and named again and again by one byte.
    const value = Buffer.from(`x${'y'.repeat(3000)}`);
    const literal = headerBlock([['x-bomb', value.toString()]]);
    literal[0] = 0x40;
    const block = Buffer.concat([headerBlock(get('/')), literal, Buffer.alloc(10_000, 0xbe)]);
    client.write(frame(HEADERS, END_HEADERS | 1, 1, block));
    assert.notEqual(errorCode(await client.next(RST_STREAM, 1)), 0);
    assert.equal(trial.events.requests.length, 0);
    client.socket.destroy();
    await trial.close();
  });

  test('what the settings say: streams at once, size of a head, WebSocket', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('ok')));
    const session = await openSession(trial.port);
    await until(() => session.remoteSettings.enableConnectProtocol === true, 'the settings');
    assert.equal(session.remoteSettings.maxConcurrentStreams, 100);
    assert.equal(session.remoteSettings.maxHeaderListSize, 2 * MAX_HEADER_BYTES);
    session.close();
    await trial.close();
  });

  test('more requests at once than there may be, by a client that has agreed to it', async () => {
    let aborted = 0;
    const trial = await startHttp2((exchange) => {
      if (exchange.request.path === '/now') exchange.reply(text('ok'));
      else exchange.onAborted(() => aborted++);
    });
    const client = await FrameClient.connect(trial.port);
    await client.next(SETTINGS);
    client.write(frame(SETTINGS, 1, 0));
    client.write(...Array.from({ length: 101 }, (_, at) => request(2 * at + 1, get('/later'))));
    await client.ended();
    await until(() => aborted === trial.events.requests.length, 'the aborts');
    assert(trial.events.requests.length <= 100);
    client.socket.destroy();
    await trial.close();
  });

  for (const [what, bytes] of [
    ['HTTP/1.1', Buffer.from('GET / HTTP/1.1\r\nHost: board.test\r\n\r\n')],
    ['garbage', Buffer.alloc(1000, 0xfe)],
  ] as const) {
    test(`${what} where HTTP/2 was agreed on: refused, and counted once`, async () => {
      const trial = await startHttp2((exchange) => exchange.reply(text('ok')));
      const client = await FrameClient.connect(trial.port, bytes);
      await client.ended();
      await until(() => trial.events.refusals.length > 0, 'the refusal');
      assert.match(trial.events.refusals.join(), /^broken HTTP\/2: [^,]*$/);
      await othersAreServed(trial, client);
      await trial.close();
    });
  }

  for (const [what, bytes] of [
    ['too large', frame(DATA, 0, 1, Buffer.alloc(20_000))],
    ['on a stream that there cannot be', frame(DATA, 0, 2, Buffer.from('x'))],
  ] as const) {
    test(`a frame ${what}: the connection is ended`, async () => {
      const trial = await startHttp2((exchange) => exchange.reply(text('ok')), { keepAliveTimeout: 500 });
      const client = await FrameClient.connect(trial.port, Buffer.concat([PREFACE, bytes]));
      await othersAreServed(trial, client);
      await trial.close();
    });
  }

  test('a budget: a burst, and then a rate', () => {
    const budget = new Budget({ burst: 3, perSecond: 1 });
    const start = performance.now();
    const taken = [0, 0, 0, 0, 5000].map((later) => budget.take(start + later));
    assert.deepEqual(taken, [true, true, true, false, true]);
  });

  test('which Node can do it', () => {
    assert.deepEqual(
      ['18.20.0', '20.11.0', '20.12.0', '20.12.1', '20.20.2', '21.9.0', '22.23.3', '24.0.0'].map(isHttp2Sound),
      [false, false, false, true, true, false, true, true],
    );
  });
});
