/** The contract of an engine: permessage-deflate (RFC 7692), where it is asked for and only there. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { WebSocket } from 'ws';
import { deflateOffer } from '../../src/engine/socket-rules.ts';
import { connectTo, isSecure } from '../support/secure.ts';
import { CONTRACT, engineName, type Row, Trial } from '../support/trial.ts';
import { until } from '../support/until.ts';
import { Recorded } from '../support/websocket.ts';

const MAX_MESSAGE = 64 * 1024;
const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: board.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n';

/** An echo that deflates where it can, unless `plain`. */
async function start(t: TestContext, row: Row, { plain = false } = {}) {
  const deflated = { count: 0 };
  const sockets: Recorded[] = [];
  const deflating = { deflated: () => deflated.count++ };
  const trial = await Trial.start(
    row,
    (exchange) => {
      const handlers = new Recorded((socket, data, binary) => socket.send(data, binary));
      sockets.push(handlers);
      exchange.upgrade({
        protocol: undefined,
        headers: [],
        maxMessage: MAX_MESSAGE,
        handlers,
        cancel: () => {},
        ...(!plain && { deflating }),
      });
    },
    { maxMessage: MAX_MESSAGE, deflates: true },
  );
  t.after(() => trial.close());
  return { trial, deflated, sockets };
}

async function connect(port: number): Promise<WebSocket> {
  const url = `${isSecure(port) ? 'wss' : 'ws'}://127.0.0.1:${port}/`;
  const socket = new WebSocket(url, { perMessageDeflate: { threshold: 0 }, rejectUnauthorized: false });
  await once(socket, 'open');
  return socket;
}

async function echo(socket: WebSocket, message: string | Buffer): Promise<Buffer> {
  const answer = once(socket, 'message');
  socket.send(message);
  const [data, binary] = (await answer) as [Buffer, boolean];
  assert.equal(binary, typeof message !== 'string');
  return data;
}

/** A client by hand, behind its handshake, and everything that came after that. */
async function rawClient(port: number, offer: string) {
  const socket = await connectTo({ host: '127.0.0.1', port });
  const seen = { head: '', bytes: Buffer.alloc(0), closed: false };
  let all = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('close', () => {
    seen.closed = true;
  });
  socket.on('data', (chunk: Buffer) => {
    all = Buffer.concat([all, chunk]);
    const end = all.indexOf('\r\n\r\n');
    if (end < 0) return;
    seen.head = all.toString('latin1', 0, end);
    seen.bytes = all.subarray(end + 4);
  });
  socket.write(`${HANDSHAKE}${offer === '' ? '' : `Sec-WebSocket-Extensions: ${offer}\r\n`}\r\n`);
  await until(() => seen.head !== '' || seen.closed, 'the answer to the handshake');
  return { socket, seen };
}

/** A frame of a client, with a mask of zeros. `first` is its first byte: 0xc2 is a binary message that is compressed. */
function frame(first: number, data: Buffer): Buffer {
  const head = data.length < 126 ? Buffer.alloc(6) : data.length < 65_536 ? Buffer.alloc(8) : Buffer.alloc(14);
  head[0] = first;
  if (head.length === 6) head[1] = 0x80 | data.length;
  else if (head.length === 8) {
    head[1] = 0xfe;
    head.writeUInt16BE(data.length, 2);
  } else {
    head[1] = 0xff;
    head.writeUInt32BE(data.length, 6);
  }
  return Buffer.concat([head, data]);
}

/** What RFC 7692 section 7.2.1 makes of a message. */
function compressed(data: Buffer): Buffer {
  const bytes = deflateRawSync(data, { finishFlush: 2 });
  return bytes.subarray(0, bytes.length - 4);
}

for (const row of CONTRACT) {
  describe(`${row}: permessage-deflate`, { concurrency: true }, () => {
    test('long messages are compressed, short and very long ones are not; all arrive, in order', async (t) => {
      const { trial, deflated } = await start(t, row);
      const socket = await connect(trial.port);
      assert.match(socket.extensions, /permessage-deflate/);
      for (const [text, count] of [
        ['x'.repeat(1024), 0],
        ['€'.repeat(700), 1],
        ['y'.repeat(60_000), 2],
        ['', 2],
      ] as const) {
        assert.equal((await echo(socket, text)).toString(), text);
        assert.equal(deflated.count, count);
      }
      for (const bytes of [Buffer.alloc(30_000, 'ab'), randomBytes(5000), Buffer.alloc(10)])
        assert.deepEqual(await echo(socket, bytes), bytes);
      assert.equal(deflated.count, 4);
      const order: string[] = [];
      socket.on('message', (data: Buffer) => order.push(String(data).slice(0, 4)));
      const sent = Array.from({ length: 50 }, (_, at) => String(1000 + at));
      for (const [at, name] of sent.entries()) socket.send(name.repeat(at % 3 === 0 ? 10_000 : 1));
      await until(() => order.length === sent.length, 'all echoes');
      assert.deepEqual(order, sent);
      socket.terminate();
    });

    test('a message in fragments, compressed', async (t) => {
      const { trial } = await start(t, row);
      const socket = await connect(trial.port);
      const answer = once(socket, 'message');
      for (const [at, part] of ['a', 'b', 'c'].entries())
        socket.send(part.repeat(9000), { fin: at === 2, binary: false });
      assert.equal(String((await answer)[0]), 'a'.repeat(9000) + 'b'.repeat(9000) + 'c'.repeat(9000));
      socket.terminate();
    });

    test('a client that is behind is told to drain', async (t) => {
      const { trial, sockets } = await start(t, row);
      const socket = await connect(trial.port);
      const server = await sockets[0]?.opened();
      assert(server !== undefined);
      const noise = randomBytes(100_000);
      let sent = 1;
      while (server.send(noise, true)) sent++;
      let got = 0;
      socket.on('message', () => got++);
      await until(() => sockets[0]?.drains === 1 && got === sent, 'the drain, and all messages');
      socket.terminate();
    });

    test('what is negotiated: no context in either direction, and nothing that the client did not offer', async (t) => {
      const { trial } = await start(t, row);
      const { socket, seen } = await rawClient(trial.port, 'permessage-deflate; client_max_window_bits');
      const line = /^sec-websocket-extensions: (.*)$/im.exec(seen.head)?.[1] ?? '';
      const parts = line.split(';').map((part) => part.trim());
      assert.deepEqual(parts.sort(), [
        'client_no_context_takeover',
        'permessage-deflate',
        'server_no_context_takeover',
      ]);
      socket.destroy();
      for (const offer of ['', 'permessage-deflate; server_max_window_bits=9', 'x-webkit-deflate-frame', '=;,']) {
        const other = await rawClient(trial.port, offer);
        assert.match(other.seen.head, /^HTTP\/1.1 101 /);
        assert.doesNotMatch(other.seen.head, /sec-websocket-extensions/i);
        other.socket.destroy();
      }
    });

    test('an upgrade without it negotiates nothing on the same listener', async (t) => {
      const { trial, deflated } = await start(t, row, { plain: true });
      const socket = await connect(trial.port);
      assert.equal(socket.extensions, '');
      assert.equal((await echo(socket, 'x'.repeat(5000))).length, 5000);
      assert.equal(deflated.count, 0);
      socket.terminate();
    });

    // uWebSockets.js drops the connection in both cases.
    const isUws = engineName(row) === 'uws';
    for (const [what, code, data] of [
      ['64 KiB that are 64 MiB', isUws ? 1006 : 1009, compressed(Buffer.alloc(64 << 20))],
      ['a message that is somewhat too large', 1009, compressed(Buffer.alloc(MAX_MESSAGE + 1))],
      ['what is no deflate', isUws ? 1006 : 1007, Buffer.from('\xff\xff\xff\xff\xff\xff', 'latin1')],
    ] as const)
      test(`${what}: ${code}, and everybody else goes on`, async (t) => {
        const { trial, sockets } = await start(t, row);
        const { socket, seen } = await rawClient(trial.port, 'permessage-deflate');
        const before = process.memoryUsage().rss;
        socket.write(frame(0xc2, data));
        const closed = (await sockets[0]?.closed()) ?? '';
        assert.match(closed, new RegExp(`^close ${code} `));
        const grown = process.memoryUsage().rss - before;
        assert(grown < 48 << 20, `it grew by ${grown} bytes`);
        if (code !== 1006) {
          await until(() => seen.bytes.length >= 4, 'the close frame');
          assert.equal(seen.bytes[0], 0x88);
          assert.equal(seen.bytes.readUInt16BE(2), code);
        } else await until(() => seen.closed, 'the connection to end');
        socket.destroy();
        const other = await connect(trial.port);
        assert.equal((await echo(other, 'z'.repeat(3000))).length, 3000);
        other.terminate();
      });

    test('a compressed message of a client that negotiated nothing ends its connection', async (t) => {
      const { trial, sockets } = await start(t, row);
      const { socket } = await rawClient(trial.port, '');
      socket.write(frame(0xc2, compressed(Buffer.from('hello'))));
      assert.match((await sockets[0]?.closed()) ?? '', /^close (1002|1006) /);
      assert.equal(sockets[0]?.messages.length, 0);
      socket.destroy();
    });
  });
}

for (const [offer, isTaken] of [
  ['permessage-deflate', true],
  ['permessage-deflate; client_max_window_bits', true],
  ['permessage-deflate ; client_max_window_bits="15"; server_no_context_takeover', true],
  ['permessage-deflate; server_max_window_bits=15', true],
  ['permessage-deflate; server_max_window_bits=10, permessage-deflate', true],
  ['permessage-deflate; server_max_window_bits=10', false],
  ['permessage-deflate; client_max_window_bits=16', false],
  ['permessage-deflate; other', false],
  ['x-permessage-deflate', false],
  ['', false],
] as const)
  test(`the offer "${offer}" is ${isTaken ? '' : 'not '}taken`, () =>
    assert.equal(deflateOffer([['sec-websocket-extensions', offer]]), isTaken ? 'permessage-deflate' : undefined));
