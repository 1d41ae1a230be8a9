/**
 * Receives a request's body before anybody is asked to work on it: in memory to a bound, then in a file without a name.
 * So a slow uploader holds no process, and CONTENT_LENGTH is true for chunked bodies too.
 */
import { read } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import type { Limits } from '../config/keys/routes.ts';
import type { BodyReceiver, Exchange } from '../engine/engine.ts';
import { openUnnamedFile } from '../ops/system/unnamed-file.ts';
import { type Waiting, WaitingList } from '../ownership/waiting-list.ts';
import { HttpError } from './errors.ts';
import type { Body } from './handler.ts';

const readAt = promisify(read);

/** Bytes that may wait for the disk before the client is held back. */
const MAX_UNWRITTEN = 1 << 20;

/** `limits.body_time` is for so much of a body, and for as much again after that: a large one that keeps coming is not late. Bytes. */
const TIMED = 16 << 20;

/** How often slow bodies are looked at. Milliseconds. */
const LOOK = 250;

/** One timer for the bodies of all requests, most of which are here within the turn of their head. It ends when it finds none. */
export class BodyClock {
  private readonly spools = new WaitingList<BodySpool>();
  private timer: NodeJS.Timeout | undefined;

  add(spool: BodySpool): void {
    this.spools.add(spool);
    this.timer ??= setInterval(() => this.look(), LOOK);
  }

  delete(spool: BodySpool): void {
    this.spools.delete(spool);
  }

  private look(): void {
    if (this.spools.isEmpty) {
      clearInterval(this.timer);
      this.timer = undefined;
      return;
    }
    const now = performance.now();
    this.spools.each((spool) => spool.look(now));
  }
}

/** A body in the making. */
export interface Spool {
  /**
   * Exactly one of both is called, once: with the body, or with the `HttpError` to answer (408, 413, 507). At once where it is here already,
   * and otherwise in the very callback of the engine that brings its last bytes.
   */
  whenDone(whole: (body: Body) => void, failed: (error: HttpError) => void): void;
  /** The client has gone: stops, and releases what there is. */
  cancel(): void;
  /** Closes the file of a finished body, if there is one. */
  release(): void;
  /** Takes as little of the body as can be, until `go`: it is not decided yet whether it is wanted. */
  hold(): void;
  go(): void;
}

/**
 * Must be called before the engine's callback returns (see `Exchange.receive`).
 * @param useful bytes; a larger body is refused though `limits.body` allows it, because nobody has a use for it
 */
export function spoolBody(
  exchange: Exchange,
  limits: Limits,
  clock: BodyClock,
  useful = Number.POSITIVE_INFINITY,
): Spool {
  return new BodySpool(exchange, limits, clock, useful);
}

class BodySpool implements Spool, BodyReceiver, Waiting<BodySpool> {
  before: BodySpool | undefined;
  after: BodySpool | undefined;
  waits = false;
  /** Of it, once that is known. */
  private outcome: Body | HttpError | undefined;
  private onWhole: ((body: Body) => void) | undefined;
  private onFailed: ((error: HttpError) => void) | undefined;
  private length = 0;
  private inMemory: Buffer[] = [];
  private unwritten: Buffer[] = [];
  private unwrittenBytes = 0;
  private file: FileHandle | undefined;
  private filePosition = 0;
  private spilling = false;
  private writing = false;
  private paused = false;
  private ended = false;
  private held = false;
  /** When it is late, and when its pace is looked at next. Milliseconds of `performance.now()`. */
  private deadline: number;
  private paceAt: number;
  /** Bytes at the end of the last window. */
  private lengthBefore = 0;

  constructor(
    private readonly exchange: Exchange,
    private readonly limits: Limits,
    private readonly clock: BodyClock,
    private readonly useful: number,
  ) {
    const now = performance.now();
    this.deadline = now + limits.body_time;
    this.paceAt = limits.body_rate > 0 ? now + limits.rate_window : Number.POSITIVE_INFINITY;
    clock.add(this);
    // Refused before it is asked for: a client that waits for 100 Continue is spared the sending.
    if (exchange.contentLength !== undefined && exchange.contentLength > this.most) this.tooLarge();
    else exchange.receive(this);
  }

  whenDone(whole: (body: Body) => void, failed: (error: HttpError) => void): void {
    this.onWhole = whole;
    this.onFailed = failed;
    if (this.outcome !== undefined) this.tell(this.outcome);
  }

  /** See `BodyClock`. */
  look(now: number): void {
    if (now >= this.deadline) this.late();
    else if (now >= this.paceAt) {
      this.paceAt = now + this.limits.rate_window;
      this.checkPace();
    }
  }

  chunk(bytes: Buffer): void {
    if (this.outcome !== undefined) return;
    const timed = Math.floor(this.length / TIMED);
    this.length += bytes.length;
    if (this.length > this.most) {
      this.tooLarge();
      return;
    }
    if (Math.floor(this.length / TIMED) > timed) this.deadline = performance.now() + this.limits.body_time;
    if (!this.spilling && this.length <= this.limits.body_memory) {
      this.inMemory.push(bytes);
      return;
    }
    if (!this.spilling) {
      this.spilling = true;
      this.unwritten = this.inMemory;
      this.unwrittenBytes = this.length - bytes.length;
      this.inMemory = [];
    }
    this.unwritten.push(bytes);
    this.unwrittenBytes += bytes.length;
    if (this.unwrittenBytes > MAX_UNWRITTEN && !this.paused) {
      this.paused = true;
      this.exchange.pauseBody();
    }
    void this.writeOut();
  }

  end(): void {
    this.ended = true;
    this.finishIfWhole();
  }

  hold(): void {
    this.held = true;
    this.exchange.pauseBody();
  }

  go(): void {
    this.held = false;
    if (!this.paused) this.exchange.resumeBody();
  }

  cancel(): void {
    if (this.outcome !== undefined) this.release();
    else this.fail(new HttpError(499, 'the client left before its body was complete'));
  }

  release(): void {
    // A write under way still needs the file; `writeOut` comes back here after it.
    if (this.writing) return;
    const file = this.file;
    this.file = undefined;
    // Closing a file that has no name and that nobody will read cannot lose anything.
    file?.close().catch(() => undefined);
  }

  private late(): void {
    const { body_time } = this.limits;
    const part = this.length < TIMED ? 'the body' : 'the next 16 MiB of the body';
    this.fail(new HttpError(408, `${part} did not arrive within limits.body_time (${body_time} ms)`));
  }

  private get most(): number {
    return Math.min(this.limits.body, this.useful);
  }

  private tooLarge(): void {
    const what = this.most === this.useful ? 'the largest message' : 'limits.body';
    this.fail(new HttpError(413, `the body is larger than ${what} (${this.most} bytes)`));
  }

  private finishIfWhole(): void {
    if (!this.ended || this.writing || this.unwritten.length > 0 || this.outcome !== undefined) return;
    const { length, inMemory } = this;
    if (this.spilling) this.settle({ length, bytes: undefined, descriptor: this.file?.fd });
    else {
      const [only] = inMemory;
      const bytes = inMemory.length === 1 && only !== undefined ? only : Buffer.concat(inMemory, length);
      this.settle({ length, bytes, descriptor: undefined });
    }
  }

  private settle(outcome: Body | HttpError): void {
    this.clock.delete(this);
    this.outcome = outcome;
    this.tell(outcome);
  }

  private tell(outcome: Body | HttpError): void {
    const { onWhole, onFailed } = this;
    this.onWhole = undefined;
    this.onFailed = undefined;
    if (outcome instanceof HttpError) onFailed?.(outcome);
    else onWhole?.(outcome);
  }

  private checkPace(): void {
    const { body_rate, rate_window } = this.limits;
    const brought = this.length - this.lengthBefore;
    this.lengthBefore = this.length;
    // While we hold it back ourselves, or all of it is here, its client is not to blame.
    if (this.held || this.paused || this.ended || brought * 1000 >= body_rate * rate_window) return;
    this.fail(new HttpError(408, `the body came slower than limits.body_rate (${body_rate} bytes a second)`));
  }

  private fail(error: HttpError): void {
    if (this.outcome !== undefined) return;
    this.inMemory = [];
    this.unwritten = [];
    this.unwrittenBytes = 0;
    this.release();
    this.settle(error);
  }

  /** Writes what is waiting, one write at a time. Positional, so that whoever gets the descriptor starts reading at 0. */
  private async writeOut(): Promise<void> {
    if (this.writing) return;
    this.writing = true;
    try {
      this.file ??= await openUnnamedFile(tmpdir());
      while (this.unwritten.length > 0) {
        const batch = this.unwritten;
        this.unwritten = [];
        const { bytesWritten } = await this.file.writev(batch, this.filePosition);
        this.filePosition += bytesWritten;
        const bytes = batch.reduce((sum, part) => sum + part.length, 0);
        if (bytesWritten < bytes) this.unwritten.unshift(Buffer.concat(batch).subarray(bytesWritten));
        this.unwrittenBytes -= bytesWritten;
        if (this.outcome !== undefined) break;
        if (this.paused && this.unwrittenBytes < MAX_UNWRITTEN / 2) {
          this.paused = false;
          if (!this.held) this.exchange.resumeBody();
        }
      }
      this.writing = false;
    } catch (error) {
      this.writing = false;
      this.fail(new HttpError(507, 'the request body could not be stored', { cause: error }));
    }
    if (this.outcome !== undefined) this.release();
    else this.finishIfWhole();
  }
}

/**
 * A spooled body in memory, for whoever needs it as one message.
 * @param max bytes; rejects with a 413 above
 */
export async function bodyBytes(body: Body | undefined, max: number): Promise<Buffer> {
  if (body === undefined || body.length === 0) return Buffer.alloc(0);
  if (body.length > max) throw new HttpError(413, `the message has ${body.length} bytes, max_message is ${max}`);
  if (body.bytes !== undefined) return body.bytes;
  if (body.descriptor === undefined) throw new TypeError('a body that is neither in memory nor in a file');
  const bytes = Buffer.alloc(body.length);
  for (let at = 0; at < bytes.length; ) {
    const { bytesRead } = await readAt(body.descriptor, bytes, at, bytes.length - at, at);
    if (bytesRead === 0) throw new HttpError(500, 'the stored body is shorter than the body that arrived');
    at += bytesRead;
  }
  return bytes;
}
