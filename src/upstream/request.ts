/** A request to an upstream as it goes over the wire: its head in one piece, its body at the upstream's pace. */
import { closeSync, openSync, read } from 'node:fs';
import type { Socket } from 'node:net';
import type { HeaderList } from '../engine/engine.ts';

/** Bytes that are sent with a request: in memory, or in a file from its beginning. */
export interface RequestBody {
  readonly length: number;
  readonly bytes: Buffer | undefined;
  /** Stays the caller's, who may close it as soon as there is an answer: it is opened once more for as long as it is read. */
  readonly descriptor: number | undefined;
}

export interface RequestTimes {
  /** Until the head of an answer is there, counted from the last piece of the request that the upstream has taken. Milliseconds. */
  readonly head: number;
  /** From the beginning to the end of the answer; undefined for any time. Milliseconds. */
  readonly total: number | undefined;
}

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query, as they are to be sent. */
  readonly target: string;
  /** What Host says; undefined for the upstream's own name. */
  readonly host?: string | undefined;
  /** Host and what tells of the connection and the body's length are added. One character for each byte. */
  readonly headers: HeaderList;
  /** Undefined: no length is told. */
  readonly body: RequestBody | undefined;
  /** The request is a WebSocket handshake: 101 is an answer to it. */
  readonly switches?: boolean | undefined;
  /** Nobody waits any more, for the signal's reason. */
  readonly signal: AbortSignal;
  /** Undefined: the signal is the only deadline. */
  readonly times?: RequestTimes | undefined;
}

/** How much of a body in a file is read at a time. */
const PIECE = 64 * 1024;
const NOT_SENT = /[\r\n\0]/;

/** Throws a `TypeError` for what would be more than one line. */
export function requestHead({ method, target, host, headers, body, switches }: UpstreamRequest, own: string): string {
  const lines = [`${method} ${target} HTTP/1.1`, `Host: ${host ?? own}`];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (body !== undefined) lines.push(`Content-Length: ${body.length}`);
  // The latter for servers of HTTP/1.0.
  if (switches === true) lines.push('Connection: Upgrade', 'Upgrade: websocket');
  else lines.push('Connection: keep-alive');
  if (lines.some((line) => NOT_SENT.test(line))) throw new TypeError('a line break in a request');
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/**
 * Writes head and body. Resolves when all of it was given to the connection, or when that is closed; rejects where the body cannot be read.
 *
 * @param goesOn asked before each further piece
 * @param taken called whenever the upstream has taken something
 */
export function sendRequest(
  socket: Socket,
  head: string,
  body: RequestBody | undefined,
  goesOn: () => boolean,
  taken: () => void,
): Promise<void> | undefined {
  if (body?.descriptor !== undefined) {
    socket.write(head, 'latin1');
    return sendFile(socket, body.descriptor, body.length, goesOn, taken);
  }
  const bytes = body?.bytes;
  if (bytes === undefined || bytes.length === 0) {
    socket.write(head, 'latin1');
    return undefined;
  }
  socket.cork();
  socket.write(head, 'latin1');
  const ready = socket.write(bytes);
  socket.uncork();
  return ready ? undefined : drained(socket).then(taken);
}

async function sendFile(
  socket: Socket,
  descriptor: number,
  length: number,
  goesOn: () => boolean,
  taken: () => void,
): Promise<void> {
  // An upstream may answer before it has read the body, and then the caller closes its descriptor: so one of our own.
  const own = openSync(`/proc/self/fd/${descriptor}`, 'r');
  try {
    const memory = Buffer.allocUnsafeSlow(Math.min(PIECE, length));
    for (let at = 0; at < length; ) {
      const count = await readInto(memory, own, Math.min(memory.length, length - at), at);
      if (count === 0) throw new Error('the file became shorter');
      at += count;
      if (!goesOn() || !socket.writable) return;
      // The memory is used again. A connection that is gone says so here, too.
      await new Promise((resolve) => socket.write(memory.subarray(0, count), resolve));
      taken();
    }
  } finally {
    closeSync(own);
  }
}

/** A file's first `length` bytes. Rejects where it has become shorter. */
export async function* piecesOf(descriptor: number, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < length; ) {
    const piece = await readAt(descriptor, Math.min(PIECE, length - at), at);
    if (piece.length === 0) throw new Error('the file became shorter');
    at += piece.length;
    yield piece;
  }
}

async function readAt(descriptor: number, length: number, position: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length);
  return buffer.subarray(0, await readInto(buffer, descriptor, length, position));
}

function readInto(buffer: Buffer, descriptor: number, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, buffer, 0, length, position, (error, count) => (error ? reject(error) : resolve(count)));
  });
}

/** Resolves when more may be written, or nothing any more. */
export function drained(socket: Socket): Promise<void> {
  if (socket.destroyed || !socket.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const go = (): void => {
      socket.off('drain', go).off('close', go);
      resolve();
    };
    socket.on('drain', go).on('close', go);
  });
}
