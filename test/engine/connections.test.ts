/** What engines do with a connection that is one too many: the contract of `EngineEvents.opened` and `closed`. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TestSocket } from '../support/client.ts';
import { RawClient, rawRequest } from '../support/raw.ts';
import { ENGINES, Trial, text } from '../support/trial.ts';
import { until } from '../support/until.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

for (const engine of ENGINES) {
  describe(`${engine}: connections`, () => {
    test('one too many is let go, the others are served on, and room is room again', async () => {
      const trial = await Trial.start(engine, (exchange) => exchange.reply(text('ok')));
      trial.events.room = 2;
      const [one, two] = [await RawClient.connect(trial.port), await RawClient.connect(trial.port)];
      await until(() => trial.events.connections === 2, 'both to be counted');
      const third = await RawClient.connect(trial.port);
      await third.ended();
      // Of the 503 a client may see less: what it sends meanwhile can meet a closed connection.
      const said = third.received.toString('latin1');
      assert.match(said, /^HTTP\/1\.1 503 .*\r\nRetry-After: \d/s);
      for (const client of [one, two]) {
        client.send(REQUEST);
        assert.equal((await client.reply()).status, 200);
      }
      one.destroy();
      await until(() => trial.events.connections === 1, 'its end to be told');
      assert.equal((await rawRequest(trial.port, REQUEST)).status, 200);
      two.destroy();
      await until(() => trial.events.connections === 0, 'all ends to be told');
      await trial.close();
    });

    test('a connection that became a WebSocket is told of once', async () => {
      const trial = await Trial.start(engine, (exchange) =>
        exchange.upgrade({
          protocol: undefined,
          headers: [],
          maxMessage: 100,
          handlers: { open() {}, message() {}, drain() {}, pong() {}, ping() {}, close() {} },
          cancel() {},
        }),
      );
      const sockets = [
        await TestSocket.open(`ws://127.0.0.1:${trial.port}/`),
        await TestSocket.open(`ws://127.0.0.1:${trial.port}/`),
      ];
      assert.equal(trial.events.connections, 2);
      sockets[0]?.ws.close();
      sockets[1]?.ws.terminate();
      await until(() => trial.events.connections === 0, 'both ends to be told');
      await trial.close();
      assert.equal(trial.events.connections, 0);
    });
  });
}
