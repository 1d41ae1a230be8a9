/**
 * Writes a chain to the last segment, in its order: all that waits with one write, and as often as `sync` says. What is not written yet is
 * bounded; where the disk does not take it, the keeping ends and the stream goes on, until the disk takes it again.
 */
import type { FileHandle } from 'node:fs/promises';
import { Deferred } from '../../ownership/deferred.ts';
import { type Chain, type Position, type TimedMessage, timedFrom } from './chain.ts';
import { KIND, kindOf, putRecord, RECORD_BYTES, RESERVE } from './records.ts';
import { type Segments, segmentBytes } from './segments.ts';

/** When a message is safe: with the disk's word for it, at most a second later, or when the system likes. */
export type HistorySync = 'message' | '1s' | 'never';

/** Milliseconds until the first attempt, and between two at most. */
export interface RetryTimes {
  readonly first: number;
  readonly last: number;
}

export interface WriterParts {
  readonly segments: Segments;
  readonly chain: Chain;
  /** Bytes that are kept. */
  bytes(): number;
  sync(): HistorySync;
  epochOf(sequence: number): string;
  /** How many numbers until now no message has. */
  skipped(): number;
  now(): number;
  wrote(): void;
  synced(): void;
  /** Removes what is too old. */
  trim(): Promise<void>;
  /** The disk does not take it: what comes now has another epoch. */
  lost(error: unknown): void;
  /** It takes it again. */
  found(): void;
}

/** Milliseconds between two writes where not each message is waited for. */
const INTERVAL = 1000;
/** Bytes that are written at once, and that do not wait for their second. */
const MOST_AT_ONCE = 1 << 20;
/** What may wait for the disk, each message with its weight: fewer messages than there are numbers in reserve. */
const MOST_WAITING = { bytes: 16 << 20, messages: RESERVE - 1 };
/** Milliseconds until a disk is tried again, twice as long each time. */
const RETRY: RetryTimes = { first: 5000, last: 300_000 };
const NO_DATA = Buffer.alloc(0);

interface Waiter {
  readonly sequence: number;
  readonly kept: Deferred<boolean>;
}

export class Writer {
  /** Behind what is written; undefined while nothing is kept. */
  private written: Position | undefined;
  private lastKept = 0;
  private handle: FileHandle | undefined;
  /** What begins the next write. */
  private timer: NodeJS.Timeout | undefined;
  private immediate: NodeJS.Immediate | undefined;
  private work: Promise<void> | undefined;
  private lastWrite = Number.NEGATIVE_INFINITY;
  private retry: number;
  private keepingSince = 0;
  private waiters: Waiter[] = [];
  private over = false;

  constructor(
    private readonly parts: WriterParts,
    private readonly retryTimes = RETRY,
  ) {
    this.retry = retryTimes.first;
  }

  get keeping(): boolean {
    return this.written !== undefined;
  }

  /** The number of the last message that is written; while nothing is kept nothing waits to be. */
  get sequence(): number {
    return this.written?.sequence ?? Number.POSITIVE_INFINITY;
  }

  /** Goes on behind the chain's end. @param handle of the last segment; undefined: with the first message one is begun */
  start(handle: FileHandle | undefined): void {
    this.handle = handle;
    this.written = this.parts.chain.end;
    this.lastKept = this.written.sequence;
  }

  /** The chain has gone on. */
  added(): void {
    const { written } = this;
    if (written === undefined) return;
    const { end } = this.parts.chain;
    const bytes = written.bytesTo(end);
    const messages = end.count - written.count;
    if (messages > MOST_WAITING.messages || (bytes > MOST_WAITING.bytes && messages > 2))
      this.lose(new Error('cannot be written as fast as messages arrive'));
    else if (this.work === undefined && this.immediate === undefined) this.schedule(bytes);
  }

  /** As `SharedSourceEvents.kept`. */
  kept(): Promise<boolean> | undefined {
    const { written, waiters } = this;
    if (written === undefined) return Promise.resolve(false);
    const { end } = this.parts.chain;
    const { sequence } = end;
    if (written.sequence >= sequence) return undefined;
    // Whoever is faster than the disk waits for it, whatever is promised: otherwise the keeping would end.
    if (this.parts.sync() !== 'message' && written.bytesTo(end) < MOST_AT_ONCE) return undefined;
    const last = waiters.at(-1);
    if (last?.sequence === sequence) return last.kept.promise;
    const kept = new Deferred<boolean>();
    waiters.push({ sequence, kept });
    return kept.promise;
  }

  /** A record that is no message. Rejects with what the system says. */
  async mark(kind: number, sequence: number): Promise<void> {
    const { handle } = this;
    const { last } = this.parts.segments;
    if (handle === undefined || last === undefined) return;
    const bytes = Buffer.alloc(RECORD_BYTES);
    putRecord(bytes, 0, kind, sequence, this.parts.now(), NO_DATA);
    await writeWhole(handle, bytes, last.size);
    last.size += bytes.length;
    this.parts.wrote();
    await this.sync(handle);
  }

  /** Writes what waits, and that this is all. Nothing is written any more. */
  async close(): Promise<void> {
    this.over = true;
    this.unschedule();
    await this.work;
    if (this.written !== undefined) {
      await this.writeAll();
      await this.mark(KIND.closed, this.parts.chain.end.sequence).catch(() => undefined);
    }
    this.settle(Number.POSITIVE_INFINITY, false);
    const { handle } = this;
    this.handle = undefined;
    await handle?.close().catch(() => undefined);
  }

  /** The disk does not take it. */
  lose(error: unknown): void {
    if (this.written === undefined) return;
    this.lastKept = this.written.sequence;
    this.written = undefined;
    this.unschedule();
    this.settle(Number.POSITIVE_INFINITY, false);
    const { handle } = this;
    this.handle = undefined;
    const { last } = this.parts.segments;
    if (handle !== undefined && last !== undefined) void letGo(handle, last.size);
    this.parts.lost(error);
    this.retryLater();
  }

  private retryLater(): void {
    if (this.over) return;
    if (performance.now() - this.keepingSince > this.retryTimes.last) this.retry = this.retryTimes.first;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.work = this.tryAgain().finally(() => this.worked());
    }, this.retry);
    this.retry = Math.min(this.retry * 2, this.retryTimes.last);
  }

  /** Another segment, which begins with what the memory still has. */
  private async tryAgain(): Promise<void> {
    const { chain, segments } = this.parts;
    const position = chain.positionAfter(this.lastKept);
    const first = position.sequence + 1;
    // It was begun, and then there was no room for a message.
    if (segments.last?.first === first) segments.list.pop();
    try {
      await this.begin(first);
    } catch {
      this.retryLater();
      return;
    }
    this.written = position;
    this.keepingSince = performance.now();
    this.parts.found();
  }

  private schedule(bytes: number): void {
    const isDue = this.parts.sync() === 'message' || bytes >= MOST_AT_ONCE;
    const wait = isDue ? 0 : this.lastWrite + INTERVAL - performance.now();
    if (wait > 0) {
      this.timer ??= setTimeout(() => this.run(), wait);
      return;
    }
    // All of this turn together.
    this.immediate = setImmediate(() => this.run());
  }

  private unschedule(): void {
    clearTimeout(this.timer);
    clearImmediate(this.immediate);
    this.timer = undefined;
    this.immediate = undefined;
  }

  private run(): void {
    this.unschedule();
    this.work ??= this.writeAll().finally(() => this.worked());
  }

  private worked(): void {
    this.work = undefined;
    const { end } = this.parts.chain;
    if (this.written !== undefined && !this.over && end.count > this.written.count)
      this.schedule(this.written.bytesTo(end));
  }

  /** Writes what waits: all of it where it has to be at once or nothing comes any more, else what one write takes. */
  private async writeAll(): Promise<void> {
    const { parts } = this;
    this.lastWrite = performance.now();
    for (;;) {
      const { written } = this;
      if (written === undefined) return;
      const { batch, to } = timedFrom(written, MOST_AT_ONCE);
      if (batch.length === 0) return;
      try {
        await this.writeBatch(batch);
        if (this.written !== written) return;
        this.written = to;
        this.settle(to.sequence, true);
        await parts.trim();
      } catch (error) {
        if (this.written !== undefined) this.lose(error);
        return;
      }
      const isMore = to.bytesTo(parts.chain.end) >= MOST_AT_ONCE || this.waiters.length > 0;
      if (!this.over && !isMore && parts.sync() !== 'message') return;
    }
  }

  private async writeBatch(batch: readonly TimedMessage[]): Promise<void> {
    const most = segmentBytes(this.parts.bytes());
    for (let at = 0; at < batch.length; ) {
      const first = batch[at]?.message.sequence ?? 0;
      const epoch = this.parts.epochOf(first);
      const { last } = this.parts.segments;
      if (this.handle === undefined || last === undefined || last.epoch !== epoch || last.size >= most)
        await this.begin(first);
      at = await this.writeRun(batch, at, epoch, most);
    }
    if (this.handle !== undefined && this.parts.sync() !== 'never') await this.sync(this.handle);
  }

  /** Writes what goes into the last segment; gives the index of the first that does not. */
  private async writeRun(batch: readonly TimedMessage[], from: number, epoch: string, most: number): Promise<number> {
    const { handle } = this;
    const { last } = this.parts.segments;
    if (handle === undefined || last === undefined) throw new Error('the history is closed');
    let to = from;
    let size = 0;
    for (; to < batch.length; to++) {
      const message = batch[to]?.message;
      if (message === undefined || (to > from && this.parts.epochOf(message.sequence) !== epoch)) break;
      const bytes = RECORD_BYTES + message.data.length;
      if (to > from && last.size + size + bytes > most) break;
      size += bytes;
    }
    const bytes = Buffer.allocUnsafeSlow(size);
    let at = 0;
    for (const { message, time } of batch.slice(from, to))
      at = putRecord(bytes, at, kindOf(message), message.sequence, time, message.data);
    await writeWhole(handle, bytes, last.size);
    last.size += size;
    this.parts.wrote();
    return to;
  }

  /** Begins another segment. Rejects with what the system says. */
  async begin(first: number): Promise<void> {
    const { parts } = this;
    const before = this.handle;
    this.handle = undefined;
    const isSafe = parts.sync() !== 'never';
    if (before !== undefined) {
      try {
        if (isSafe) await this.sync(before);
      } finally {
        await before.close();
      }
    }
    const header = { epoch: parts.epochOf(first), first, skipped: parts.skipped(), time: parts.now() };
    const handle = await parts.segments.begin(header, isSafe);
    parts.wrote();
    this.handle = handle;
  }

  private async sync(handle: FileHandle): Promise<void> {
    await handle.datasync();
    this.parts.synced();
  }

  private settle(sequence: number, kept: boolean): void {
    const { waiters } = this;
    let count = 0;
    while ((waiters[count]?.sequence ?? Number.POSITIVE_INFINITY) <= sequence && count < waiters.length) count++;
    for (const waiter of waiters.splice(0, count)) waiter.kept.resolve(kept);
  }
}

/** A half record would be passed when it is read; without it there is more room. Waits for what is under way. */
async function letGo(handle: FileHandle, size: number): Promise<void> {
  await handle.truncate(size).catch(() => undefined);
  await handle.close().catch(() => undefined);
}

async function writeWhole(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}
