/** Requests over HTTP/2: what is handed up, bodies, answers, and what is refused. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import type { Exchange } from '../../../../src/engine/engine.ts';
import {
  ask2,
  DATA,
  END_STREAM,
  errorCode,
  FrameClient,
  frame,
  get,
  HEADERS,
  head,
  number32,
  openSession,
  RST_STREAM,
  request,
  startHttp2,
  WINDOW_UPDATE,
} from '../../../support/http2.ts';
import { rawRequest } from '../../../support/raw.ts';
import { MAX_HEADER_BYTES, PatternSource, text } from '../../../support/trial.ts';
import { until } from '../../../support/until.ts';

const MB = 1 << 20;

/** Takes the body and answers with its size and digest; now and then it holds the body for a moment. */
function digest(exchange: Exchange): void {
  const hash = createHash('sha256');
  let size = 0;
  exchange.receive({
    chunk(bytes) {
      hash.update(bytes);
      size += bytes.length;
      exchange.pauseBody();
      setImmediate(() => exchange.resumeBody());
    },
    end: () => exchange.reply(text(`${size} ${hash.digest('hex')}`)),
  });
}

describe('HTTP/2: requests', { concurrency: true }, () => {
  test('a head is handed up as in HTTP/1', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('ok')));
    const session = await openSession(trial.port);
    const answer = await ask2(session, {
      ':path': '/a/../b%2f//c?x=%20&y',
      cookie: ['a=1', 'b=2'],
      'x-two': ['1', '2'],
      'x-name': 'caf\xe9',
    });
    assert.equal(answer.status, 200);
    assert.equal(answer.body.toString(), 'ok');
    assert.equal(answer.headers['content-length'], '2');
    assert.match(String(answer.headers['date']), /GMT$/);
    const [seen] = trial.events.requests;
    assert(seen !== undefined);
    assert.deepEqual([seen.method, seen.path, seen.query, seen.version], ['GET', '/a/../b%2f//c', 'x=%20&y', '2.0']);
    assert.deepEqual(seen.headers, [
      ['host', 'board.test'],
      ['cookie', 'a=1; b=2'],
      ['x-two', '1'],
      ['x-two', '2'],
      ['x-name', 'caf\xe9'],
    ]);
    assert.equal(seen.remoteAddress, '127.0.0.1');
    assert.equal(seen.remotePort, session.socket.localPort);
    assert.deepEqual(seen.listener, { name: 'test', secure: true, port: trial.port });
    assert.equal(seen.tls?.serverName, 'board.test');
    session.close();
    await trial.close();
  });

  test('the same listener speaks HTTP/1.1 with who does not offer HTTP/2', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('ok')));
    const reply = await rawRequest(trial.port, 'GET / HTTP/1.1\r\nHost: board.test\r\n\r\n');
    assert.equal(reply.status, 200);
    assert.equal(trial.events.requests[0]?.version, '1.1');
    await trial.close();
  });

  test('a listener without it agrees on HTTP/1.1', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('ok')), { http2: false });
    await assert.rejects(FrameClient.connect(trial.port), /alpn|no application protocol/i);
    await trial.close();
  });

  test('bodies of every size, many at once', async () => {
    const trial = await startHttp2(digest);
    const session = await openSession(trial.port);
    const sizes = [0, 1, 1000, 64 * 1024, 64 * 1024 + 1, 3 * MB, 10 * MB];
    await Promise.all(
      sizes.map(async (size) => {
        const body = Buffer.alloc(size, 'abc');
        const { body: said } = await ask2(session, { ':method': 'POST', ':path': '/' }, body);
        assert.equal(said.toString(), `${size} ${createHash('sha256').update(body).digest('hex')}`);
      }),
    );
    session.close();
    await trial.close();
  });

  test('a body whose length is announced, and one that is held back', async () => {
    let held: Exchange | undefined;
    const trial = await startHttp2((exchange) => {
      assert.equal(exchange.hasBody, true);
      assert.equal(exchange.contentLength, 2 * MB);
      held = exchange;
      digest(exchange);
      exchange.pauseBody();
    });
    const session = await openSession(trial.port);
    const headers = { ':method': 'PUT', ':path': '/', 'content-length': String(2 * MB) };
    const stream = session.request(headers);
    stream.end(Buffer.alloc(2 * MB));
    await until(() => held !== undefined, 'the request');
    // The window of a stream is 64 KiB: the rest waits with the client.
    await until(() => stream.bufferSize > MB, 'the client to be held back');
    held?.resumeBody();
    const parts: Buffer[] = [];
    stream.on('data', (bytes: Buffer) => parts.push(bytes));
    await once(stream, 'close');
    assert.match(Buffer.concat(parts).toString(), /^2097152 /);
    session.close();
    await trial.close();
  });

  test('a body that the client takes back has no end', async () => {
    let ended = false;
    let aborted = false;
    const trial = await startHttp2((exchange) => {
      exchange.onAborted(() => {
        aborted = true;
      });
      exchange.receive({
        chunk: () => undefined,
        end: () => {
          ended = true;
        },
      });
    });
    // As it is, and as Chromium aborts a fetch whose body is a stream.
    for (const [code, end] of [
      [0, false],
      [8, false],
      [8, true],
    ] as const) {
      aborted = false;
      const client = await FrameClient.connect(trial.port);
      client.write(head(1), frame(DATA, 0, 1, Buffer.from('the first half')));
      await until(() => trial.events.requests.length > 0, 'the request');
      if (end) client.write(frame(DATA, END_STREAM, 1));
      client.write(frame(RST_STREAM, 0, 1, number32(code)));
      await until(() => aborted, `the abort by code ${code}`);
      assert.equal(ended, false);
      client.socket.destroy();
      trial.events.requests.length = 0;
    }
    await trial.close();
  });

  test('an answer before the body is over: the client reads it, and need not send the rest', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('too large', 413)));
    const session = await openSession(trial.port);
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    const parts: Buffer[] = [];
    stream.on('data', (bytes: Buffer) => parts.push(bytes));
    stream.on('error', () => undefined);
    stream.write('a part');
    await once(stream, 'close');
    assert.equal(Buffer.concat(parts).toString(), 'too large');
    assert.equal(stream.rstCode, 0);
    // The others of the connection are not touched by it.
    assert.equal((await ask2(session, { ':path': '/' })).status, 413);
    session.close();
    await trial.close();
  });

  for (const [what, reply, status, body] of [
    ['a body without a length', { body: new PatternSource(3 * MB, undefined) }, 200, 3 * MB],
    ['a body with a length', { body: new PatternSource(3 * MB, 3 * MB) }, 200, 3 * MB],
    ['an empty source', { body: new PatternSource(0, 0) }, 200, 0],
    ['none', { body: undefined }, 200, 0],
    ['204', { status: 204, body: 'never sent' }, 204, 0],
    ['205', { status: 205, body: 'never sent' }, 205, 0],
    ['304', { status: 304, body: 'never sent' }, 304, 0],
  ] as const) {
    test(`an answer with ${what}`, async () => {
      const trial = await startHttp2((exchange) => exchange.reply({ status: 200, headers: [], ...reply }));
      const session = await openSession(trial.port);
      const answer = await ask2(session, { ':path': '/' });
      assert.deepEqual([answer.status, answer.body.length, answer.code], [status, body, 0]);
      session.close();
      await trial.close();
    });
  }

  test('HEAD, answered at once and later', async () => {
    const trial = await startHttp2((exchange) => {
      const go = () => exchange.reply({ status: 200, headers: [], body: new PatternSource(MB, MB) });
      if (exchange.request.path === '/later') setTimeout(go, 20);
      else go();
    });
    const session = await openSession(trial.port);
    for (const path of ['/', '/later']) {
      const answer = await ask2(session, { ':method': 'HEAD', ':path': path });
      assert.deepEqual([answer.status, answer.body.length, answer.code], [200, 0, 0]);
      assert.equal(answer.headers['content-length'], String(MB));
    }
    session.close();
    await trial.close();
  });

  test('fields: what there can be only one of is sent once, bytes are kept, a 426 names no upgrade', async () => {
    const trial = await startHttp2((exchange) =>
      exchange.reply({
        status: exchange.request.path === '/426' ? 426 : 200,
        headers: [
          ['content-type', 'a/b'],
          ['content-type', 'c/d'],
          ['set-cookie', '1'],
          ['set-cookie', '2'],
          ['x-name', 'caf\xe9'],
          ['date', 'never'],
          ...(exchange.request.path === '/426' ? [['upgrade', 'websocket'] as const] : []),
        ],
        body: 'x',
      }),
    );
    const session = await openSession(trial.port);
    const { headers } = await ask2(session, { ':path': '/' });
    assert.equal(headers['content-type'], 'a/b');
    assert.deepEqual(headers['set-cookie'], ['1', '2']);
    assert.equal(headers['x-name'], 'caf\xe9');
    assert.notEqual(headers['date'], 'never');
    assert.equal((await ask2(session, { ':path': '/426' })).headers['upgrade'], undefined);
    session.close();
    await trial.close();
  });

  test('a status that HTTP/2 does not have becomes 500, and is reported', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('odd', 666)));
    const session = await openSession(trial.port);
    assert.equal((await ask2(session, { ':path': '/' })).status, 500);
    session.close();
    await trial.close([/HTTP\/2 has no status 666/]);
  });

  test('a body that breaks off resets its stream, and no other', async () => {
    const trial = await startHttp2((exchange) => {
      if (exchange.request.path === '/') exchange.reply(text('ok'));
      else {
        const fail = { at: 64 * 1024, act: (sink: { fail(error: Error): void }) => sink.fail(new Error('no more')) };
        exchange.reply({ status: 200, headers: [], body: new PatternSource(2 * MB, undefined, fail) });
      }
    });
    const client = await FrameClient.connect(trial.port);
    client.write(request(1, get('/broken')), frame(WINDOW_UPDATE, 0, 1, number32(MB)));
    client.write(frame(WINDOW_UPDATE, 0, 0, number32(MB)));
    assert.equal(errorCode(await client.next(RST_STREAM, 1)), 2);
    assert(
      client.frames.every(({ type, flags }) => type !== DATA || flags === 0),
      'no end of the body',
    );
    client.write(request(3));
    await client.next(HEADERS, 3);
    client.socket.destroy();
    await trial.close([/no more/]);
  });

  for (const [what, fields, status] of [
    ['two hosts that differ', [...get('/'), ['host', 'other.test']], 421],
    [
      'CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'board.test:443'],
      ],
      405,
    ],
    ['an unknown protocol', [[':method', 'CONNECT'], [':protocol', 'webtransport'], ...get('/').slice(1)], 501],
    ['a head that is too large', [...get('/'), ['x', 'y'.repeat(MAX_HEADER_BYTES)]], 431],
    ['the key of a handshake', [...get('/'), ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ==']], 426],
    ['two lengths', [...get('/'), ['content-length', '0'], ['content-length', '0']], undefined],
    ['a length that its body does not have', [...get('/'), ['content-length', '7']], undefined],
    ['Connection', [...get('/'), ['connection', 'close']], undefined],
    ['Transfer-Encoding', [...get('/'), ['transfer-encoding', 'chunked']], undefined],
    ['a name in capitals', [...get('/'), ['X-Name', 'x']], undefined],
    ['no host', get('/').filter(([name]) => name !== ':authority'), undefined],
    ['no path', get('/').filter(([name]) => name !== ':path'), undefined],
    ['a relative path', get('index.html'), undefined],
  ] as const) {
    test(`refused: ${what}${status === undefined ? '' : ` (${status})`}`, async () => {
      const trial = await startHttp2((exchange) => exchange.reply(text('ok')));
      const client = await FrameClient.connect(trial.port);
      client.write(
        request(
          1,
          fields.map(([name, value]) => [name, value]),
        ),
      );
      if (status === undefined) {
        // nghttp2 ends such a stream by itself, before there is a request.
        const { payload } = await client.next(RST_STREAM, 1);
        assert.equal(payload.readUInt32BE(0), 1);
      } else {
        await client.next(HEADERS, 1);
        assert.equal(trial.events.refusals.length, 1);
      }
      assert.equal(trial.events.requests.length, 0);
      // The connection goes on.
      client.write(request(3));
      await client.next(HEADERS, 3);
      client.socket.destroy();
      await trial.close();
    });
  }

  test('a field with a line feed is left out', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('ok')));
    const client = await FrameClient.connect(trial.port);
    client.write(request(1, [...get('/'), ['x-name', 'a\nb'], ['x-other', 'c']]));
    await client.next(HEADERS, 1);
    assert.deepEqual(trial.events.requests[0]?.headers, [
      ['host', 'board.test'],
      ['x-other', 'c'],
    ]);
    client.socket.destroy();
    await trial.close();
  });

  test('hosts that are the same are one', async () => {
    const trial = await startHttp2((exchange) => exchange.reply(text('ok')));
    const session = await openSession(trial.port);
    assert.equal((await ask2(session, { ':path': '/', host: 'BOARD.test:443' })).status, 200);
    assert.deepEqual(trial.events.requests[0]?.headers, [['host', 'BOARD.test:443']]);
    session.close();
    await trial.close();
  });

  test('a client that leaves: every exchange of its connection hears of it, and sources are cancelled', async () => {
    const sources: PatternSource[] = [];
    let aborted = 0;
    const trial = await startHttp2((exchange) => {
      exchange.onAborted(() => aborted++);
      if (exchange.request.path === '/never') return;
      const source = new PatternSource(100 * MB, undefined);
      sources.push(source);
      exchange.reply({ status: 200, headers: [], body: source });
    });
    const session = await openSession(trial.port);
    for (const path of ['/never', '/never', '/big', '/big'])
      session.request({ ':path': path }).on('error', () => undefined);
    await until(() => sources.length === 2 && trial.events.requests.length === 4, 'the requests');
    session.destroy();
    await until(() => aborted === 4, 'the aborts');
    assert.deepEqual(
      sources.map(({ cancelled }) => cancelled),
      [1, 1],
    );
    await until(() => trial.events.connections === 0, 'the end of the connection');
    await trial.close();
  });
});
