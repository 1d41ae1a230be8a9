/** A switch to WebSocket that is decided when the request's own callback is long over, as it is where a program is started first. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { Trial } from '../../support/trial.ts';
import { until } from '../../support/until.ts';
import { Recorded, upgradeTo } from '../../support/websocket.ts';

const ASK =
  'GET / HTTP/1.1\r\nHost: board.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

/** Greets at once. */
class Greeting extends Recorded {
  override open(...[socket]: Parameters<Recorded['open']>): void {
    super.open(socket);
    socket.send('welcome', false);
  }
}

test('the answer goes out in one packet, with what is sent at once behind it', async () => {
  const headers = [['x-name', 'a']] as const;
  const trial = await Trial.start('uws', (exchange) => {
    setTimeout(() => upgradeTo(exchange, new Greeting(), { headers }), 5);
  });
  for (let round = 0; round < 3; round++) {
    const chunks: string[] = [];
    const client = connect(trial.port, '127.0.0.1', () => client.write(ASK));
    client.on('data', (chunk: Buffer) => chunks.push(chunk.toString('latin1')));
    await until(() => chunks.join('').includes('welcome'), 'the first message');
    assert.equal(chunks.length, 1, chunks.join('|'));
    assert.match(chunks[0] ?? '', /^HTTP\/1\.1 101 .*x-name: a\r\n.*\r\n\r\n\x81\x07welcome$/s);
    client.destroy();
  }
  await trial.close();
});
