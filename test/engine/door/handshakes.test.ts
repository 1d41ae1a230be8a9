/** Handshakes that do not come to an end, at every step: each connection is counted, and counted out again. */
import assert from 'node:assert/strict';
import { constants } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { connect as connectSecurely } from 'node:tls';
import { rawRequest } from '../../support/raw.ts';
import { type Row, Trial, text } from '../../support/trial.ts';
import { until } from '../../support/until.ts';
import { recordedHello } from './hellos.ts';

const HELLO = recordedHello('node');
/** What a client may send behind its hello that is no part of a handshake: an alert, plain HTTP, noise, a record that never ends. */
const BEHIND: Readonly<Record<string, Buffer>> = {
  nothing: Buffer.alloc(0),
  'an alert': Buffer.from([21, 3, 3, 0, 2, 2, 40]),
  'plain HTTP': Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  noise: Buffer.alloc(500, 0xa5),
  'a record without its end': Buffer.from([22, 3, 3, 0x3f, 0xff, 1]),
};

for (const row of ['uws-tls', 'tls'] as const satisfies readonly Row[]) {
  describe(`${row}: handshakes that do not end`, { concurrency: true }, () => {
    const start = () => Trial.start(row, (exchange) => exchange.reply(text('hello')));

    async function allGone(trial: Trial): Promise<void> {
      await until(() => trial.events.connections === 0, 'all connections to be counted out');
      assert.equal(
        (await rawRequest(trial.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).status,
        200,
      );
      await until(() => trial.events.connections === 0, 'the last one, too');
      await trial.close();
    }

    for (const how of ['reset', 'end'] as const)
      test(`a client that leaves within or behind its hello (${how})`, async () => {
        const trial = await start();
        for (let length = 0; length <= HELLO.length; length += length < 12 ? 1 : 71) {
          const socket = connect({ host: '127.0.0.1', port: trial.port });
          socket.on('error', () => {});
          await once(socket, 'connect');
          socket.write(HELLO.subarray(0, length));
          // Once before the server can have looked, once after its answer.
          if (length % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
          if (how === 'reset') socket.resetAndDestroy();
          else socket.end();
          socket.resume();
        }
        await allGone(trial);
      });

    test('a client that leaves within its handshake counts no longer than it stays', async () => {
      // Longer than any test waits.
      const trial = await Trial.start(row, (exchange) => exchange.reply(text('hello')), { headerTimeout: 600_000 });
      for (const length of [0, 6, 200, HELLO.length]) {
        const socket = connect({ host: '127.0.0.1', port: trial.port });
        await once(socket, 'connect');
        socket.write(HELLO.subarray(0, length));
        // The engine has it by now.
        if (length === HELLO.length) await once(socket, 'data');
        else if (length > 0) await until(() => trial.events.connections === 1, 'the connection to be counted');
        await new Promise((resolve) => setTimeout(resolve, 100));
        socket.resume();
        socket.end();
        await once(socket, 'close');
        await until(() => trial.events.connections === 0, `the end of one that left behind ${length} bytes`);
      }
      await allGone(trial);
    });

    test('something else behind a whole hello', async () => {
      const trial = await start();
      for (const [what, bytes] of Object.entries(BEHIND))
        for (const together of [true, false]) {
          const socket = connect({ host: '127.0.0.1', port: trial.port });
          let closed = false;
          socket.on('error', () => {});
          socket.on('close', () => {
            closed = true;
          });
          await once(socket, 'connect');
          let answered = false;
          socket.on('data', () => {
            answered = true;
          });
          socket.write(HELLO);
          if (!together) await until(() => answered, 'the server’s hello');
          socket.write(bytes);
          if (what === 'nothing' || what === 'a record without its end') socket.destroy();
          await until(() => closed, `the end after ${what}`);
        }
      await allGone(trial);
    });

    test('a client that refuses the certificate, or breaks the connection off within the handshake', async () => {
      const trial = await start();
      for (const options of [
        {},
        { maxVersion: 'TLSv1.2' },
        { maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET },
      ] as const) {
        const socket = connectSecurely({ host: '127.0.0.1', port: trial.port, servername: 'board.test', ...options });
        await assert.rejects(once(socket, 'secureConnect'), /certificate/);
      }
      await allGone(trial);
    });
  });
}
