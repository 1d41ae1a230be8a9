/**
 * The contract of an engine: much in both directions at once. uWebSockets.js tears a TLS connection when it answers out of a callback while
 * more than half a megabyte has come in one read; the door keeps reads below that (`SO_RCVBUF`). Without that these tests fail.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import type { Exchange, ListenAddress } from '../../src/engine/engine.ts';
import { connectTo } from '../support/secure.ts';
import { CONTRACT, PATTERN, PatternSource, type Row, Trial } from '../support/trial.ts';
import { until } from '../support/until.ts';
import { Recorded, upgradeTo } from '../support/websocket.ts';

const KIB = 1024;
const MIB = KIB * KIB;
const HOST = 'Host: board.test\r\n';

type Kind = 'IPv4' | 'IPv6' | 'Unix';

/** A trial at work on such an address, and how a client gets there. */
async function start(t: TestContext, row: Row, kind: Kind, answer: (exchange: Exchange) => void) {
  const host = kind === 'IPv6' ? '::1' : '127.0.0.1';
  let address: ListenAddress = { kind: 'tcp', host, port: 0 };
  if (kind === 'Unix') {
    const folder = mkdtempSync(join(tmpdir(), 'runnel-torn-'));
    t.after(() => rmSync(folder, { recursive: true }));
    address = { kind: 'unix', path: join(folder, 'socket') };
  }
  const trial = await Trial.start(row, answer, { address });
  t.after(() => trial.close());
  return async (): Promise<Socket> => {
    const socket = await connectTo(address.kind === 'unix' ? address : { host, port: trial.port });
    socket.on('error', () => {});
    return socket;
  };
}

async function openWebSocket(socket: Socket): Promise<WebSocket> {
  const ws = new WebSocket('ws://board.test/', { createConnection: () => socket, perMessageDeflate: false });
  ws.on('error', () => {});
  await until(() => ws.readyState !== WebSocket.CONNECTING, 'the WebSocket to open');
  return ws;
}

/** What came back of numbered messages: how many, in order, and whether the connection is still there. */
class Echoes {
  count = 0;
  wrong = 0;

  constructor(private readonly ws: WebSocket) {
    ws.on('message', (data: Buffer) => {
      if (data.readUInt32BE(0) !== this.count) this.wrong++;
      this.count++;
    });
  }

  async all(count: number): Promise<void> {
    await until(() => this.count === count || this.ws.readyState === WebSocket.CLOSED, `${count} echoes`);
    assert.deepEqual({ count: this.count, wrong: this.wrong }, { count, wrong: 0 });
  }
}

function numbered(at: number, size: number): Buffer {
  const message = Buffer.from(PATTERN.subarray(0, size));
  message.writeUInt32BE(at, 0);
  return message;
}

/** Answers a request while its body comes, which is thrown away. */
function answerAtOnce(size: number): (exchange: Exchange) => void {
  return (exchange) => {
    exchange.receive({ chunk: () => {}, end: () => {} });
    exchange.reply({ status: 200, headers: [], body: new PatternSource(size, undefined) });
  };
}

/** Sends such a body, and reads the answer. */
async function upload(socket: Socket, size: number, answer: number): Promise<void> {
  const answered = new Unframed(socket);
  socket.write(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${size}\r\n\r\n`);
  for (let at = 0; at < size; at += PATTERN.length) socket.write(PATTERN);
  await answered.complete();
  const expected = createHash('sha256');
  for (let at = 0; at < answer; at += PATTERN.length) expected.update(PATTERN);
  assert.deepEqual([answered.length, answered.digest()], [answer, expected.digest('hex')]);
  socket.destroy();
}

const KINDS = (['IPv4', 'IPv6', 'Unix'] as const).filter(
  (kind) =>
    kind !== 'IPv6' || Object.values(networkInterfaces()).some((all) => all?.some((each) => each.family === kind)),
);

for (const row of CONTRACT) {
  for (const kind of KINDS) {
    describe(`${row}, ${kind}: much in both directions`, () => {
      const echo = (): Recorded => new Recorded((socket, data) => socket.send(data, true));

      test('20,000 messages of 1 KiB, each echoed as it comes', async (t) => {
        const connect = await start(t, row, kind, (exchange) => upgradeTo(exchange, echo()));
        const ws = await openWebSocket(await connect());
        const echoes = new Echoes(ws);
        for (let at = 0; at < 20_000; at++) ws.send(numbered(at, KIB));
        await echoes.all(20_000);
        ws.terminate();
      });

      test('40 MiB in one go, echoed to a client that reads only when all of it has been taken', async (t) => {
        const recorded = echo();
        const connect = await start(t, row, kind, (exchange) => upgradeTo(exchange, recorded));
        const ws = await openWebSocket(await connect());
        const echoes = new Echoes(ws);
        ws.pause();
        const count = (40 * MIB) / (16 * KIB);
        for (let at = 0; at < count; at++) ws.send(numbered(at, 16 * KIB));
        await until(() => recorded.messages.length === count || recorded.events.at(-1) !== 'message', 'all messages');
        ws.resume();
        await echoes.all(count);
        ws.terminate();
      });

      // The answer is longer, so that its end does not cut the upload short.
      test('an upload of 20 MiB that is answered while it comes', async (t) => {
        const connect = await start(t, row, kind, answerAtOnce(40 * MIB));
        await upload(await connect(), 20 * MIB, 40 * MIB);
      });

      test('the same of three clients that stop reading now and then', async (t) => {
        const connect = await start(t, row, kind, answerAtOnce(20 * MIB));
        const load = async (): Promise<void> => {
          const socket = await connect();
          socket.on('data', () => {
            socket.pause();
            setImmediate(() => socket.resume());
          });
          await upload(socket, 8 * MIB, 20 * MIB);
        };
        await Promise.all([load(), load(), load()]);
      });
    });
  }
}

/** Takes the chunks off a reply's body (RFC 9112 section 7.1). */
class Unframed {
  length = 0;
  private readonly hash = createHash('sha256');
  private pending: Buffer = Buffer.alloc(0);
  private inHead = true;
  private left = 0;
  private state: 'open' | 'complete' | 'cut' = 'open';

  constructor(socket: Socket) {
    socket.on('data', (bytes: Buffer) => this.take(bytes));
    socket.on('close', () => {
      if (this.state === 'open') this.state = 'cut';
    });
  }

  async complete(): Promise<void> {
    await until(() => this.state !== 'open', 'the whole reply');
    assert.equal(this.state, 'complete', `cut after ${this.length} bytes`);
  }

  digest(): string {
    return this.hash.digest('hex');
  }

  private take(bytes: Buffer): void {
    this.pending = this.pending.length === 0 ? bytes : Buffer.concat([this.pending, bytes]);
    if (this.inHead) {
      const end = this.pending.indexOf('\r\n\r\n');
      if (end < 0) return;
      assert.match(this.pending.toString('latin1', 0, end), /^HTTP\/1\.1 200 .*transfer-encoding: chunked/is);
      this.inHead = false;
      this.pending = this.pending.subarray(end + 4);
    }
    for (;;) {
      if (this.left > 0) {
        const part = this.pending.subarray(0, this.left);
        this.hash.update(part);
        this.length += part.length;
        this.left -= part.length;
        this.pending = this.pending.subarray(part.length);
        if (this.left > 0) return;
      }
      // The line's end of the chunk before may still be in front of it.
      const match = /^(?:\r\n)?([0-9a-f]+)\r\n/i.exec(this.pending.toString('latin1', 0, 20));
      if (match === null) return;
      this.left = Number.parseInt(match[1] ?? '', 16);
      this.pending = this.pending.subarray(match[0].length);
      if (this.left === 0) {
        this.state = 'complete';
        return;
      }
    }
  }
}
