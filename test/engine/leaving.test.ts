/** The contract of an engine: a WebSocket client that closes, and what the handlers hear of it and when. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clientFrame, PING } from '../support/frames.ts';
import { RawClient } from '../support/raw.ts';
import { CONTRACT, engineName, type Row, Trial } from '../support/trial.ts';
import { until } from '../support/until.ts';
import { Recorded, upgradeTo } from '../support/websocket.ts';

const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
const CLOSE = 8;
const TEXT = 1;

/** A WebSocket that is open, and its client, which does nothing by itself. */
async function open(name: Row, recorded: Recorded, keepsOpen = false): Promise<{ trial: Trial; client: RawClient }> {
  const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded, { maxMessage: 1000 }));
  const client = await RawClient.connect(trial.port, keepsOpen);
  client.send(HANDSHAKE);
  await recorded.opened();
  await until(() => client.received.includes('\r\n\r\n'), 'the 101');
  return { trial, client };
}

for (const name of CONTRACT) {
  describe(`${name}: a WebSocket client leaves`, { concurrency: true }, () => {
    for (const [what, payload, told] of [
      ['with a code and a reason', Buffer.from([0x0f, 0xa0, ...Buffer.from('mine')]), 'close 4000 mine'],
      ['without a code', Buffer.alloc(0), 'close 1005 '],
    ] as const) {
      test(`its close frame counts ${what}, though it leaves the connection to us`, async () => {
        const recorded = new Recorded();
        const { trial, client } = await open(name, recorded);
        client.send(clientFrame(CLOSE, payload));
        assert.equal(await recorded.closed(), told);
        // The answer comes, and then the end.
        await client.ended();
        assert(client.received.includes(Buffer.from([0x88, payload.length])));
        assert.deepEqual(recorded.events, ['open', told]);
        await trial.close();
      });
    }

    test('what is sent behind a close frame is not handed up', async () => {
      const recorded = new Recorded();
      const { trial, client } = await open(name, recorded);
      client.send(Buffer.concat([clientFrame(CLOSE, Buffer.alloc(0)), clientFrame(TEXT, Buffer.from('late')), PING]));
      assert.equal(await recorded.closed(), 'close 1005 ');
      await client.ended();
      assert.deepEqual(recorded.events, ['open', 'close 1005 ']);
      await trial.close();
    });

    test('a client that breaks the rules counts as gone at once, though it keeps the connection', async () => {
      const recorded = new Recorded();
      const { trial, client } = await open(name, recorded);
      client.send(clientFrame(TEXT, Buffer.alloc(1001, 'x')));
      assert.match(await recorded.closed(), /^close 1009 /);
      await client.ended();
      assert(client.received.includes('message too big'));
      await trial.close();
    });
  });
}

for (const name of CONTRACT.filter((row) => engineName(row) === 'node')) {
  test(`${name}: whose close frame has come holds up nothing, even while it does not let go of the connection`, async () => {
    const recorded = new Recorded();
    const { trial, client } = await open(name, recorded, true);
    client.send(clientFrame(CLOSE, Buffer.from([0x03, 0xe8])));
    assert.equal(await recorded.closed(), 'close 1000 ');
    assert.equal(client.socket.destroyed, false, 'told before the client has done anything more');
    trial.listening.stop();
    await trial.listening.finished;
    await trial.close();
  });
}
