/** One request and its answer over one connection. Exactly one of two things happens to that: it is kept, or it is closed. */
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { HeaderList } from '../engine/engine.ts';
import { Deferred } from '../ownership/deferred.ts';
import { connectionFault, StaleConnection, UpstreamError } from './faults.ts';
import { BodyReader, framingOf } from './response-body.ts';
import { HeadReader, type ResponseHead } from './response-head.ts';

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query, as they are to be sent. */
  readonly target: string;
  /** Host and what tells of the connection and the body's length are added. One character for each byte. */
  readonly headers: HeaderList;
  readonly body: Buffer | undefined;
  /** Nobody waits any more, for the signal's reason: this is the only deadline. */
  readonly signal: AbortSignal;
}

export interface UpstreamResponse {
  readonly status: number;
  readonly reason: string;
  /** Names in lower case, one character for each byte, no control characters. */
  readonly headers: HeaderList;
  /** Bytes of the body; undefined where nobody knows yet. */
  readonly length: number | undefined;
  /** Without its framing, at the reader's pace. An error says that the rest will not come. Whoever does not want the rest destroys it. */
  readonly body: Readable;
}

export class UpstreamExchange {
  private readonly head = new HeadReader();
  private body: { readonly reader: BodyReader; readonly stream: Readable; readonly keeps: boolean } | undefined;
  private readonly answered = new Deferred<UpstreamResponse>();
  private readonly ended = new Deferred<boolean>();
  private finished = false;

  /**
   * @param head of the request, see `requestHead`
   * @param reused whether the connection has had another request before this one
   */
  constructor(
    private readonly socket: Socket,
    private readonly request: UpstreamRequest,
    head: string,
    private readonly reused: boolean,
  ) {
    const { signal } = request;
    socket.on('data', this.take).on('end', this.closed).on('error', this.failed).on('close', this.closed);
    signal.addEventListener('abort', this.aborted);
    if (signal.aborted) this.aborted();
    else send(socket, head, request.body);
    socket.resume();
  }

  /** Rejects with an `UpstreamError`, or with the signal's reason. */
  get response(): Promise<UpstreamResponse> {
    return this.answered.promise;
  }

  /** Resolves when nothing of the connection is needed any more, with whether it is there for another request. */
  get over(): Promise<boolean> {
    return this.ended.promise;
  }

  private readonly take = (chunk: Buffer): void => {
    try {
      if (this.body !== undefined) this.takeBody(chunk);
      else {
        const found = this.head.feed(chunk);
        if (found !== undefined) this.takeHead(found.head, found.rest);
      }
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      this.finish(error);
    }
  };

  private takeHead(head: ResponseHead, rest: Buffer): void {
    if (head.status === 101) throw new UpstreamError('it switches to a protocol that the request did not ask for');
    const framing = framingOf(head, this.request.method);
    const reader = new BodyReader(framing);
    const keeps = head.exact && framing.exact && framing.kind !== 'until-close' && isKept(head);
    const stream = new Readable({
      read: () => void (this.finished || this.socket.resume()),
      destroy: (error, done) => {
        this.finish(new UpstreamError('the rest of the response is not needed'));
        done(error);
      },
    });
    // Who takes it hears of an error by reading; before that nobody need be there.
    stream.on('error', () => undefined);
    this.body = { reader, stream, keeps };
    this.answered.resolve({
      status: head.status,
      reason: head.reason,
      headers: head.headers,
      length: framing.length,
      body: stream,
    });
    if (rest.length > 0) this.takeBody(rest);
    else this.finishIfWhole();
  }

  private takeBody(chunk: Buffer): void {
    if (this.body === undefined) return;
    const { reader, stream } = this.body;
    for (const part of reader.feed(chunk)) if (!stream.push(part)) this.socket.pause();
    this.finishIfWhole();
  }

  private finishIfWhole(): void {
    if (this.body?.reader.over === true) this.finish(undefined);
  }

  private readonly closed = (): void => {
    if (this.body !== undefined) this.finish(this.body.reader.end());
    else {
      const error = this.head.end();
      this.finish(this.isStale() ? new StaleConnection(error.message) : error);
    }
  };

  private readonly failed = (error: Error): void => {
    const fault = connectionFault(error);
    this.finish(this.isStale() ? new StaleConnection(fault.message, { cause: error }) : fault);
  };

  private readonly aborted = (): void => this.finish(this.request.signal.reason);

  private isStale(): boolean {
    return this.reused && this.body === undefined && !this.head.begun;
  }

  /** @param error undefined: the answer is whole. The first call counts */
  private finish(error: unknown): void {
    const { socket, body } = this;
    if (this.finished) return;
    this.finished = true;
    socket.off('data', this.take).off('end', this.closed).off('error', this.failed).off('close', this.closed);
    this.request.signal.removeEventListener('abort', this.aborted);
    const kept =
      error === undefined &&
      body?.keeps === true &&
      !body.reader.surplus &&
      !socket.destroyed &&
      socket.writable &&
      !socket.readableEnded;
    if (!kept) drop(socket);
    if (body === undefined) this.answered.reject(error);
    else if (error === undefined) body.stream.push(null);
    else body.stream.destroy(error instanceof Error ? error : new UpstreamError(String(error)));
    this.ended.resolve(kept);
  }
}

/** Closes a connection of which nobody hears any more. */
export function drop(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.destroy();
}

function isKept({ persistent, headers }: ResponseHead): boolean {
  const options = headers
    .filter(([name]) => name === 'connection')
    .flatMap(([, value]) => value.toLowerCase().split(','))
    .map((option) => option.trim());
  return persistent ? !options.includes('close') : options.includes('keep-alive');
}

const NOT_SENT = /[\r\n\0]/;

/** Throws a `TypeError` for what would be more than one line. */
export function requestHead({ method, target, headers, body }: UpstreamRequest, host: string): string {
  const fields = [
    ['Host', host],
    ...headers,
    ...(body === undefined ? [] : [['Content-Length', String(body.length)]]),
    // For servers of HTTP/1.0.
    ['Connection', 'keep-alive'],
  ].map(([name, value]) => `${name}: ${value}`);
  const lines = [`${method} ${target} HTTP/1.1`, ...fields];
  if (lines.some((line) => NOT_SENT.test(line))) throw new TypeError('a line break in a request');
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function send(socket: Socket, head: string, body: Buffer | undefined): void {
  socket.cork();
  socket.write(head, 'latin1');
  if (body !== undefined) socket.write(body);
  socket.uncork();
}
