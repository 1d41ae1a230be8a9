/** A reader that stops holds up the sender, and a peer that stops holds up the writer: neither fills the memory. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'runnel/client';
import { Authority } from '../support/certificates.ts';
import { until } from '../support/until.ts';
import { wsServer } from './support.ts';

const PIECE = Buffer.alloc(64 * 1024, 1);
/** What buffers of the kernel and of both ends may hold, bytes; much less than what is sent. */
const MOST = 32 << 20;
const ENOUGH = 64 << 20;

/** Resolves when this number does not grow any more. */
async function standsStill(what: () => number): Promise<void> {
  let last = -1;
  for (let same = 0; same < 4; ) {
    await sleep(100);
    same = what() === last ? same + 1 : 0;
    last = what();
  }
}

for (const secure of [false, true])
  describe(secure ? 'with TLS' : 'plain', () => {
    const made = new Authority();
    const identity = made.server(['127.0.0.1']);
    const scheme = secure ? 'wss' : 'ws';
    const options = secure ? { tls: { ca: made.certificate } } : {};
    const server = async () =>
      secure
        ? (await import('node:https')).createServer({ cert: identity.certificate, key: identity.pem })
        : createServer();

    test('a reader that has stopped holds up the sender', async (t) => {
      let sent = 0;
      const port = await wsServer(
        t,
        (socket) => {
          const more = (): void => {
            if (sent < ENOUGH)
              socket.send(PIECE, () => {
                sent += PIECE.length;
                more();
              });
            else socket.close(1000);
          };
          more();
        },
        { server: await server() },
      );
      const connection = await connect(`${scheme}://127.0.0.1:${port}/`, options);
      await standsStill(() => sent);
      assert.ok(sent < MOST, `${sent} bytes were taken without a reader`);
      let got = 0;
      for await (const message of connection.readable) got += message.length;
      assert.equal(got, ENOUGH);
    });

    test('a peer that has stopped holds up the writer', async (t) => {
      let peer: Socket | undefined;
      let got = 0;
      const port = await wsServer(
        t,
        (socket, request) => {
          peer = request.socket;
          peer.pause();
          socket.on('message', (data: Buffer) => {
            got += data.length;
          });
        },
        { server: await server() },
      );
      const connection = await connect(`${scheme}://127.0.0.1:${port}/`, options);
      await until(() => peer !== undefined, 'the peer');
      const writer = connection.writable.getWriter();
      let sent = 0;
      const writing = (async () => {
        while (sent < ENOUGH) {
          await writer.write(PIECE);
          sent += PIECE.length;
        }
        await writer.close();
      })();
      await standsStill(() => sent);
      assert.ok(sent < MOST, `${sent} bytes were taken without a peer that reads`);
      peer?.resume();
      await writing;
      await until(() => got === ENOUGH, 'everything to arrive');
      await connection.close();
    });
  });
