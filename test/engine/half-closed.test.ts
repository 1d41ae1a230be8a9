/**
 * The contract of the engine on Node: what a connection is for besides one request and its answer. A client that shuts its sending side is
 * answered; what comes behind a request does not take the place of its answer; answers that nobody reads are bounded.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Exchange } from '../../src/engine/engine.ts';
import { RawClient } from '../support/raw.ts';
import { PATTERN, PatternSource, Trial, text } from '../support/trial.ts';
import { until } from '../support/until.ts';
import { Recorded, upgradeTo } from '../support/websocket.ts';

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

for (const name of ['node', 'tls'] as const) {
  describe(`${name}: a client that shuts its sending side`, { concurrency: true }, () => {
    test('is answered when the answer comes later, and then the connection ends', async () => {
      let exchange: Exchange | undefined;
      let aborted = false;
      const trial = await Trial.start(name, (each) => {
        exchange = each;
        each.onAborted(() => {
          aborted = true;
        });
      });
      const client = await RawClient.connect(trial.port, true);
      client.send(GET);
      client.socket.end();
      let ended = false;
      client.socket.on('end', () => {
        ended = true;
      });
      await until(() => exchange !== undefined, 'the request');
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(aborted, false);
      exchange?.reply(text('late'));
      const reply = await client.reply();
      assert.equal(reply.body.toString(), 'late');
      await until(() => ended, 'the end of the connection');
      await trial.close();
      assert.equal(aborted, false);
    });

    test('gets the whole of a large answer', async () => {
      const source = new PatternSource(8 << 20, 8 << 20);
      const trial = await Trial.start(name, (exchange) => exchange.reply({ ...text(''), body: source }));
      const client = await RawClient.connect(trial.port, true);
      client.send(GET);
      client.socket.end();
      const reply = await client.reply();
      assert.equal(reply.complete, true);
      assert(reply.body.subarray(0, PATTERN.length).equals(PATTERN));
      assert.equal(source.cancelled, 0);
      await trial.close();
    });

    test('is gone when it does so while its request is still arriving', async () => {
      let aborted = false;
      const trial = await Trial.start(name, (exchange) => {
        exchange.onAborted(() => {
          aborted = true;
        });
        exchange.receive({ chunk: () => undefined, end: () => exchange.reply(text('never')) });
      });
      const client = await RawClient.connect(trial.port, true);
      client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello');
      client.socket.end();
      await until(() => aborted, 'the abort');
      await trial.close();
    });

    for (const when of ['before', 'after'] as const) {
      test(`is gone at once where the answer may be endless, if it says so ${when} the end`, async () => {
        let aborted = false;
        let exchange: Exchange | undefined;
        const trial = await Trial.start(name, (each) => {
          exchange = each;
          each.onAborted(() => {
            aborted = true;
          });
          if (when === 'before') each.endless();
        });
        const client = await RawClient.connect(trial.port, true);
        client.send(GET);
        await until(() => exchange !== undefined, 'the request');
        client.socket.end();
        if (when === 'after') {
          await new Promise((resolve) => setTimeout(resolve, 50));
          assert.equal(aborted, false);
          exchange?.endless();
        }
        await until(() => aborted, 'the abort');
        await trial.close();
      });
    }

    test('and is not there any more is found by what is sent to it, or by silence', async () => {
      let aborts = 0;
      const sources: PatternSource[] = [];
      const trial = await Trial.start(name, (exchange) => {
        exchange.onAborted(() => aborts++);
        if (exchange.request.path === '/silent') return;
        const source = new PatternSource(64 << 20, undefined);
        sources.push(source);
        exchange.reply({ ...text(''), body: source });
      });
      for (const path of ['/silent', '/large']) {
        const client = await RawClient.connect(trial.port);
        client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
        await until(() => trial.events.requests.some((request) => request.path === path), 'the request');
        client.destroy();
      }
      await until(() => aborts === 2, 'both aborts', 60_000);
      assert.equal(sources[0]?.cancelled, 1);
      await trial.close();
    });
  });

  describe(`${name}: what comes behind a request`, { concurrency: true }, () => {
    for (const [what, behind] of [
      ['is no request', 'this is not HTTP\r\n\r\n'],
      ['has a framing that is refused', 'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n'],
      ['is for a version that is not served', 'GET / HTTP/3.0\r\nHost: x\r\n\r\n'],
    ] as const) {
      test(`${what}: the request is answered first, then the connection ends`, async () => {
        let exchange: Exchange | undefined;
        const trial = await Trial.start(name, (each) => {
          exchange = each;
        });
        const client = await RawClient.connect(trial.port);
        client.send(GET);
        await until(() => exchange !== undefined, 'the request');
        client.send(behind);
        await until(() => trial.events.refusals.length === 1, 'the refusal');
        exchange?.reply(text('the answer'));
        const reply = await client.reply();
        assert.deepEqual([reply.status, reply.body.toString()], [200, 'the answer']);
        await client.ended();
        assert.deepEqual([trial.events.requests.length, trial.events.refusals.length], [1, 1]);
        await trial.close();
      });
    }

    test('is no request, after the head of the answer has gone: the answer is whole, then comes the refusal', async () => {
      let exchange: Exchange | undefined;
      let end = (): void => undefined;
      const trial = await Trial.start(name, (each) => {
        exchange = each;
        each.reply({
          ...text(''),
          body: {
            length: undefined,
            start(sink) {
              sink.write(Buffer.from('begun'));
              end = () => {
                sink.write(Buffer.from(' and ended'));
                sink.end();
              };
            },
            resume: () => undefined,
            cancel: () => assert.fail('cancelled'),
          },
        });
      });
      const client = await RawClient.connect(trial.port);
      client.send(GET);
      await until(() => exchange !== undefined, 'the request');
      client.send('nonsense\r\n\r\n');
      await until(() => trial.events.refusals.length === 1, 'the refusal');
      end();
      assert.equal((await client.reply()).body.toString(), 'begun and ended');
      assert.equal((await client.reply()).status, 400);
      await client.ended();
      await trial.close();
    });

    test('is very many requests: so many are served, the others are not kept', async () => {
      const exchanges: Exchange[] = [];
      const trial = await Trial.start(name, (exchange) => void exchanges.push(exchange));
      const client = await RawClient.connect(trial.port);
      client.send(GET.repeat(500));
      await until(() => exchanges.length >= 64, 'the first of them');
      for (const exchange of exchanges) exchange.reply(text('ok'));
      for (let at = 0; at < 63; at++) assert.equal((await client.reply()).header('connection'), 'keep-alive');
      assert.equal((await client.reply()).header('connection'), 'close');
      await client.ended();
      assert.equal(exchanges.length, 64);

      const rude = await RawClient.connect(trial.port);
      rude.send(GET.repeat(5000));
      await rude.ended();
      await trial.close();
    });
  });

  test(`${name}: a WebSocket handshake of a client that shuts its sending side is given up`, async () => {
    const recorded = new Recorded();
    let exchange: Exchange | undefined;
    let aborted = false;
    const trial = await Trial.start(name, (each) => {
      exchange = each;
      each.onAborted(() => {
        aborted = true;
      });
    });
    const client = await RawClient.connect(trial.port, true);
    client.send(
      'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    await until(() => exchange !== undefined, 'the request');
    client.socket.end();
    await until(() => aborted, 'the abort');
    if (exchange !== undefined) upgradeTo(exchange, recorded);
    assert.deepEqual([recorded.events, recorded.cancels], [[], 1]);
    await trial.close();
  });
}
