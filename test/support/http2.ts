/** Clients that speak HTTP/2: Node's, and one that writes its frames by hand and may break every rule. */
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Exchange, ListenOptions } from '../../src/engine/engine.ts';
import { Trial } from './trial.ts';
import { until } from './until.ts';

/** A trial that speaks HTTP/2 beside HTTP/1.1. */
export function startHttp2(answer: (exchange: Exchange) => void, changes: Partial<ListenOptions> = {}): Promise<Trial> {
  return Trial.start('tls', answer, { http2: true, ...changes });
}

/** A connection of Node's client. What becomes of it is the test's to look at. */
export async function openSession(port: number, options: SecureClientSessionOptions = {}): Promise<ClientHttp2Session> {
  // Its own limit would otherwise cut it off from uploads of 10 MiB.
  const secure = { maxSessionMemory: 100, ...options, rejectUnauthorized: false, servername: 'board.test' };
  const session = connect(`https://127.0.0.1:${port}`, secure);
  session.on('error', () => undefined);
  await once(session, 'connect');
  return session;
}

export interface Answer2 {
  readonly status: number | undefined;
  readonly headers: { readonly [name: string]: string | string[] | undefined };
  readonly body: Buffer;
  /** The code that its stream ended with (RFC 9113 section 7). */
  readonly code: number | undefined;
}

/** Sends a request and waits until its stream is over. */
export async function ask2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: Buffer | string,
): Promise<Answer2> {
  const stream = session.request({ ':authority': 'board.test', ...headers }, { endStream: body === undefined });
  const parts: Buffer[] = [];
  let answered: Answer2['headers'] = {};
  stream.on('response', (received) => {
    answered = received as Answer2['headers'];
  });
  stream.on('data', (bytes: Buffer) => parts.push(bytes));
  stream.on('error', () => undefined);
  if (body !== undefined) stream.end(body);
  await until(() => stream.destroyed, 'the end of a stream');
  const status = answered[':status'];
  return {
    status: status === undefined ? undefined : Number(status),
    headers: answered,
    body: Buffer.concat(parts),
    code: stream.rstCode,
  };
}

// ---- frames by hand ----

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;
export const END_STREAM = 1;
export const END_HEADERS = 4;
/** Before anybody has said otherwise. */
const MAX_FRAME = 16_384;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** HPACK at its simplest: each field as a literal that is not remembered (RFC 7541 section 6.2.2). */
export function headerBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  length.push(rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** The fields of a GET. */
export function get(path: string): [string, string][] {
  return [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', path],
    [':authority', 'board.test'],
  ];
}

/** The head of a request without a body. */
export function request(stream: number, fields = get('/')): Buffer {
  return head(stream, fields, END_STREAM);
}

/** A head in as many frames as it takes. */
export function head(stream: number, fields = get('/'), flags = 0): Buffer {
  const block = headerBlock(fields);
  const rest: Buffer[] = [];
  for (let at = MAX_FRAME; at < block.length; at += MAX_FRAME) {
    const last = at + MAX_FRAME >= block.length ? END_HEADERS : 0;
    rest.push(frame(CONTINUATION, last, stream, block.subarray(at, at + MAX_FRAME)));
  }
  const first = frame(HEADERS, flags | (rest.length === 0 ? END_HEADERS : 0), stream, block.subarray(0, MAX_FRAME));
  return Buffer.concat([first, ...rest]);
}

export const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(SETTINGS, 0, 0)]);

export class FrameClient {
  readonly frames: Frame[] = [];
  private rest: Buffer = Buffer.alloc(0);

  private constructor(readonly socket: TLSSocket) {
    socket.on('data', (bytes) => this.take(bytes));
    socket.on('error', () => undefined);
  }

  /** Connects and sends the preface, unless told what instead. */
  static async connect(port: number, first: Buffer = PREFACE): Promise<FrameClient> {
    const options = {
      host: '127.0.0.1',
      port,
      servername: 'board.test',
      rejectUnauthorized: false,
      allowHalfOpen: true,
    };
    const socket = connectTls({ ...options, ALPNProtocols: ['h2'] });
    await once(socket, 'secureConnect');
    const client = new FrameClient(socket);
    client.write(first);
    return client;
  }

  write(...bytes: readonly Buffer[]): void {
    if (this.socket.writable) this.socket.write(Buffer.concat(bytes));
  }

  /** Waits for a frame of this type, of a stream where one is named. */
  async next(type: number, stream?: number): Promise<Frame> {
    const find = (): Frame | undefined =>
      this.frames.find((one) => one.type === type && (stream === undefined || one.stream === stream));
    await until(
      () => find() !== undefined || this.socket.readableEnded || this.socket.destroyed,
      `a frame of type ${type}`,
    );
    const found = find();
    if (found === undefined) throw new Error(`the connection ended without a frame of type ${type}`);
    this.frames.splice(this.frames.indexOf(found), 1);
    return found;
  }

  async ended(): Promise<void> {
    await until(() => this.socket.readableEnded || this.socket.destroyed, 'the end of the connection');
  }

  private take(bytes: Buffer): void {
    this.rest = Buffer.concat([this.rest, bytes]);
    while (this.rest.length >= 9) {
      const length = this.rest.readUIntBE(0, 3);
      if (this.rest.length < 9 + length) return;
      const [type = 0, flags = 0] = this.rest.subarray(3, 5);
      const stream = this.rest.readUInt32BE(5);
      this.frames.push({ type, flags, stream, payload: Buffer.from(this.rest.subarray(9, 9 + length)) });
      this.rest = this.rest.subarray(9 + length);
    }
  }
}

/** The error code of a RST_STREAM or GOAWAY. */
export function errorCode({ type, payload }: Frame): number {
  return payload.readUInt32BE(type === GOAWAY ? 4 : 0);
}
