/** The contract of an engine: requests and their bodies. The same for both; what differs is a row of its own. */
import assert from 'node:assert/strict';
import { createHash, type Hash } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { describe, test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { Exchange } from '../../src/engine/engine.ts';
import { RawClient, rawRequest } from '../support/raw.ts';
import { CONTRACT, engineName, isSecure, Trial, text } from '../support/trial.ts';
import { until } from '../support/until.ts';

const HOST = 'Host: board.test\r\n';
const MB = 1 << 20;
/** An address of this machine that is reached by naming its link, as "fe80::1%eth0". */
const LINK_LOCAL = Object.entries(networkInterfaces())
  .flatMap(([link, all = []]) => all.map(({ address }) => `${address}%${link}`))
  .find((address) => address.startsWith('fe80:'));

/** Takes the body and answers with its size and digest; every `pauseEvery` bytes it holds it for a few turns. */
function digest(exchange: Exchange, pauseEvery = Number.POSITIVE_INFINITY): void {
  const hash: Hash = createHash('sha256');
  let size = 0;
  let sincePause = 0;
  exchange.receive({
    chunk(bytes) {
      hash.update(bytes);
      size += bytes.length;
      sincePause += bytes.length;
      if (sincePause < pauseEvery) return;
      sincePause = 0;
      exchange.pauseBody();
      setTimeout(() => exchange.resumeBody(), 3);
    },
    end: () => exchange.reply(text(`${size} ${hash.digest('hex')}`)),
  });
}

function expectedDigest(body: Uint8Array): string {
  return `${body.length} ${createHash('sha256').update(body).digest('hex')}`;
}

function asChunks(body: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

for (const name of CONTRACT) {
  describe(`${name}: requests`, { concurrency: true }, () => {
    // Over TLS all connections of an identity are in one app of uWebSockets.js.
    const knowsConnection = engineName(name) === 'node' || !isSecure(name);
    test('the address of ours that the client has reached, as far as the engine can tell', async () => {
      const everywhere = knowsConnection ? '127.0.0.1' : undefined;
      for (const [host, expected] of [
        ['127.0.0.1', '127.0.0.1'],
        ['0.0.0.0', everywhere],
        ['::', everywhere],
      ] as const) {
        const address = { kind: 'tcp', host, port: 0 } as const;
        const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')), { address });
        assert.equal((await rawRequest(trial.port, `GET / HTTP/1.1\r\n${HOST}\r\n`)).status, 200);
        assert.equal(trial.events.requests[0]?.localAddress, expected, host);
        await trial.close();
      }
    });

    test('a head is handed up as it was sent', async () => {
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')));
      const reply = await rawRequest(
        trial.port,
        `GET /a/../b%2f//c?x=%20&y HTTP/1.1\r\n${HOST}X-Two: 1\r\nx-One:  padded \t\r\nX-TWO: 2\r\nEmpty:\r\n\r\n`,
      );
      assert.equal(reply.status, 200);
      const request = trial.events.requests[0];
      assert(request !== undefined);
      assert.equal(request.method, 'GET');
      assert.equal(request.path, '/a/../b%2f//c');
      assert.equal(request.query, 'x=%20&y');
      assert.equal(request.version, '1.1');
      assert.deepEqual(request.headers, [
        ['host', 'board.test'],
        ['x-two', '1'],
        ['x-one', 'padded'],
        ['x-two', '2'],
        ['empty', ''],
      ]);
      assert.equal(request.remoteAddress, '127.0.0.1');
      assert.deepEqual(request.listener, { name: 'test', secure: isSecure(name), port: trial.port });
      await trial.close();
    });

    test('bytes above ASCII in a target are handed up as they were sent, one character for each', async () => {
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')));
      const targets = ['/caf\xc3\xa9', '/?name=caf\xc3\xa9&x', '/\xf0\x9f\x98\x80?\xe2\x82\xac'];
      // What is not UTF-8 uWebSockets.js has lost by then.
      const lost = ['/caf\xe9', '/?caf\xe9', '/\xc3?\xa9', '/\xed\xa0\x80'];
      for (const target of [...targets, ...lost]) {
        const reply = await rawRequest(trial.port, `GET ${target} HTTP/1.1\r\n${HOST}\r\n`);
        // Node's parser takes none of them.
        assert.equal(reply.status, engineName(name) !== 'uws' || lost.includes(target) ? 400 : 200, target);
      }
      assert.deepEqual(
        trial.events.requests.map(({ path, query }) => (query === undefined ? path : `${path}?${query}`)),
        engineName(name) === 'uws' ? targets : [],
      );
      await trial.close();
    });

    test('the client port is known, as far as the engine can tell', async () => {
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')));
      const client = await RawClient.connect(trial.port);
      client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      await client.reply();
      assert.equal(trial.events.requests[0]?.remotePort, knowsConnection ? client.socket.localPort : undefined);
      client.destroy();
      await trial.close();
    });

    test('a query is told apart from none, and a method keeps its letters', async () => {
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')));
      const client = await RawClient.connect(trial.port);
      for (const line of ['GET /?', 'GET /', 'M-SEARCH /a?b?c']) {
        client.send(`${line} HTTP/1.1\r\n${HOST}\r\n`);
        await client.reply();
      }
      assert.deepEqual(
        trial.events.requests.map(({ method, path, query }) => [method, path, query]),
        [
          ['GET', '/', ''],
          ['GET', '/', undefined],
          ['M-SEARCH', '/a', 'b?c'],
        ],
      );
      client.destroy();
      await trial.close();
    });

    test('an address of one link has no zone', { skip: LINK_LOCAL === undefined && 'needs one' }, async () => {
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')), {
        address: { kind: 'tcp', host: '::', port: 0 },
      });
      await rawRequest({ host: LINK_LOCAL ?? '', port: trial.port }, `GET / HTTP/1.1\r\n${HOST}\r\n`);
      assert.equal(trial.events.requests[0]?.remoteAddress, LINK_LOCAL?.replace(/%.*/, ''));
      await trial.close();
    });

    test('an address over IPv6 is written short, IPv4 over IPv6 dotted', async () => {
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')), {
        address: { kind: 'tcp', host: '::', port: 0 },
      });
      await rawRequest({ host: '::1', port: trial.port }, `GET / HTTP/1.1\r\n${HOST}\r\n`);
      await rawRequest({ host: '127.0.0.1', port: trial.port }, `GET / HTTP/1.1\r\n${HOST}\r\n`);
      assert.deepEqual(
        trial.events.requests.map((request) => request.remoteAddress),
        ['::1', '127.0.0.1'],
      );
      await trial.close();
    });

    test('header values have one character per byte', async () => {
      const trial = await Trial.start(name, (exchange) =>
        exchange.reply(text('ok', 200, [['x-back', exchange.request.headers.at(-1)?.[1] ?? '']])),
      );
      const value = 'a \xc3\xa9 \xe2\x82\xac z';
      const reply = await rawRequest(trial.port, `GET / HTTP/1.1\r\n${HOST}X: ${value}\r\n\r\n`);
      assert.equal(trial.events.requests[0]?.headers.at(-1)?.[1], value);
      assert.equal(reply.header('x-back'), value);
      // What is not UTF-8, or stands at the edge, is lost on one engine.
      await rawRequest(trial.port, `GET / HTTP/1.1\r\n${HOST}X: a\xe9b\r\n\r\n`);
      await rawRequest(trial.port, `GET / HTTP/1.1\r\n${HOST}X: caf\xc3\xa9\r\n\r\n`);
      assert.deepEqual(
        trial.events.requests.slice(1).map((request) => request.headers.at(-1)?.[1]),
        { uws: ['a\xef\xbf\xbdb', 'caf'], node: ['a\xe9b', 'caf\xc3\xa9'] }[engineName(name)],
      );
      await trial.close();
    });

    for (const size of [0, 1, 64 * 1024, 50 * MB]) {
      test(`a body of ${size} bytes, with a length and in chunks, without and with pauses`, async () => {
        const trial = await Trial.start(name, (exchange) => {
          assert.equal(exchange.hasBody, size > 0 || exchange.contentLength === undefined);
          digest(exchange, exchange.request.path === '/pause' ? 5 * MB : undefined);
        });
        const body = Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz0123456789');
        for (const path of size > MB ? ['/', '/pause'] : ['/']) {
          for (const chunked of [false, true]) {
            const framing = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${size}`;
            const client = await RawClient.connect(trial.port);
            client.send(`POST ${path} HTTP/1.1\r\n${HOST}${framing}\r\n\r\n`);
            client.send(chunked ? asChunks(body, 300_007) : body);
            const reply = await client.reply();
            assert.equal(reply.status, 200);
            assert.equal(reply.body.toString(), expectedDigest(body));
            client.destroy();
          }
        }
        await trial.close();
      });
    }

    test('a head and a body that come byte by byte', async () => {
      const trial = await Trial.start(name, (exchange) => digest(exchange));
      const client = await RawClient.connect(trial.port);
      client.send('POST / HTTP/1.1\r\n');
      for (const byte of `${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n`) {
        client.send(byte);
        await turn();
      }
      assert.equal((await client.reply()).body.toString(), expectedDigest(Buffer.from('abc0123456789')));
      client.destroy();
      await trial.close();
    });

    test('a request line that comes in pieces: 505 on uws, served by node', async () => {
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')));
      const client = await RawClient.connect(trial.port);
      client.socket.setNoDelay(true);
      client.send('GET / HT');
      // The pieces must be read apart: a request on another connection comes between.
      await rawRequest(trial.port, `GET /between HTTP/1.1\r\n${HOST}\r\n`);
      client.send(`TP/1.1\r\n${HOST}\r\n`);
      assert.equal((await client.reply()).status, { uws: 505, node: 200 }[engineName(name)]);
      client.destroy();
      await trial.close();
    });

    test('a POST without a body ends at once', async () => {
      const trial = await Trial.start(name, (exchange) => digest(exchange));
      const reply = await rawRequest(trial.port, `POST / HTTP/1.1\r\n${HOST}\r\n`);
      assert.equal(reply.body.toString(), expectedDigest(Buffer.alloc(0)));
      await trial.close();
    });

    test('a body paused from the start arrives when it is resumed', async () => {
      const chunks: string[] = [];
      const held: Exchange[] = [];
      const trial = await Trial.start(name, (exchange) => {
        exchange.receive({
          chunk: (bytes) => chunks.push(bytes.toString()),
          end: () => exchange.reply(text(chunks.join(''))),
        });
        exchange.pauseBody();
        held.push(exchange);
      });
      const client = await RawClient.connect(trial.port);
      client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\n01234`);
      await until(() => held.length === 1, 'the request');
      held[0]?.resumeBody();
      client.send('56789');
      assert.equal((await client.reply()).body.toString(), '0123456789');
      client.destroy();
      await trial.close();
    });

    test('a large body that is held back in its middle stays with its client', async () => {
      const size = 128 * MB;
      let received = 0;
      let atPause: number | undefined;
      const held: Exchange[] = [];
      const trial = await Trial.start(name, (exchange) => {
        held.push(exchange);
        exchange.receive({
          chunk(bytes) {
            received += bytes.length;
            if (atPause !== undefined || received < 64 * MB) return;
            atPause = received;
            exchange.pauseBody();
          },
          end: () => exchange.reply(text(String(received))),
        });
      });
      const client = await RawClient.connect(trial.port);
      client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${size}\r\n\r\n`);
      client.send(Buffer.alloc(size));
      await until(() => atPause !== undefined, 'half of it');
      // Until nothing moves any more.
      for (let before = -1; before !== received; await sleep(300)) before = received;
      const more = received - (atPause ?? 0);
      assert(more < MB, `${more} bytes were taken behind the pause`);
      held[0]?.resumeBody();
      assert.equal((await client.reply()).body.toString(), String(size));
      client.destroy();
      await trial.close();
    });

    test('the body can be taken only during the callback', async () => {
      let thrown: unknown;
      const trial = await Trial.start(name, (exchange) => {
        setImmediate(() => {
          try {
            exchange.receive({ chunk() {}, end() {} });
          } catch (error) {
            thrown = error;
          }
          exchange.reply(text('late'));
        });
      });
      await rawRequest(trial.port, `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\na`);
      assert(thrown instanceof Error);
      await trial.close();
    });

    test('an early answer reaches a client that is still sending, and the connection is closed', async () => {
      for (const later of [false, true]) {
        const trial = await Trial.start(name, (exchange) => {
          const answer = () => exchange.reply(text('too large', 413));
          if (later) setImmediate(answer);
          else answer();
        });
        const client = await RawClient.connect(trial.port);
        client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${4 * MB}\r\n\r\n`);
        client.send(Buffer.alloc(3 * MB));
        const reply = await client.reply();
        assert.equal(reply.status, 413);
        assert.equal(reply.header('connection')?.toLowerCase(), 'close');
        await client.ended();
        await trial.close();
      }
    });

    test('a body that nobody took does not disturb the next request', async () => {
      const trial = await Trial.start(name, (exchange) => {
        if (exchange.request.method === 'GET') return exchange.reply(text('next'));
        setTimeout(() => exchange.reply(text('done')), 30);
      });
      const client = await RawClient.connect(trial.port);
      client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`);
      assert.equal((await client.reply()).body.toString(), 'done');
      client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      assert.equal((await client.reply()).body.toString(), 'next');
      client.destroy();
      await trial.close();
    });

    test('Expect: 100-continue', async () => {
      const trial = await Trial.start(name, (exchange) => {
        if (exchange.request.path === '/no') exchange.reply(text('no', 417));
        else digest(exchange);
      });
      const expect = 'Expect: 100-continue\r\nContent-Length: 2\r\n';
      const client = await RawClient.connect(trial.port);
      client.send(`POST / HTTP/1.1\r\n${HOST}${expect}\r\n`);
      assert.equal((await client.reply()).status, 100);
      client.send('ok');
      assert.equal((await client.reply()).body.toString(), expectedDigest(Buffer.from('ok')));
      client.destroy();
      // One engine has said 100 before it asks anybody.
      const refused = await rawRequest(trial.port, `POST /no HTTP/1.1\r\n${HOST}${expect}\r\n`);
      assert.equal(refused.status, { uws: 100, node: 417 }[engineName(name)]);
      await trial.close();
    });

    test('a connection serves one request after the other', async () => {
      const trial = await Trial.start(name, (exchange) => digest(exchange));
      const client = await RawClient.connect(trial.port);
      for (let at = 0; at < 20; at++) {
        const body = 'x'.repeat(at);
        // One engine closes after chunks.
        const framing =
          at % 2 || engineName(name) === 'uws'
            ? `Content-Length: ${at}\r\n\r\n${body}`
            : `Transfer-Encoding: chunked\r\n\r\n${asChunks(Buffer.from(body), 7)}`;
        client.send(`POST / HTTP/1.1\r\n${HOST}${framing}`);
        const reply = await client.reply();
        assert.equal(reply.body.toString(), expectedDigest(Buffer.from(body)));
        assert.notEqual(reply.header('connection')?.toLowerCase(), 'close');
      }
      client.destroy();
      await trial.close();
    });

    test('pipelined requests answered at once come back in order', async () => {
      const trial = await Trial.start(name, (exchange) => exchange.reply(text(exchange.request.path)));
      const client = await RawClient.connect(trial.port);
      client.send(['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`).join(''));
      for (const path of ['/1', '/2', '/3']) assert.equal((await client.reply()).body.toString(), path);
      client.destroy();
      await trial.close();
    });

    test('pipelined requests answered later: served in order by node, dropped by uws', async () => {
      const trial = await Trial.start(name, (exchange) => {
        setTimeout(() => exchange.reply(text(exchange.request.path)), exchange.request.path === '/1' ? 30 : 0);
      });
      const client = await RawClient.connect(trial.port);
      client.send(['/1', '/2'].map((path) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`).join(''));
      if (engineName(name) !== 'uws') {
        assert.equal((await client.reply()).body.toString(), '/1');
        assert.equal((await client.reply()).body.toString(), '/2');
        client.destroy();
      } else {
        await client.ended();
        assert.equal(client.received.length, 0);
      }
      await trial.close();
    });

    test('HTTP/1.0: 505 on uws, served and closed by node', async () => {
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('old')));
      const client = await RawClient.connect(trial.port);
      client.send('GET / HTTP/1.0\r\n\r\n');
      const reply = await client.reply();
      assert.equal(reply.status, { uws: 505, node: 200 }[engineName(name)]);
      await client.ended();
      if (engineName(name) !== 'uws') {
        assert.equal(reply.body.toString(), 'old');
        assert.equal(trial.events.requests[0]?.version, '1.0');
      }
      await trial.close();
    });

    test('an absolute target: 505 on uws, on node for the named host only', async () => {
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')));
      const ours = await rawRequest(trial.port, `GET http://Board.test/a?b HTTP/1.1\r\n${HOST}\r\n`);
      const theirs = await rawRequest(trial.port, `GET http://other.test/a HTTP/1.1\r\n${HOST}\r\n`);
      assert.deepEqual([ours.status, theirs.status], { uws: [505, 505], node: [200, 421] }[engineName(name)]);
      assert.deepEqual(
        trial.events.requests.map(({ path, query }) => [path, query]),
        { uws: [], node: [['/a', 'b']] }[engineName(name)],
      );
      await trial.close();
    });

    test('CONNECT is refused', async () => {
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')));
      const client = await RawClient.connect(trial.port);
      client.send(`CONNECT other.test:443 HTTP/1.1\r\n${HOST}\r\n`);
      assert.equal((await client.reply()).status, { uws: 505, node: 405 }[engineName(name)]);
      await client.ended();
      assert.equal(trial.events.requests.length, 0);
      await trial.close();
    });

    test('an upgrade to something else is served as if it were not asked for', async () => {
      const trial = await Trial.start(name, (exchange) => {
        assert.equal(exchange.handshake, undefined);
        digest(exchange);
      });
      const client = await RawClient.connect(trial.port);
      const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n';
      client.send(`POST / HTTP/1.1\r\n${HOST}${offer}Content-Length: 5\r\n\r\nhello`);
      assert.equal((await client.reply()).body.toString(), expectedDigest(Buffer.from('hello')));
      client.send(`GET / HTTP/1.1\r\n${HOST}${offer}\r\n`);
      assert.equal((await client.reply()).body.toString(), expectedDigest(Buffer.alloc(0)));
      client.destroy();
      await trial.close();
    });

    test('a throw in the callback is answered with 500, and the process lives', async () => {
      const trial = await Trial.start(name, (exchange) => {
        if (exchange.request.path === '/throw') throw new Error('a mistake');
        exchange.reply(text('ok'));
      });
      assert.equal((await rawRequest(trial.port, `GET /throw HTTP/1.1\r\n${HOST}\r\n`)).status, 500);
      assert.equal((await rawRequest(trial.port, `GET / HTTP/1.1\r\n${HOST}\r\n`)).status, 200);
      await trial.close([/a mistake/]);
    });

    test('a throw while taking a body ends that connection only', async () => {
      const trial = await Trial.start(name, (exchange) => {
        if (exchange.request.method === 'GET') return exchange.reply(text('ok'));
        exchange.receive({
          chunk() {
            throw new Error('a mistake');
          },
          end() {},
        });
      });
      const client = await RawClient.connect(trial.port);
      client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`);
      await client.ended();
      assert.equal((await rawRequest(trial.port, `GET / HTTP/1.1\r\n${HOST}\r\n`)).status, 200);
      await trial.close([/a mistake/]);
    });
  });
}
