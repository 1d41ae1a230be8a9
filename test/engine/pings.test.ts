/** The contract of an engine: frames that cost a client nothing to send, and what they may cost us. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clientFrame, PING } from '../support/frames.ts';
import { RawClient } from '../support/raw.ts';
import { Trial } from '../support/trial.ts';
import { until } from '../support/until.ts';
import { Recorded, upgradeTo } from '../support/websocket.ts';

const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
const CONTINUATION = 0;
const TEXT = 1;

class Counting extends Recorded {
  pings = 0;
  pingBytes = 0;
  override ping(bytes: number): void {
    this.pings++;
    this.pingBytes += bytes;
  }
}

for (const name of ['node', 'tls'] as const) {
  const start = async (recorded: Recorded): Promise<{ trial: Trial; client: RawClient }> => {
    const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
    const client = await RawClient.connect(trial.port);
    client.send(HANDSHAKE);
    await recorded.opened();
    return { trial, client };
  };

  describe(`${name}: frames that cost nothing to send`, () => {
    test('a hundred pings at once are told, and each is answered', async () => {
      const recorded = new Counting();
      const { trial, client } = await start(recorded);
      client.send(Buffer.concat(Array.from({ length: 100 }, () => PING)));
      const pong = Buffer.from('\x8a\x05hello', 'latin1');
      await until(() => client.received.length >= client.received.indexOf(pong) + 100 * pong.length, 'a hundred pongs');
      assert.deepEqual([recorded.pings, recorded.pingBytes], [100, 500]);
      client.destroy();
      await recorded.closed();
      await trial.close();
    });

    test('a message in very many empty or tiny pieces is refused', async () => {
      for (const piece of [Buffer.alloc(0), Buffer.from('x')]) {
        const recorded = new Counting();
        const { trial, client } = await start(recorded);
        client.send(clientFrame(TEXT, piece, false));
        const many = Buffer.concat(Array.from({ length: 1000 }, () => clientFrame(CONTINUATION, piece, false)));
        for (let at = 0; at < 10; at++) client.send(many);
        assert.match(await recorded.closed(), /^close 1008 /);
        assert.equal(recorded.messages.length, 0);
        client.destroy();
        await trial.close();
      }
    });
  });
}
