/**
 * The contract of an engine: a peer that is slow but alive is not cut. The native engine has fixed timers of about ten seconds
 * (8 to 12), so this takes longer than that: all rows wait at the same time.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RawClient } from '../support/raw.ts';
import { connectTo } from '../support/secure.ts';
import { CONTRACT, PatternSource, Trial, text } from '../support/trial.ts';
import { until } from '../support/until.ts';

const HOST = 'Host: board.test\r\n';
/** Longer than the native timer may take to strike. Milliseconds. */
const LONG = 14_000;
const MB = 1 << 20;

describe('slow peers', { concurrency: true }, () => {
  for (const name of CONTRACT) {
    for (const taken of [true, false]) {
      test(`${name}: a body of one byte a second, ${taken ? 'taken' : 'taken by nobody'}`, async () => {
        let answer: (() => void) | undefined;
        const trial = await Trial.start(name, (exchange) => {
          answer = () => exchange.reply(text('all'));
          if (taken) exchange.receive({ chunk() {}, end: answer });
        });
        const client = await RawClient.connect(trial.port);
        const seconds = LONG / 1000;
        client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${seconds}\r\n\r\n`);
        for (let second = 0; second < seconds; second++) {
          await sleep(1000);
          assert.equal(client.closed, false);
          client.send('x');
        }
        if (!taken) answer?.();
        assert.equal((await client.reply()).body.toString(), 'all');
        client.destroy();
        await trial.close();
      });
    }

    test(`${name}: a body that we hold`, async () => {
      let resume: (() => void) | undefined;
      let received = 0;
      const trial = await Trial.start(name, (exchange) =>
        exchange.receive({
          chunk(bytes) {
            received += bytes.length;
            if (resume !== undefined) return;
            exchange.pauseBody();
            resume = () => exchange.resumeBody();
          },
          end: () => exchange.reply(text(String(received))),
        }),
      );
      const client = await RawClient.connect(trial.port);
      client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${40 * MB}\r\n\r\n`);
      client.send(Buffer.alloc(40 * MB));
      await sleep(LONG);
      assert(received < 20 * MB, `${received} bytes came through`);
      resume?.();
      assert.equal((await client.reply()).body.toString(), String(40 * MB));
      client.destroy();
      await trial.close();
    });

    for (const known of [true, false]) {
      test(`${name}: a reply that is read only after a long while (${known ? 'with a length' : 'in chunks'})`, async () => {
        const total = 30 * MB;
        const source = new PatternSource(total, known ? total : undefined);
        const trial = await Trial.start(name, (exchange) => exchange.reply({ status: 200, headers: [], body: source }));
        const socket = await connectTo({ host: '127.0.0.1', port: trial.port });
        socket.pause();
        let received = 0;
        socket.on('data', (bytes: Buffer) => {
          received += bytes.length;
        });
        socket.pause();
        socket.write(`GET / HTTP/1.1\r\n${HOST}\r\n`);
        await sleep(LONG);
        assert.equal(source.cancelled, 0);
        socket.resume();
        await until(() => received >= total, 'the rest');
        socket.destroy();
        await trial.close();
      });
    }

    test(`${name}: an idle stream of events, and an answer that takes long`, async () => {
      let write: (() => void) | undefined;
      const trial = await Trial.start(name, (exchange) => {
        if (exchange.request.path === '/slow') return void setTimeout(() => exchange.reply(text('late')), LONG);
        exchange.reply({
          status: 200,
          headers: [],
          body: {
            length: undefined,
            start(sink) {
              sink.write(Buffer.from('first'));
              write = () => sink.write(Buffer.from('second'));
            },
            resume() {},
            cancel() {},
          },
        });
      });
      const events = await RawClient.connect(trial.port);
      events.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      const slow = await RawClient.connect(trial.port);
      slow.send(`GET /slow HTTP/1.1\r\n${HOST}\r\n`);
      assert.equal((await slow.reply()).body.toString(), 'late');
      assert(events.received.includes('first'));
      write?.();
      await until(() => events.received.includes('second'), 'the second event');
      events.destroy();
      slow.destroy();
      await trial.close();
    });
  }
});
