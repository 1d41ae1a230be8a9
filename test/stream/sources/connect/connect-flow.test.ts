/** Much data through a connection, and ends that do not keep up: nothing is lost and nothing grows. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { folderWith, type Running, startGateway } from '../../../support/gateway.ts';
import { type Peer, startPeer } from '../../../support/peer.ts';
import { memoryOf, until } from '../../../support/processes.ts';

const MIB = 1 << 20;
/** What goes through in all. */
const TOTAL = 100 * MIB;
const PIECE = 64 * 1024;
const PIECES = TOTAL / PIECE;
/** How much an engine's and the kernel's buffers and the garbage in between may come to, KiB. Less than what is sent. */
const GROWTH = 48 * 1024;

/** The piece at this place: no two are alike. */
function piece(at: number): Buffer {
  const bytes = Buffer.alloc(PIECE, at % 251);
  bytes.writeUInt32BE(at);
  return bytes;
}

function digestOfAll(): string {
  const hash = createHash('sha256');
  for (let at = 0; at < PIECES; at++) hash.update(piece(at));
  return hash.digest('hex');
}

async function gateway(t: TestContext, engine: string, connect: string, settings: string): Promise<Running> {
  return await startGateway(t, {
    config: `[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[stream."/x"]
connect = "${connect}"
framing = "raw"
${settings}
`,
  });
}

async function open(running: Running): Promise<WebSocket> {
  const ws = new WebSocket(`ws://127.0.0.1:${running.port}/x`, { perMessageDeflate: false });
  await once(ws, 'open');
  return ws;
}

const tcp = (peer: Peer): string => `tcp://127.0.0.1:${peer.port}`;

/** Resolves when this number has stopped growing for a while: everything in between is full. */
async function standsStill(what: () => number): Promise<void> {
  let last = -1;
  for (let same = 0; same < 3; ) {
    await sleep(150);
    same = what() === last && last > 0 ? same + 1 : 0;
    last = what();
  }
}

for (const engine of ['uws', 'node'] as const) {
  describe(`a full connection over ${engine}`, { concurrency: false }, () => {
    test('100 MiB there and back at once, over a Unix socket', async (t) => {
      const path = join(folderWith(t, {}), 'echo.sock');
      await startPeer(t, (socket) => socket.pipe(socket), path);
      // What the server has not taken waits in the gateway where the engine cannot hold the client back: as much as the client leaves unanswered.
      const window = 4 * MIB;
      const running = await gateway(t, engine, `unix:${path}`, 'max_queue = "8MiB"');
      const ws = await open(running);
      const hash = createHash('sha256');
      let received = 0;
      let sent = 0;
      const send = (): void => {
        while (sent < TOTAL && sent - received < window) {
          ws.send(piece(sent / PIECE));
          sent += PIECE;
        }
      };
      const all = new Promise<void>((resolve, reject) => {
        ws.on('message', (data: Buffer) => {
          hash.update(data);
          received += data.length;
          if (received === TOTAL) resolve();
          else send();
        });
        ws.on('close', (code, reason) => reject(new Error(`closed with ${code} ${reason} after ${received} bytes`)));
      });
      send();
      await all;
      assert.equal(hash.digest('hex'), digestOfAll());
      ws.terminate();
    });

    test('a client that does not read holds its server back, and gets everything in the end', async (t) => {
      let written = 0;
      const peer = await startPeer(t, (socket: Socket) => {
        const write = (): void => {
          while (written < TOTAL) {
            const more = socket.write(piece(written / PIECE));
            written += PIECE;
            if (!more) return;
          }
          socket.end();
        };
        socket.on('drain', write);
        write();
      });
      const running = await gateway(t, engine, tcp(peer), '');
      const before = memoryOf(running.pid, 'RssAnon');
      const ws = await open(running);
      const hash = createHash('sha256');
      let received = 0;
      ws.on('message', (data: Buffer) => {
        hash.update(data);
        received += data.length;
      });
      ws.pause();
      await standsStill(() => peer.sockets[0]?.bytesWritten ?? 0);
      assert.ok(written < TOTAL, 'the server is held back');
      const grown = memoryOf(running.pid, 'RssAnon') - before;
      t.diagnostic(`the gateway grew by ${grown} KiB`);
      assert.ok(grown < GROWTH, `grew by ${grown} KiB`);
      const closed = once(ws, 'close');
      ws.resume();
      const [code, reason] = (await closed) as [number, Buffer];
      assert.deepEqual([code, String(reason), received], [1000, 'connection closed', TOTAL]);
      assert.equal(hash.digest('hex'), digestOfAll());
    });

    test('a server that does not read', async (t) => {
      const peer = await startPeer(t, (socket: Socket) => socket.pause());
      const running = await gateway(t, engine, tcp(peer), 'max_queue = "64KiB"');
      const before = memoryOf(running.pid, 'RssAnon');
      const ws = await open(running);
      ws.on('error', () => undefined);
      let ended: string | undefined;
      ws.on('close', (code, reason) => {
        ended = `${code} ${reason}`;
      });
      for (let at = 0; at < PIECES; at++) ws.send(piece(at));
      if (engine === 'uws') {
        // It cannot stop reading from one client.
        await until('the client is told', () => ended !== undefined);
        assert.equal(ended, '1013 you send faster than the upstream reads');
        return;
      }
      await standsStill(() => TOTAL - ws.bufferedAmount);
      assert.ok(ws.bufferedAmount > TOTAL / 4, 'the client is held back');
      const grown = memoryOf(running.pid, 'RssAnon') - before;
      t.diagnostic(`the gateway grew by ${grown} KiB`);
      assert.ok(grown < GROWTH, `grew by ${grown} KiB`);
      const [socket] = peer.sockets;
      assert.ok(socket !== undefined);
      const hash = createHash('sha256');
      socket.on('data', (chunk) => hash.update(chunk));
      socket.resume();
      await until('everything has arrived', () => socket.bytesRead === TOTAL && socket.readableLength === 0);
      assert.equal(hash.digest('hex'), digestOfAll());
      ws.terminate();
    });

    // `uws` cannot hold a client back: it would close this one.
    const onlyNode = (name: string, run: (t: TestContext) => Promise<void>) => engine === 'node' && test(name, run);
    onlyNode('a queue of a few messages only: the client is held back and let go again', async (t) => {
      const peer = await startPeer(t, (socket) => socket.pipe(socket));
      const running = await startGateway(t, {
        config: `[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[stream."/connect"]
connect = "${tcp(peer)}"
max_queue = "1KiB"
[stream."/command"]
command = ["cat"]
max_queue = "1KiB"
`,
      });
      for (const path of ['/connect', '/command']) {
        const ws = new WebSocket(`ws://127.0.0.1:${running.port}${path}`, { perMessageDeflate: false });
        let received = 0;
        ws.on('message', () => received++);
        await once(ws, 'open');
        for (let at = 0; at < 2000; at++) ws.send('x'.repeat(500));
        await until(`all are back from ${path}`, () => received === 2000);
        ws.terminate();
      }
    });

    test('a subprotocol: the first of the client’s that is configured, or none', async (t) => {
      const peer = await startPeer(t, (socket) => socket.pipe(socket));
      const running = await startGateway(t, {
        config: `[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[stream."/connect"]
connect = "${tcp(peer)}"
subprotocols = ["b", "a"]
[stream."/command"]
command = ["cat"]
subprotocols = ["b", "a"]
[stream."/shared"]
command = ["cat"]
share = "all"
subprotocols = ["b", "a"]
[stream."/none"]
command = ["cat"]
`,
      });
      const cases: readonly (readonly [string[], string | undefined])[] = [
        [[], undefined],
        [['a'], 'a'],
        [['a', 'b'], 'a'],
        [['b', 'a'], 'b'],
        [['x', 'b'], 'b'],
        [['x'], undefined],
        [['A'], undefined],
      ];
      for (const path of ['/connect', '/command', '/shared', '/none'])
        for (const [offers, expected] of cases) {
          const ws = new WebSocket(`ws://127.0.0.1:${running.port}${path}`, offers);
          // As a browser does, this client ends by itself when it is given none of what it asked for.
          ws.on('error', () => undefined);
          const [response] = (await once(ws, 'upgrade')) as [import('node:http').IncomingMessage];
          const agreed = path === '/none' ? undefined : expected;
          assert.equal(response.headers['sec-websocket-protocol'], agreed, `${path} ${offers.join()}`);
          ws.terminate();
        }
    });
  });
}
