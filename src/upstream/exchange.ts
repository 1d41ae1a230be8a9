/**
 * One request and its answer over one connection. Exactly one of two things happens to that: it is kept, or it is closed; a connection that
 * has become a WebSocket is its taker's.
 */
import type { Socket } from 'node:net';
import type { BodySink, BodySource, HeaderList } from '../engine/engine.ts';
import { Deferred } from '../ownership/deferred.ts';
import { connectionFault, StaleConnection, silent, UpstreamError } from './faults.ts';
import type { Connection } from './incoming.ts';
import { sendRequest, type UpstreamRequest } from './request.ts';
import { BodyReader, framingOf } from './response-body.ts';
import { HeadReader, type ResponseHead } from './response-head.ts';

/** A connection that speaks another protocol from now on, paused, and what has come over it already. */
export interface Switched {
  readonly connection: Connection;
  readonly head: Buffer;
}

export interface UpstreamResponse {
  readonly status: number;
  readonly reason: string;
  /** Names in lower case, one character for each byte, no control characters. */
  readonly headers: HeaderList;
  /** Bytes of the body; undefined where nobody knows yet. */
  readonly length: number | undefined;
  /**
   * Without its framing: all of it, where it has come with the head, or a source, at its taker's pace. That fails where the rest will not
   * come. Whoever has the response owes a source a `start` or a `cancel`.
   */
  readonly body: Buffer | BodySource;
  /** Of a 101. Whoever has the response ends its connection. */
  readonly switched?: Switched;
  /** From here on the upstream may be silent for so many milliseconds, as long as its taker does not hold it back. */
  limitSilence(milliseconds: number): void;
}

const NOTHING = Buffer.alloc(0);

export class UpstreamExchange implements BodySource {
  /** Of the answer's body. */
  length: number | undefined;
  private readonly head = new HeadReader();
  private reader: BodyReader | undefined;
  /** For how many milliseconds the connection may be kept behind this answer. */
  private keeps = 0;
  private readonly answered = new Deferred<UpstreamResponse>();
  private readonly ended = new Deferred<number>();
  private finished = false;
  /** The answer is an error: the upstream does not want the rest of the request's body (RFC 9112 section 9.5). */
  private isRefused = false;
  private failure: Error | undefined;
  /** Of the body, what its taker has not got yet: copies. */
  private waiting: Buffer[] = [];
  private sink: BodySink | undefined;
  private behind = false;
  /** The taker has been told of the end, or wants nothing more. */
  private told = false;
  private cancelled = false;
  private sending: Promise<void> | undefined;
  private silence: NodeJS.Timeout | undefined;
  private readonly deadline: NodeJS.Timeout | undefined;
  private readonly socket: Socket;

  /**
   * @param head of the request, see `requestHead`
   * @param reused whether the connection has had another request before this one
   */
  constructor(
    private readonly connection: Connection,
    private readonly request: UpstreamRequest,
    head: string,
    private readonly reused: boolean,
  ) {
    const { signal, times } = request;
    const { socket, incoming } = connection;
    this.socket = socket;
    incoming.goTo(this.take);
    socket.on('end', this.closed).on('error', this.failed).on('close', this.closed);
    signal.addEventListener('abort', this.aborted);
    if (times !== undefined) {
      this.silence = setTimeout(this.late, times.head, 'the head of its response', times.head);
      if (times.total !== undefined)
        this.deadline = setTimeout(this.late, times.total, 'the end of its response', times.total);
    }
    if (signal.aborted) this.aborted();
    else this.send(head);
    socket.resume();
  }

  /** Rejects with an `UpstreamError`, or with the signal's reason. */
  get response(): Promise<UpstreamResponse> {
    return this.answered.promise;
  }

  /**
   * Resolves when nothing of the connection is needed any more, with for how many milliseconds it is there for another request; 0: it is
   * not. One that was switched is not needed any more when it is closed.
   */
  get over(): Promise<number> {
    return this.ended.promise;
  }

  // ---- the request ----

  private send(head: string): void {
    this.sending = sendRequest(
      this.socket,
      head,
      this.request.body,
      () => !this.finished && !this.isRefused,
      () => this.silence?.refresh(),
    );
    this.sending?.then(
      () => {
        this.sending = undefined;
      },
      (error: unknown) =>
        this.finish(new UpstreamError('the body cannot be read', { cause: error, detail: String(error) })),
    );
  }

  // ---- the answer ----

  /** What cannot be given on at once stays with the system, but for what was read already. */
  private readonly take = (chunk: Buffer): boolean => {
    try {
      if (this.reader !== undefined) {
        this.silence?.refresh();
        this.takeBody(this.reader, chunk);
      } else {
        // Pieces of a head are no head: an upstream that says one byte now and then would never be late.
        const found = this.head.feed(chunk);
        if (found !== undefined) this.takeHead(found.head, found.rest);
      }
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      this.finish(error);
    }
    return this.finished || this.reader === undefined || (this.sink !== undefined && !this.behind);
  };

  private takeHead(head: ResponseHead, rest: Buffer): void {
    clearTimeout(this.silence);
    this.silence = undefined;
    this.isRefused = head.status >= 400;
    if (head.status === 101) {
      this.switch(head, rest);
      return;
    }
    const framing = framingOf(head, this.request.method);
    this.length = framing.length;
    this.reader = new BodyReader(framing);
    if (head.exact && framing.exact && framing.kind !== 'until-close') this.keeps = keptFor(head);
    if (rest.length > 0) this.takeBody(this.reader, rest);
    else this.finishIfWhole(this.reader);
    if (this.failure !== undefined) return;
    this.connection.incoming.isLong = !this.finished;
    this.told = this.finished;
    this.answered.resolve({
      status: head.status,
      reason: head.reason,
      headers: head.headers,
      length: this.told ? this.bytesWaiting : this.length,
      body: this.told ? joined(this.waiting) : this,
      limitSilence: (milliseconds) => this.limitSilence(milliseconds),
    });
  }

  private get bytesWaiting(): number {
    return this.waiting.reduce((sum, { length }) => sum + length, 0);
  }

  private switch(head: ResponseHead, rest: Buffer): void {
    const { socket } = this;
    if (this.request.switches !== true)
      throw new UpstreamError('it switches to a protocol that the request did not ask for');
    this.finished = true;
    this.letGo();
    socket.pause();
    socket.once('close', () => this.ended.resolve(0));
    if (socket.destroyed) this.ended.resolve(0);
    this.answered.resolve({
      status: head.status,
      reason: head.reason,
      headers: head.headers,
      length: 0,
      body: NOTHING,
      switched: { connection: this.connection, head: Buffer.from(rest) },
      limitSilence: () => undefined,
    });
  }

  private takeBody(reader: BodyReader, chunk: Buffer): void {
    const bytes = reader.feed(chunk);
    if (bytes.length > 0) this.give(bytes);
    this.finishIfWhole(reader);
  }

  private give(bytes: Buffer): void {
    const { sink } = this;
    if (sink === undefined || this.behind || this.waiting.length > 0) this.waiting.push(Buffer.from(bytes));
    else if (!this.told) {
      // Set before it is taken: the sink may call `resume` from inside.
      this.behind = true;
      if (sink.lend(bytes)) this.behind = false;
    }
  }

  private finishIfWhole(reader: BodyReader): void {
    if (reader.over) this.finish(undefined);
  }

  // ---- who takes it ----

  start(sink: BodySink): void {
    this.sink = sink;
    this.flush();
    if (!this.finished && !this.behind) this.socket.resume();
  }

  resume(): void {
    if (!this.behind) return;
    this.behind = false;
    this.flush();
    if (!this.finished && !this.behind) this.socket.resume();
  }

  cancel(): void {
    this.told = true;
    this.cancelled = true;
    this.waiting = [];
    this.finish(new UpstreamError('the rest of the response is not needed'));
  }

  private limitSilence(milliseconds: number): void {
    if (!this.finished) this.silence = setTimeout(this.late, milliseconds, 'more of its response', milliseconds);
  }

  private flush(): void {
    const { sink } = this;
    if (sink === undefined || this.told) return;
    while (!this.behind && !this.told) {
      const bytes = this.waiting.shift();
      if (bytes === undefined) break;
      // Set before the write: the sink may call `resume` from inside it.
      this.behind = true;
      if (sink.write(bytes)) this.behind = false;
    }
    if (!this.behind && this.finished) this.tell(sink);
  }

  /** A cut waits for the next turn, so that the taker has at least the head and what there was. */
  private tell(sink: BodySink): void {
    if (this.told || this.waiting.length > 0) return;
    const { failure } = this;
    this.told = true;
    if (failure === undefined) sink.end();
    else setImmediate(() => this.cancelled || sink.fail(failure));
  }

  // ---- the end ----

  private readonly closed = (): void => {
    if (this.reader !== undefined) this.finish(this.reader.end());
    else {
      const error = this.head.end();
      this.finish(this.isStale() ? new StaleConnection(error.message, { failure: 'closed' }) : error);
    }
  };

  private readonly failed = (error: Error): void => {
    const fault = connectionFault(error);
    this.finish(this.isStale() ? new StaleConnection(fault.message, { cause: error, failure: 'closed' }) : fault);
  };

  private readonly aborted = (): void => this.finish(this.request.signal.reason);

  private readonly late = (what: string, milliseconds: number): void => {
    // It is not the upstream that is silent where its bytes are not taken.
    if (this.reader !== undefined && this.behind && what.startsWith('more')) this.silence?.refresh();
    else this.finish(silent(`${what} was not there within ${milliseconds} ms`));
  };

  private isStale(): boolean {
    return this.reused && this.reader === undefined && !this.head.begun;
  }

  /** @param error undefined: the answer is whole. The first call counts */
  private finish(error: unknown): void {
    const { socket, reader } = this;
    if (this.finished) return;
    this.finished = true;
    this.letGo();
    const kept =
      error === undefined &&
      reader?.surplus === false &&
      this.sending === undefined &&
      !socket.destroyed &&
      socket.writable &&
      !socket.readableEnded;
    if (!kept) drop(socket);
    if (error !== undefined) this.failure = error instanceof Error ? error : new UpstreamError(String(error));
    if (error !== undefined) this.answered.reject(error);
    this.flush();
    this.ended.resolve(kept ? this.keeps : 0);
  }

  private letGo(): void {
    const { socket } = this;
    const { incoming } = this.connection;
    clearTimeout(this.silence);
    clearTimeout(this.deadline);
    incoming.isLong = false;
    incoming.goTo(undefined);
    socket.off('end', this.closed).off('error', this.failed).off('close', this.closed);
    this.request.signal.removeEventListener('abort', this.aborted);
  }
}

/** Closes a connection of which nobody hears any more. */
export function drop(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.destroy();
}

function joined(parts: readonly Buffer[]): Buffer {
  const [first = NOTHING] = parts;
  return parts.length < 2 ? first : Buffer.concat(parts);
}

/** For how many milliseconds the server keeps the connection: 0 where it does not, Infinity where it does not say for how long. */
function keptFor({ persistent, headers }: ResponseHead): number {
  const options = headers
    .filter(([name]) => name === 'connection')
    .flatMap(([, value]) => value.toLowerCase().split(','))
    .map((option) => option.trim());
  const kept = persistent ? !options.includes('close') : options.includes('keep-alive');
  if (!kept) return 0;
  const said = headers.find(([name]) => name === 'keep-alive')?.[1];
  const seconds = /(?:^|[,; ])timeout *= *(\d{1,6})/i.exec(said ?? '')?.[1];
  // A second earlier than the server, whose clock began to run before ours.
  return seconds === undefined ? Number.POSITIVE_INFINITY : Math.max(0, (Number(seconds) - 1) * 1000);
}
