/**
 * Receives a request's body before anybody is asked to work on it: in memory to a bound, then in a file without a name (`spill.ts`).
 * So a slow uploader holds no process, and CONTENT_LENGTH is true for chunked bodies too.
 */
import { read } from 'node:fs';
import { promisify } from 'node:util';
import type { Limits } from '../config/keys/routes.ts';
import type { BodyReceiver, Exchange } from '../engine/engine.ts';
import { type Waiting, WaitingList } from '../ownership/waiting-list.ts';
import { HttpError } from './errors.ts';
import type { Body } from './handler.ts';
import { Spill, type SpillOwner } from './spill.ts';

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
   * Called once: with the body, or with the `HttpError` to answer (408, 413, 507). At once where it is here already, and otherwise in the very
   * callback of the engine that brings its last bytes.
   */
  whenDone(done: (outcome: Body | HttpError) => void): void;
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
 * @param started when the request came, milliseconds of `performance.now()`
 * @param useful bytes; a larger body is refused though `limits.body` allows it, because nobody has a use for it
 */
export function spoolBody(
  exchange: Exchange,
  limits: Limits,
  clock: BodyClock,
  started: number,
  useful = Number.POSITIVE_INFINITY,
): Spool {
  return new BodySpool(exchange, limits, clock, started, useful);
}

class BodySpool implements Spool, BodyReceiver, SpillOwner, Waiting<BodySpool> {
  before: BodySpool | undefined;
  after: BodySpool | undefined;
  waits = false;
  /** Of it, once that is known. */
  private outcome: Body | HttpError | undefined;
  private onDone: ((outcome: Body | HttpError) => void) | undefined;
  private length = 0;
  /** Most bodies come in one piece: what else there is has a list. */
  private first: Buffer | undefined;
  private rest: Buffer[] | undefined;
  /** Where what is too large for the memory goes. */
  private spill: Spill | undefined;
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
    started: number,
    private readonly useful: number,
  ) {
    this.deadline = started + limits.body_time;
    this.paceAt = limits.body_rate > 0 ? started + limits.rate_window : Number.POSITIVE_INFINITY;
    clock.add(this);
    // Refused before it is asked for: a client that waits for 100 Continue is spared the sending.
    if (exchange.contentLength !== undefined && exchange.contentLength > this.most) this.tooLarge();
    else exchange.receive(this);
  }

  whenDone(done: (outcome: Body | HttpError) => void): void {
    this.onDone = done;
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
    if (this.spill !== undefined) this.spillTo(this.spill, [bytes]);
    else if (this.length > this.limits.body_memory) this.beginSpill(bytes);
    else if (this.first === undefined) this.first = bytes;
    else {
      this.rest ??= [];
      this.rest.push(bytes);
    }
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
    this.spill?.release();
  }

  // ---- for its file ----

  wrote(waiting: number): void {
    if (this.outcome !== undefined) return;
    if (this.paused && waiting < MAX_UNWRITTEN / 2) {
      this.paused = false;
      if (!this.held) this.exchange.resumeBody();
    }
    this.finishIfWhole();
  }

  failed(cause: unknown): void {
    this.fail(new HttpError(507, 'the request body could not be stored', { cause }));
  }

  // ---- inside ----

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

  private get inMemory(): Buffer[] {
    return this.first === undefined ? [] : [this.first, ...(this.rest ?? [])];
  }

  private beginSpill(bytes: Buffer): void {
    const spill = new Spill(this);
    this.spill = spill;
    const { inMemory } = this;
    this.first = undefined;
    this.rest = undefined;
    this.spillTo(spill, [...inMemory, bytes]);
  }

  private spillTo(spill: Spill, parts: readonly Buffer[]): void {
    if (spill.add(parts) <= MAX_UNWRITTEN || this.paused) return;
    this.paused = true;
    this.exchange.pauseBody();
  }

  private finishIfWhole(): void {
    if (!this.ended || this.outcome !== undefined) return;
    const { length, first, rest, spill } = this;
    if (spill !== undefined) {
      if (spill.isIdle) this.settle({ length, bytes: undefined, descriptor: spill.descriptor });
      return;
    }
    const bytes = first !== undefined && rest === undefined ? first : Buffer.concat(this.inMemory, length);
    this.settle({ length, bytes, descriptor: undefined });
  }

  private settle(outcome: Body | HttpError): void {
    this.clock.delete(this);
    this.outcome = outcome;
    this.tell(outcome);
  }

  private tell(outcome: Body | HttpError): void {
    const { onDone } = this;
    this.onDone = undefined;
    onDone?.(outcome);
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
    this.first = undefined;
    this.rest = undefined;
    this.spill?.drop();
    this.settle(error);
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
