/** The contract of an engine: how long it waits for a request, and for the next one. `uws` has times of its own, 8 to 12 s. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RawClient } from '../support/raw.ts';
import { CONTRACT, engineName, Trial, text } from '../support/trial.ts';
import { until } from '../support/until.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const SHORT = 300;

for (const row of CONTRACT) {
  const name = engineName(row);
  const start = (changes: { headerTimeout?: number; keepAliveTimeout?: number }): Promise<Trial> =>
    Trial.start(row, (exchange) => exchange.reply(text('ok')), changes);

  describe(`${row}: waiting for requests`, { concurrency: true }, () => {
    test('a head that does not come to its end, with a byte now and then', async () => {
      const trial = await start({ headerTimeout: SHORT });
      const client = await RawClient.connect(trial.port);
      client.send('GET / HTTP/1.1\r\nHost: x\r\n');
      const dripping = setInterval(() => client.send('a: b\r\n'), 100);
      await client.ended();
      clearInterval(dripping);
      if (name === 'node') assert.match(client.received.toString(), /^HTTP\/1\.1 408 /);
      assert.deepEqual(trial.events.refusals, name === 'node' ? ['a head that took too long'] : []);
      assert.deepEqual(trial.events.requests, []);
      await trial.close();
    });

    test('a connection that says nothing: told so where that is possible, and closed', async () => {
      const trial = await start({ headerTimeout: SHORT });
      const client = await RawClient.connect(trial.port);
      await client.ended();
      // uWebSockets.js looks for it in its own time, and says nothing. A listener of the usual kind does not give it such a connection.
      const isNode = name === 'node';
      if (isNode) assert.match(client.received.toString(), /^HTTP\/1\.1 408 /);
      assert.deepEqual(trial.events.refusals, isNode ? ['a connection without a request'] : []);
      await until(() => trial.events.connections === 0, 'its end to be told');
      await trial.close();
    });

    test('a connection that is not used again', async () => {
      const trial = await start({ keepAliveTimeout: SHORT });
      const client = await RawClient.connect(trial.port);
      for (let count = 0; count < 2; count++) {
        client.send(REQUEST);
        assert.equal((await client.reply()).status, 200);
      }
      await client.ended();
      assert.deepEqual([trial.events.requests.length, trial.events.refusals], [2, []]);
      await trial.close();
    });
  });
}
