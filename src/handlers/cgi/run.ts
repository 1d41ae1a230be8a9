/**
 * One responder at work on one request: its output is read for the header, then passed on as it comes, at the client's pace. Whatever
 * happens to it ends in exactly one of: an answer, an `HttpError`, a body that is complete, a body that is cut.
 *
 * A CGI program that ends with a status other than 0 has not thereby failed: old scripts end with `[ … ] && …`. Its document is cut
 * only when a signal ended it, or when it wrote less than the Content-Length that it had announced.
 */

import type { BodySource } from '../../engine/engine.ts';
import { HttpError } from '../../http/errors.ts';
import type { Answer } from '../../http/handler.ts';
import { NoBody } from '../../http/reply-bodies.ts';
import { Deferred } from '../../ownership/deferred.ts';
import type { Output } from '../../process/spawn.ts';
import { noRoom } from '../../programs/start-error.ts';
import { CgiBody } from './body.ts';
import { type CgiDocument, CgiHeader, CgiOutputError } from './output.ts';
import { Unchunker } from './unchunk.ts';

/** What answers a request by writing a header and a document: a CGI program, or a FastCGI application over its connection. */
export interface Responder {
  /** Header and document. Closes after its end, or without one. */
  readonly stdout: Output;
  readonly stderr: Output | undefined;
  /** Settles as soon as it is known how it ended; output may still be on its way then. */
  readonly ended: Promise<ResponderEnd>;
  /** Settles when nothing is left of it. */
  readonly over: Promise<void>;
}

/** How a responder ended. */
export interface ResponderEnd {
  /** For the log: "exit 3", "signal SIGSEGV". */
  readonly how: string;
  /** What it has written is not to be taken for whole. */
  readonly cut: boolean;
  /** It did not even begin, for want of room. */
  readonly busy?: boolean;
}

/** Longest header, bytes. */
const MAX_HEADER = 64 * 1024;
/** Longest document that is handed over at once, bytes: what a pipe holds. */
const SMALL = 64 * 1024;
/** How long after its output's end a responder is given to say how it ended, before that is taken for a good end, milliseconds. */
const ENDING_AFTER_OUTPUT = 500;
/** The same, where it has not even written a header and the log should say why. */
const ENDING_AFTER_FAILURE = 500;

export interface CgiRunOptions {
  /** For the log: "a CGI program". */
  readonly what: string;
  readonly responder: Responder;
  /** HEAD: the document is read and thrown away. */
  readonly head: boolean;
  /** Milliseconds to a whole header. */
  readonly timeout: number;
  /** Milliseconds in all. */
  readonly totalTimeout: number;
  /** The last lines of its stderr. */
  readonly lastLines: () => readonly string[];
  /** Ends all of it: the program's group, the connection. */
  readonly end: () => void;
}

export class CgiRun {
  private readonly stdout: Output;
  private readonly header = new CgiHeader(MAX_HEADER);
  private body: CgiBody | undefined;
  private unchunker: Unchunker | undefined;
  private settled = false;
  private responderEnd: ResponderEnd | undefined;
  private readonly answered = new Deferred<Answer>();
  private readonly headerTimer: NodeJS.Timeout;
  private stopListening: (() => void) | undefined;

  constructor(private readonly options: CgiRunOptions) {
    const { responder, timeout, totalTimeout } = options;
    this.stdout = responder.stdout;
    void responder.ended.then((end) => {
      this.responderEnd = end;
    });
    this.headerTimer = setTimeout(() => this.late(`no header within ${timeout} ms`), timeout);
    const totalTimer = setTimeout(() => this.late(`not finished after ${totalTimeout} ms`), totalTimeout);
    void responder.over.then(() => {
      clearTimeout(this.headerTimer);
      clearTimeout(totalTimer);
      this.stopListening?.();
    });
    this.stdout.on('data', (chunk: Buffer) => this.take(chunk));
    // Without an 'end' before it, 'close' comes after an error or when the responder was ended.
    let over = false;
    const ended = (): void => {
      if (over) return;
      over = true;
      void this.outputEnded();
    };
    this.stdout.once('end', ended);
    this.stdout.once('close', ended);
  }

  /** Rejects with an `HttpError`: 502, 504, or 499 when the client left before. */
  get answer(): Promise<Answer> {
    return this.answered.promise;
  }

  /** It ends when the client leaves. The signal outlives it: a local redirect starts another run for the same call. */
  leaveWith(signal: AbortSignal): void {
    const leave = (): void => this.leave();
    if (signal.aborted) {
      leave();
      return;
    }
    signal.addEventListener('abort', leave);
    this.stopListening = () => signal.removeEventListener('abort', leave);
  }

  /** The client has left: nobody wants the rest. */
  private leave(): void {
    this.body?.close();
    this.fail(499, 'the client left before the program answered');
    this.abandon();
  }

  private take(chunk: Buffer): void {
    if (this.body) this.pushOn(this.body, chunk);
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
    if (response.kind === 'local-redirect') this.answered.resolve({ localRedirect: response.target });
    else if (this.options.head) this.answered.resolve(reply(response, new NoBody(response.length)));
    else if (response.status === 204 || response.status === 304) this.answered.resolve(reply(response, undefined));
    else if (isWhole(response, rest)) this.answered.resolve(reply(response, rest.subarray(0, response.length)));
    else {
      this.body = new CgiBody(this.stdout, response.length, () => this.leave());
      if (response.chunked) this.unchunker = new Unchunker();
      this.answered.resolve(reply(response, this.body));
      this.pushOn(this.body, rest);
    }
  }

  private pushOn(body: CgiBody, chunk: Buffer): void {
    if (this.unchunker === undefined) {
      body.push(chunk);
      return;
    }
    const { bytes, over, wrong } = this.unchunker.feed(chunk);
    // In one piece, because a sink that is behind takes no second one.
    if (bytes.length > 0) body.push(bytes);
    if (over) body.finish(wrong);
    if (wrong !== undefined) this.abandon();
  }

  private async outputEnded(): Promise<void> {
    const { responder } = this.options;
    if (this.body) {
      if (this.body.wantsEnding()) await within(responder.ended, ENDING_AFTER_OUTPUT);
      const rest = this.unchunker?.end();
      if (rest !== undefined && rest.bytes.length > 0) this.body.push(rest.bytes);
      this.body.finish(this.responderEnd?.cut ? new Error(`it died: ${this.responderEnd.how}`) : rest?.wrong);
    } else if (!this.settled) {
      clearTimeout(this.headerTimer);
      await within(responder.ended, ENDING_AFTER_FAILURE);
      // The last words may still be in the pipe.
      if (responder.stderr && !responder.stderr.closed) await within(closing(responder.stderr), ENDING_AFTER_FAILURE);
      this.fail(this.responderEnd?.busy ? 503 : 502, this.header.end().message);
      // It may have closed its output and live on, but its client has been told.
      this.abandon();
    }
  }

  /** A time is over. */
  private late(reason: string): void {
    const holder =
      this.responderEnd === undefined ? '' : `: it has ended (${this.responderEnd.how}), but its output is still open`;
    if (this.body) this.body.finish(new Error(`the gateway ended it: ${reason}${holder}`));
    else this.fail(504, reason + holder);
    this.abandon();
  }

  private fail(status: 499 | 502 | 503 | 504, reason: string): void {
    clearTimeout(this.headerTimer);
    if (this.settled) return;
    this.settled = true;
    const ending = this.responderEnd === undefined ? '' : `; ${this.responderEnd.how}`;
    const lines = this.options.lastLines();
    const said = lines.length === 0 ? '' : `; last lines of stderr: ${lines.join(' | ')}`;
    const message = status === 499 ? reason : `${this.options.what} failed: ${reason}${ending}${said}`;
    this.answered.reject(status === 503 ? noRoom(message) : new HttpError(status, message));
  }

  /** A program that goes on writing learns at its next write (SIGPIPE) that nobody reads; the others are ended step by step. */
  private abandon(): void {
    this.stdout.destroy();
    this.options.end();
  }
}

/** Whether all of a small document is there already, as it is when a program was over before anybody looked. */
function isWhole({ length, chunked }: CgiDocument, bytes: Buffer): boolean {
  return !chunked && length !== undefined && length <= bytes.length && length <= SMALL;
}

function reply(document: CgiDocument, body: BodySource | Buffer | undefined): Answer {
  return { status: document.status, reason: document.reason, headers: document.headers, body };
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

function closing(stream: Output): Promise<void> {
  return new Promise((resolve) => stream.once('close', resolve));
}
