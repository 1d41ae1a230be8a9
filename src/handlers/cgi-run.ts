/**
 * One CGI program at work on one request: its output is read for the header, then passed on as it comes, at the client's pace. Whatever
 * happens to it ends in exactly one of: an answer, an `HttpError`, a body that is complete, a body that is cut.
 */
import type { Readable } from 'node:stream';
import type { BodySink, BodySource } from '../engine/engine.ts';
import { HttpError } from '../http/errors.ts';
import type { Answer } from '../http/handler.ts';
import { NoBody } from '../http/no-body.ts';
import { type CgiDocument, CgiHeader, CgiOutputError } from '../process/cgi-output.ts';
import type { Program } from '../process/programs.ts';
import type { Exit } from '../process/spawn.ts';

/** Longest header, bytes. */
const MAX_HEADER = 64 * 1024;
/** How long after its output's end a program is given to say how it ended, before that is taken for a good end, milliseconds. */
const EXIT_AFTER_END = 100;
/** The same, where it has not even written a header and the log should say why. */
const EXIT_AFTER_FAILURE = 500;

export interface CgiRunOptions {
  readonly program: Program;
  /** HEAD: the program's document is read and thrown away. */
  readonly head: boolean;
  /** Milliseconds to a whole header. */
  readonly timeout: number;
  /** Milliseconds in all. */
  readonly totalTimeout: number;
  /** The last lines of the program's stderr. */
  readonly lastLines: () => readonly string[];
  /** Ends the program's whole group. */
  readonly end: () => void;
}

export class CgiRun {
  /** Rejects with an `HttpError`: 502, 504, or 499 when the client left before. */
  readonly answer: Promise<Answer>;
  private readonly stdout: Readable;
  private readonly header = new CgiHeader(MAX_HEADER);
  private body: CgiBody | undefined;
  private settled = false;
  private exit: Exit | undefined;
  private resolve: (answer: Answer) => void = () => undefined;
  private reject: (error: HttpError) => void = () => undefined;
  private readonly headerTimer: NodeJS.Timeout;

  constructor(private readonly options: CgiRunOptions) {
    const { program, timeout, totalTimeout } = options;
    this.stdout = program.stdout;
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    void program.exited.then((exit) => {
      this.exit = exit;
    });
    this.headerTimer = setTimeout(() => this.late(`no header within ${timeout} ms`), timeout);
    const totalTimer = setTimeout(() => this.late(`not over after ${totalTimeout} ms`), totalTimeout);
    void program.over.then(() => {
      clearTimeout(this.headerTimer);
      clearTimeout(totalTimer);
    });
    this.stdout.on('data', (chunk: Buffer) => this.take(chunk));
    // Without an 'end' before it, 'close' comes after an error or when the program was ended.
    let over = false;
    const ended = (): void => {
      if (over) return;
      over = true;
      void this.outputEnded();
    };
    this.stdout.once('end', ended);
    this.stdout.once('close', ended);
  }

  /** The client has left: nobody wants the rest. */
  leave(): void {
    this.body?.close();
    this.fail(499, 'its client left');
    this.abandon();
  }

  private take(chunk: Buffer): void {
    if (this.body) this.body.push(chunk);
    else if (!this.settled) this.takeHeader(chunk);
  }

  private takeHeader(chunk: Buffer): void {
    let found: ReturnType<CgiHeader['feed']>;
    try {
      found = this.header.feed(chunk);
    } catch (error) {
      if (!(error instanceof CgiOutputError)) throw error;
      this.fail(502, error.message);
      this.abandon();
      return;
    }
    if (found === undefined) return;
    clearTimeout(this.headerTimer);
    this.settled = true;
    const { response, rest } = found;
    // From here on a program whose output nobody gets is left to run to its end; what it writes is read and forgotten.
    if (response.kind === 'local-redirect') this.resolve({ localRedirect: response.target });
    else if (this.options.head) this.resolve(reply(response, new NoBody(response.length)));
    else if (response.status === 204 || response.status === 304) this.resolve(reply(response, undefined));
    else {
      this.body = new CgiBody(this.stdout, rest, response.length, () => this.leave());
      this.resolve(reply(response, this.body));
    }
  }

  private async outputEnded(): Promise<void> {
    const { program } = this.options;
    if (this.body) {
      if (this.body.wantsExit()) await within(program.exited, EXIT_AFTER_END);
      this.body.finish(died(this.exit));
    } else if (!this.settled) {
      await within(program.exited, EXIT_AFTER_FAILURE);
      // The last words may still be in the pipe.
      if (program.stderr && !program.stderr.closed) await within(closing(program.stderr), EXIT_AFTER_FAILURE);
      this.fail(502, this.header.end().message);
      // It may have closed its output and live on, but its client has been told.
      this.abandon();
    }
  }

  /** A time is over. */
  private late(reason: string): void {
    if (this.body) this.body.finish(new Error(`the program was ended: ${reason}`));
    else this.fail(504, reason);
    this.abandon();
  }

  private fail(status: 499 | 502 | 504, reason: string): void {
    clearTimeout(this.headerTimer);
    if (this.settled) return;
    this.settled = true;
    const exit = this.exit === undefined ? '' : `; ${describeExit(this.exit)}`;
    const lines = this.options.lastLines();
    const said = lines.length === 0 ? '' : `; last words: ${lines.join(' | ')}`;
    this.reject(new HttpError(status, `a CGI program failed: ${reason}${exit}${said}`));
  }

  /** A program that goes on writing learns at its next write (SIGPIPE) that nobody reads; the others are ended step by step. */
  private abandon(): void {
    this.stdout.destroy();
    this.options.end();
  }
}

function reply(document: CgiDocument, body: BodySource | undefined): Answer {
  return { status: document.status, reason: document.reason, headers: document.headers, body };
}

/** The document as it is written. */
class CgiBody implements BodySource {
  private sink: BodySink | undefined;
  /** What of a promised length has not been written yet. */
  private remaining: number;
  private early: Buffer;
  private resumed = false;
  private over = false;
  private outcome: { readonly error: Error | undefined } | undefined;

  constructor(
    private readonly stdout: Readable,
    rest: Buffer,
    readonly length: number | undefined,
    /** The client has left. */
    private readonly left: () => void,
  ) {
    this.remaining = length ?? Number.POSITIVE_INFINITY;
    this.early = rest;
    stdout.pause();
  }

  start(sink: BodySink): void {
    this.sink = sink;
    const early = this.early;
    this.early = Buffer.alloc(0);
    if (this.remaining === 0) {
      this.complete();
      return;
    }
    this.resumed = true;
    if (early.length > 0) this.push(early);
    if (this.over) return;
    if (this.outcome) this.finish(this.outcome.error);
    else if (this.resumed) this.stdout.resume();
  }

  resume(): void {
    this.resumed = true;
    if (!this.over) this.stdout.resume();
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.left();
  }

  /** Takes what the program has written. */
  push(chunk: Buffer): void {
    if (this.over) return;
    if (!this.sink) {
      // Only what was on its way when `pause` was called.
      this.early = Buffer.concat([this.early, chunk]);
      return;
    }
    const part = chunk.length > this.remaining ? chunk.subarray(0, this.remaining) : chunk;
    this.remaining -= part.length;
    this.resumed = false;
    const more = this.sink.write(part);
    if (this.remaining === 0) this.complete();
    else if (more) this.resumed = true;
    else if (!this.resumed) this.stdout.pause();
  }

  /** Whether its end depends on how the program ended. */
  wantsExit(): boolean {
    return !this.over && this.length === undefined;
  }

  /** Nothing more comes; `error` says that this was not the end of the document. */
  finish(error: Error | undefined): void {
    if (this.over) return;
    if (!this.sink) {
      this.outcome ??= { error };
      return;
    }
    this.over = true;
    if (error) this.sink.fail(error);
    else if (this.length !== undefined && this.remaining > 0) {
      this.sink.fail(new Error(`the program announced ${this.length} bytes and wrote ${this.length - this.remaining}`));
    } else this.sink.end();
  }

  /** Takes nothing more and tells nobody. */
  close(): void {
    this.over = true;
  }

  /** All of the promised length is there; what the program still writes is read and forgotten. */
  private complete(): void {
    this.over = true;
    this.sink?.end();
    this.stdout.resume();
  }
}

/** Why a program's output is not to be taken for whole; undefined when it may be. */
function died(exit: Exit | undefined): Error | undefined {
  return exit === undefined || exit.code === 0 ? undefined : new Error(`the program died: ${describeExit(exit)}`);
}

export function describeExit(exit: Exit): string {
  return exit.signal === undefined ? `exit ${exit.code}` : `signal ${exit.signal}`;
}

/** Waits for `promise`, but not longer than `milliseconds`. */
async function within(promise: Promise<unknown>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

function closing(stream: Readable): Promise<void> {
  return new Promise((resolve) => stream.once('close', resolve));
}
