/** A client that sends exactly the bytes it is told to, and reads what comes back: for what no proper client would send. */
import type { Socket } from 'node:net';
import { connectTo } from './secure.ts';
import { until } from './until.ts';

export interface RawReply {
  readonly status: number;
  readonly reason: string;
  /** Names in lower case, in the order they came. */
  readonly headers: readonly (readonly [string, string])[];
  /** The first value; undefined when it is not there. */
  header(name: string): string | undefined;
  readonly body: Buffer;
  /** False when the connection ended before the body did. */
  readonly complete: boolean;
}

export type RawAddress =
  | number
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly localAddress?: string };

export class RawClient {
  closed = false;
  private buffer: Buffer = Buffer.alloc(0);
  private chunks: Buffer[] = [];

  private constructor(readonly socket: Socket) {
    socket.on('data', (bytes: Buffer) => this.chunks.push(bytes));
    socket.on('close', () => {
      this.closed = true;
    });
    // A reset is one of the ways in which a server drops us; `closed` tells.
    socket.on('error', () => {});
  }

  /** @param allowHalfOpen it leaves the connection open when the server has ended its side */
  static async connect(address: RawAddress, allowHalfOpen = false): Promise<RawClient> {
    const target = typeof address === 'number' ? { host: '127.0.0.1', port: address } : address;
    return new RawClient(await connectTo(target, allowHalfOpen));
  }

  /** Strings have one character per byte. */
  send(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Everything received and not yet taken by `reply`. */
  get received(): Buffer {
    if (this.chunks.length > 0) {
      this.buffer = Buffer.concat([this.buffer, ...this.chunks]);
      this.chunks = [];
    }
    return this.buffer;
  }

  /** Takes the next reply; `method` is the request's, because a reply to HEAD has no body. */
  async reply(method = 'GET'): Promise<RawReply> {
    let parsed: Parsed | undefined;
    let seen = -1;
    await until(() => {
      const { closed } = this;
      const { received } = this;
      if (received.length === seen && !closed) return false;
      seen = received.length;
      parsed = parseReply(received, method, closed);
      return parsed !== undefined || closed;
    }, 'a reply');
    if (parsed === undefined)
      throw new Error(`closed without a reply; received ${JSON.stringify(String(this.received))}`);
    this.buffer = this.received.subarray(parsed.end);
    return parsed.reply;
  }

  /** Resolves when the server has closed the connection. */
  async ended(): Promise<void> {
    await until(() => this.closed, 'the connection to be closed');
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** Sends `bytes` on a new connection and takes one reply. */
export async function rawRequest(address: RawAddress, bytes: string | Uint8Array, method = 'GET'): Promise<RawReply> {
  const client = await RawClient.connect(address);
  try {
    client.send(bytes);
    return await client.reply(method);
  } finally {
    client.destroy();
  }
}

interface Parsed {
  readonly reply: RawReply;
  readonly end: number;
}

/** Undefined while more is needed. */
function parseReply(bytes: Buffer, method: string, ended: boolean): Parsed | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const lines = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const first = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(lines[0] ?? '');
  if (first === null) throw new Error(`not a status line: ${JSON.stringify(lines[0])}`);
  const headers = lines.slice(1).map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const header = (name: string) => headers.find(([key]) => key === name)?.[1];
  const status = Number(first[1]);
  const start = headEnd + 4;
  const body = readBody(bytes, start, status, method, header, ended);
  if (body === undefined) return undefined;
  return {
    reply: { status, reason: first[2] ?? '', headers, header, body: body.bytes, complete: body.complete },
    end: body.end,
  };
}

interface ReadBody {
  readonly bytes: Buffer;
  readonly end: number;
  readonly complete: boolean;
}

function readBody(
  bytes: Buffer,
  start: number,
  status: number,
  method: string,
  header: (name: string) => string | undefined,
  ended: boolean,
): ReadBody | undefined {
  const none = { bytes: Buffer.alloc(0), end: start, complete: true };
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return none;
  if (header('transfer-encoding') === 'chunked') return readChunks(bytes, start, ended);
  const length = header('content-length');
  const rest = bytes.subarray(start);
  if (length === undefined) return ended ? { bytes: rest, end: bytes.length, complete: true } : undefined;
  const wanted = Number(length);
  if (rest.length >= wanted) return { bytes: rest.subarray(0, wanted), end: start + wanted, complete: true };
  return ended ? { bytes: rest, end: bytes.length, complete: false } : undefined;
}

function readChunks(bytes: Buffer, start: number, ended: boolean): ReadBody | undefined {
  const parts: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    const size = lineEnd < 0 ? Number.NaN : Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const next = lineEnd + 2 + size + 2;
    if (Number.isNaN(size) || bytes.length < next) {
      if (!ended) return undefined;
      if (!Number.isNaN(size)) parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
      return { bytes: Buffer.concat(parts), end: bytes.length, complete: false };
    }
    if (size === 0) return { bytes: Buffer.concat(parts), end: next, complete: true };
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = next;
  }
}
