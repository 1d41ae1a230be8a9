/**
 * Answers are read into memory that all connections of a route share: what is kept of them must be copied. Random bytes come through plain and
 * encrypted connections, in every framing, cut in random places, to fast, slow and leaving clients of both engines and of HTTP/2 at once.
 */
import assert from 'node:assert/strict';
import { createCipheriv, createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { createServer as createSecureServer } from 'node:tls';
import { WebSocket } from 'ws';
import { drained } from '../../../src/upstream/request.ts';
import { Authority } from '../../support/certificates.ts';
import { type Running, startGateway } from '../../support/gateway.ts';
import { openSession } from '../../support/http2.ts';
import { until } from '../../support/processes.ts';

const SIZES = [0, 1, 9_000, 14_000, 16_384, 150_000, 1_500_000];
const FRAMINGS = ['length', 'chunked', 'close'];
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Of a WebSocket: sizes of its messages. */
const MESSAGES = [0, 1, 125, 126, 4_000, 9_000, 16_384, 70_000, 300_000, 5];
const INSECURE = { servername: 'board.test', rejectUnauthorized: false };

/** The same for the same number. */
function bytesOf(seed: number, size: number): Buffer {
  const key = createHash('md5').update(String(seed)).digest();
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Cut in random places, the first ones close to each other: within the head. */
function* piecesOf(bytes: Buffer, near: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const size = at < near ? randomInt(1, 60) : randomInt(1, 100_000);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

function chunked(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const part = body.subarray(at, at + randomInt(1, 30_000));
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
    at += part.length;
  }
  return Buffer.concat([...parts, Buffer.from('0\r\nX-Trailer: a\r\n\r\n')]);
}

/** Unmasked, as a server sends it: every third message in two fragments. */
function framed(seed: number): Buffer {
  const frame = (first: number, data: Buffer): Buffer => {
    const head = Buffer.alloc(data.length < 126 ? 2 : data.length < 65_536 ? 4 : 10);
    head[0] = first;
    head[1] = data.length < 126 ? data.length : data.length < 65_536 ? 126 : 127;
    if (head.length === 4) head.writeUInt16BE(data.length, 2);
    if (head.length === 10) head.writeBigUInt64BE(BigInt(data.length), 2);
    return Buffer.concat([head, data]);
  };
  return Buffer.concat(
    MESSAGES.flatMap((size, at) => {
      const data = bytesOf(seed + at, size);
      if (at % 3 > 0) return [frame(0x82, data)];
      return [frame(0x02, data.subarray(0, size >> 1)), frame(0x80, data.subarray(size >> 1))];
    }),
  );
}

function answerTo(head: string): readonly [answer: Buffer, head: number, ends: boolean] {
  const key = /^sec-websocket-key: (.*)\r$/im.exec(head)?.[1];
  const [seed = 0, size = 0, framing = 0] = (/\/(\d+)\/(\d+)\/(\d+) /.exec(head) ?? []).slice(1).map(Number);
  if (key !== undefined) {
    const accept = createHash('sha1')
      .update(key + GUID)
      .digest('base64');
    const text = `HTTP/1.1 101 a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
    return [Buffer.concat([Buffer.from(text), framed(seed)]), text.length, false];
  }
  const kind = FRAMINGS[framing];
  const body = bytesOf(seed, size);
  const field =
    kind === 'length'
      ? `Content-Length: ${size}`
      : kind === 'chunked'
        ? 'Transfer-Encoding: chunked'
        : 'Connection: close';
  const text = `HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n${field}\r\n\r\n`;
  return [Buffer.concat([Buffer.from(text), kind === 'chunked' ? chunked(body) : body]), text.length, kind === 'close'];
}

/** Each piece in a write of its own, which is a record of its own with TLS; some of them together in one packet. */
async function speak(socket: Socket): Promise<void> {
  let asked = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    asked += chunk.toString('latin1');
    const end = asked.indexOf('\r\n\r\n');
    if (end < 0) continue;
    const [answer, head, ends] = answerTo(asked.slice(0, end + 2));
    asked = asked.slice(end + 4);
    socket.cork();
    for (const piece of piecesOf(answer, randomInt(2) * (head + 40))) {
      socket.write(Buffer.from(piece));
      if (randomInt(3) > 0) continue;
      socket.uncork();
      await drained(socket);
      await new Promise((resolve) => setImmediate(resolve));
      socket.cork();
    }
    socket.uncork();
    if (ends) socket.end();
  }
}

async function listening(t: TestContext, server: Server): Promise<number> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => open.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function startAll(t: TestContext): Promise<Running> {
  const authority = new Authority();
  const made = authority.server(['board.test', '127.0.0.1']);
  const taken = (socket: Socket): void => {
    socket.on('error', () => undefined).setNoDelay(true);
    speak(socket).catch(() => undefined);
  };
  const plain = await listening(t, createServer(taken));
  const secure = await listening(t, createSecureServer({ cert: made.certificate, key: made.pem }, taken));
  const tls = 'tls = { certificate = "board.pem", key = "board.pem" }';
  const listeners = ['engine = "uws"', 'engine = "node"', `engine = "uws"\n${tls}`, `engine = "node"\n${tls}`];
  listeners.push(`http2 = true\n${tls}`);
  const config = `${listeners.map((keys) => `[[listen]]\naddress = "127.0.0.1:0"\n${keys}\n`).join('')}
[proxy."/plain/"]\nupstream = "http://127.0.0.1:${plain}"\n
[proxy."/tls/"]\nupstream = "https://127.0.0.1:${secure}"\nca = "ca.pem"\nserver_name = "board.test"\n`;
  const files = { 'ca.pem': authority.certificate, 'board.pem': made.certificate + made.pem };
  return await startGateway(t, { config, files });
}

/** Takes all of it, in a hurry or not, or leaves. Resolves with the hash of what came; undefined: it has left. */
async function taken(body: Readable, pace: number): Promise<string | undefined> {
  const hash = createHash('sha256');
  let got = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    hash.update(chunk);
    got += chunk.length;
    if (pace === 1) await new Promise((resolve) => setTimeout(resolve, 5));
    if (pace === 2 && got > 20_000) return undefined;
  }
  return hash.digest('hex');
}

test('bodies of answers', async (t) => {
  const gateway = await startAll(t);
  const names = ['uws', 'node', 'uws with TLS', 'node with TLS', 'HTTP/2'];
  const sessions = await Promise.all([0, 1].map(() => openSession(gateway.ports[4] ?? 0)));
  t.after(() => {
    for (const session of sessions) session.destroy();
  });
  const open = async (listener: number, path: string, at: number): Promise<Readable> => {
    const session = sessions[at % sessions.length];
    if (listener === 4 && session !== undefined) return session.request({ ':path': path });
    const to = { host: '127.0.0.1', port: gateway.ports[listener], path, agent: false };
    const outgoing = (listener < 2 ? plainRequest(to) : secureRequest({ ...to, ...INSECURE })).end();
    const [response] = (await once(outgoing, 'response')) as [Readable];
    return response;
  };
  const one = async (listener: number, at: number): Promise<void> => {
    const size = SIZES[at % SIZES.length] ?? 0;
    const framing = at % FRAMINGS.length;
    const seed = listener * 1000 + at;
    const path = `/${at % 2 === 0 ? 'plain' : 'tls'}/${seed}/${size}/${framing}`;
    const body = await open(listener, path, at);
    const pace = randomInt(3);
    const hash = await taken(body, pace);
    if (hash !== undefined) assert.equal(hash, hashOf(bytesOf(seed, size)), `${names[listener]} ${path} pace ${pace}`);
  };
  // Eight at a time with each listener.
  const lanes = [0, 1, 2, 3, 4].flatMap((listener) =>
    Array.from({ length: 8 }, (_, lane) => [listener, lane] as const),
  );
  await Promise.all(
    lanes.map(async ([listener, lane]) => {
      for (let at = lane; at < 84; at += 8) await one(listener, at);
    }),
  );
});

test('messages of WebSockets, from the first one behind the 101', async (t) => {
  const gateway = await startAll(t);
  const one = async (listener: number, at: number): Promise<void> => {
    const seed = 100_000 + listener * 10_000 + at * 100;
    const path = `/${at % 2 === 0 ? 'plain' : 'tls'}/${seed}/0/0`;
    const scheme = listener < 2 ? 'ws' : 'wss';
    const client = new WebSocket(`${scheme}://127.0.0.1:${gateway.ports[listener]}${path}`, INSECURE);
    const hashes: string[] = [];
    client.on('error', () => undefined).on('message', (data: Buffer) => hashes.push(hashOf(data)));
    if (at % 3 === 0)
      client.once('open', () => {
        client.pause();
        setTimeout(() => client.resume(), 300);
      });
    await until(`messages to ${path}`, () => hashes.length === MESSAGES.length);
    assert.deepEqual(
      hashes,
      MESSAGES.map((size, each) => hashOf(bytesOf(seed + each, size))),
      path,
    );
    client.terminate();
  };
  await Promise.all([0, 1, 2, 3].flatMap((listener) => Array.from({ length: 8 }, (_, at) => one(listener, at))));
});
