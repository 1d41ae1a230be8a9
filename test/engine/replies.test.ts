/** The contract of an engine: replies. The same for both; what differs is a row of its own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Exchange, Reply } from '../../src/engine/engine.ts';
import { RawClient, rawRequest } from '../support/raw.ts';
import { CONTRACT, PatternSource, Trial, text } from '../support/trial.ts';
import { until } from '../support/until.ts';

const HOST = 'Host: board.test\r\n';
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`;
const MB = 1 << 20;

for (const name of CONTRACT) {
  describe(`${name}: replies`, { concurrency: true }, () => {
    test('a small reply has its length, a Date, our headers and no Server', async () => {
      const trial = await Trial.start(name, (exchange) =>
        exchange.reply(
          text('grün', 299, [
            ['x-a', '1'],
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
            ['date', 'never'],
          ]),
        ),
      );
      const reply = await rawRequest(trial.port, GET);
      assert.equal(reply.status, 299);
      assert.equal(reply.header('content-length'), '5');
      assert.equal(reply.body.toString(), 'grün');
      assert.equal(reply.header('server'), undefined);
      assert.equal(reply.header('uwebsockets'), undefined);
      assert.equal(reply.headers.filter(([key]) => key === 'date').length, 1);
      assert(!Number.isNaN(Date.parse(reply.header('date') ?? '')));
      assert.deepEqual(
        reply.headers.filter(([key]) => key === 'set-cookie' || key === 'x-a'),
        [
          ['x-a', '1'],
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
        ],
      );
      await trial.close();
    });

    test('the reason phrase: given, standard, none known', async () => {
      const reasons: Reply[] = [
        { ...text(''), status: 200, reason: 'Fine' },
        text('', 404),
        text('', 599),
        { ...text(''), status: 200, reason: 'caf\xe9' },
      ];
      const trial = await Trial.start(name, (exchange) => {
        const reply = reasons[Number(exchange.request.path.slice(1))];
        if (reply !== undefined) exchange.reply(reply);
      });
      const seen: string[] = [];
      for (const at of reasons.keys()) {
        const reply = await rawRequest(trial.port, `GET /${at} HTTP/1.1\r\n${HOST}\r\n`);
        seen.push(`${reply.status} ${reply.reason}`);
      }
      assert.deepEqual(seen, ['200 Fine', '404 Not Found', '599 Unknown', '200 caf\xe9']);
      await trial.close();
    });

    test('bytes, text, nothing, and an empty source', async () => {
      const bodies: { readonly [path: string]: () => Reply['body'] } = {
        '/bytes': () => Uint8Array.from([0, 255, 10]),
        '/text': () => 'text',
        '/nothing': () => undefined,
        '/empty': () => new PatternSource(0, 0),
      };
      const trial = await Trial.start(name, (exchange) =>
        exchange.reply({ status: 200, headers: [], body: bodies[exchange.request.path]?.() }),
      );
      const client = await RawClient.connect(trial.port);
      const seen: string[] = [];
      for (const path of Object.keys(bodies)) {
        client.send(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
        const reply = await client.reply();
        seen.push(`${reply.header('content-length')} ${reply.body.toString('hex')}`);
      }
      assert.deepEqual(seen, ['3 00ff0a', '4 74657874', '0 ', '0 ']);
      client.destroy();
      await trial.close();
    });

    for (const later of [false, true]) {
      test(`HEAD, 204 and 304 have no body, and the connection goes on (${later ? 'later' : 'at once'})`, async () => {
        const sources: PatternSource[] = [];
        const trial = await Trial.start(name, (exchange) => {
          const { path } = exchange.request;
          const source = new PatternSource(100, path === '/unknown' ? undefined : 100);
          sources.push(source);
          const status = Number(path.slice(1)) || 200;
          const answer = () =>
            exchange.reply({ status, headers: [['x-a', '1']], body: path === '/text' ? 'hello' : source });
          if (later) setImmediate(answer);
          else answer();
        });
        const client = await RawClient.connect(trial.port);
        const seen: string[] = [];
        for (const [method, path] of [
          ['HEAD', '/text'],
          ['HEAD', '/known'],
          ['HEAD', '/unknown'],
          ['GET', '/204'],
          ['GET', '/304'],
          ['GET', '/text'],
        ]) {
          client.send(`${method} ${path} HTTP/1.1\r\n${HOST}\r\n`);
          const reply = await client.reply(method);
          seen.push(`${reply.status} ${reply.header('content-length')} ${reply.header('transfer-encoding')}`);
        }
        assert.deepEqual(seen, [
          '200 5 undefined',
          '200 100 undefined',
          '200 undefined undefined',
          '204 undefined undefined',
          '304 undefined undefined',
          '200 5 undefined',
        ]);
        assert.deepEqual(
          sources.map((source) => source.cancelled),
          [0, 1, 1, 1, 1, 0],
        );
        assert.equal(client.closed, false);
        client.destroy();
        await trial.close();
      });
    }

    test('close: the reply says so', async () => {
      const trial = await Trial.start(name, (exchange) => {
        const body = exchange.request.path === '/stream' ? new PatternSource(3 * MB, undefined) : 'bye';
        exchange.reply({ status: 200, headers: [], body, close: true });
      });
      for (const path of ['/', '/stream']) {
        const reply = await rawRequest(trial.port, `GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
        assert.equal(reply.header('connection')?.toLowerCase(), 'close');
        assert.equal(reply.complete, true);
        assert.equal(reply.body.length, path === '/' ? 3 : 3 * MB);
      }
      await trial.close();
    });

    test('2 MB of bytes at once arrive whole, in the same turn and later', async () => {
      const bytes = Buffer.alloc(2 * MB, 'abc');
      const trial = await Trial.start(name, (exchange) => {
        const answer = () => exchange.reply({ status: 200, headers: [], body: bytes });
        if (exchange.request.path === '/later') setTimeout(answer, 5);
        else answer();
      });
      const client = await RawClient.connect(trial.port);
      for (const path of ['/', '/later', '/']) {
        client.send(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
        const reply = await client.reply();
        assert.equal(reply.header('content-length'), String(bytes.length));
        assert(reply.body.equals(bytes));
      }
      client.destroy();
      await trial.close();
    });

    test('a client that leaves: told once, the source is cancelled once', async () => {
      for (const length of [500 * MB, undefined]) {
        const source = new PatternSource(500 * MB, length);
        let aborted = 0;
        const held: Exchange[] = [];
        const trial = await Trial.start(name, (exchange) => {
          held.push(exchange);
          exchange.onAborted(() => aborted++);
          exchange.reply({ status: 200, headers: [], body: source });
        });
        const client = await RawClient.connect(trial.port);
        client.send(GET);
        await until(() => client.received.length > 1000, 'the first bytes');
        client.destroy();
        await until(() => source.cancelled > 0, 'the source to be cancelled');
        assert.equal(held[0]?.aborted, true);
        await trial.close();
        assert.deepEqual([aborted, source.cancelled], [1, 1]);
      }
    });

    test('a client that leaves before the answer: a late reply does nothing, its source is cancelled', async () => {
      let exchange: Exchange | undefined;
      let aborted = 0;
      const trial = await Trial.start(name, (each) => {
        exchange = each;
        each.onAborted(() => aborted++);
      });
      const client = await RawClient.connect(trial.port);
      client.send(GET);
      await until(() => exchange !== undefined, 'the request');
      client.destroy();
      await until(() => aborted === 1, 'the abort');
      const source = new PatternSource(10, 10);
      exchange?.reply({ status: 200, headers: [], body: source });
      assert.deepEqual([source.cancelled, source.written, exchange?.aborted], [1, 0, true]);
      await trial.close();
      assert.equal(aborted, 1);
    });

    test('after a complete reply there is no abort', async () => {
      let aborted = 0;
      const trial = await Trial.start(name, (exchange) => {
        exchange.onAborted(() => aborted++);
        if (exchange.request.path === '/later') setImmediate(() => exchange.reply(text('ok')));
        else exchange.reply(text('ok'));
      });
      const client = await RawClient.connect(trial.port);
      for (const path of ['/', '/later']) {
        client.send(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
        await client.reply();
      }
      client.destroy();
      trial.listening.stop();
      await trial.listening.finished;
      assert.equal(aborted, 0);
      await trial.close();
    });

    for (const [what, length, trouble, failure] of [
      ['fails midway, with a length', MB, { at: MB / 2, act: (sink) => sink.fail(new Error('gone')) }, /gone/],
      ['fails midway, without one', undefined, { at: MB / 2, act: (sink) => sink.fail(new Error('gone')) }, /gone/],
      ['ends too early', MB, { at: MB / 2, act: (sink) => sink.end() }, /wrote 524288 of the 1048576/],
      ['writes too much', MB, { at: MB / 2, act: (sink) => sink.write(Buffer.alloc(MB)) }, /more than the 1048576/],
      [
        'throws when it is resumed',
        64 * MB,
        {
          at: 32 * MB,
          act: () => {
            throw new Error('thrown');
          },
        },
        /thrown/,
      ],
    ] satisfies [string, number | undefined, ConstructorParameters<typeof PatternSource>[2], RegExp][]) {
      test(`a source that ${what}: the client can tell`, async () => {
        const trial = await Trial.start(name, (exchange) => {
          if (exchange.request.path === '/ok') exchange.reply(text('ok'));
          else exchange.reply({ status: 200, headers: [], body: new PatternSource(length ?? MB, length, trouble) });
        });
        const client = await RawClient.connect(trial.port);
        client.send(GET);
        const reply = await client.reply();
        await client.ended();
        assert.equal(reply.complete, false);
        assert.equal((await rawRequest(trial.port, `GET /ok HTTP/1.1\r\n${HOST}\r\n`)).status, 200);
        await trial.close([failure]);
      });
    }

    for (const [what, reply, failure] of [
      ['a line break in a value', text('', 200, [['x-a', 'a\r\nx-b: 1']]), /x-a has characters/],
      ['a NUL in a value', text('', 200, [['x-a', 'a\0']]), /x-a has characters/],
      ['a value beyond bytes', text('', 200, [['x-a', '€']]), /x-a has characters/],
      ['a name that is no token', text('', 200, [['x a', '1']]), /"x a" is not a header name/],
      ['a framing header', text('', 200, [['content-length', '1']]), /content-length is written by the engine/],
      ['a line break in the reason', { ...text(''), reason: 'OK\r\nx-b: 1' }, /reason phrase/],
      ['a status of 100', text('', 100), /status 100/],
      ['a status of 2000', text('', 2000), /status 2000/],
    ] satisfies [string, Reply, RegExp][]) {
      test(`a reply with ${what} becomes a 500 before anything is written`, async () => {
        const trial = await Trial.start(name, (exchange) => exchange.reply(reply));
        const answer = await rawRequest(trial.port, GET);
        assert.equal(answer.status, 500);
        assert.equal(answer.header('x-b'), undefined);
        await trial.close([failure]);
      });
    }

    test('a second answer is reported and changes nothing', async () => {
      const trial = await Trial.start(name, (exchange) => {
        exchange.reply(text('first'));
        exchange.reply(text('second'));
      });
      assert.equal((await rawRequest(trial.port, GET)).body.toString(), 'first');
      await trial.close([/twice/]);
    });

    test('an idle stream goes on: events minutes apart are not cut by the engine', async () => {
      // The time is not waited for here: what must hold is that every event arrives when it is written.
      let write: ((text: string) => void) | undefined;
      const trial = await Trial.start(name, (exchange) =>
        exchange.reply({
          status: 200,
          headers: [['content-type', 'text/event-stream']],
          body: {
            length: undefined,
            start(sink) {
              write = (event) => sink.write(Buffer.from(event));
            },
            resume() {},
            cancel() {},
          },
        }),
      );
      const client = await RawClient.connect(trial.port);
      client.send(GET);
      await until(() => write !== undefined, 'the stream to start');
      for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
        write?.(event);
        await until(() => client.received.includes(event), 'the event');
      }
      client.destroy();
      await trial.close();
    });
  });
}
