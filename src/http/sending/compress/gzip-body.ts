/**
 * A body on its way through gzip, at the client's pace. The work is done in the pool of threads; what its source has written is never held
 * longer than it takes to see that nothing follows at once.
 */
import type { Gzip } from 'node:zlib';
import type { BodySink, BodySource } from '../../../engine/engine.ts';

type Zlib = typeof import('node:zlib');

/**
 * 147 KB of memory for each, mostly tables that do not get smaller with a smaller window; with zlib's own values 276 KB. Level 1: CPU time is what a board has
 * least of, and the next levels save a few percent of the bytes. What waits behind it for the client is 16 KiB, as with Node 20; by itself 64 with Node 22.
 */
const OPTIONS = { level: 1, windowBits: 13, memLevel: 6, chunkSize: 8192, highWaterMark: 16 * 1024 };
/** Bytes that wait for the pool before the source has to, and before anybody has asked for the body. */
const MOST_WAITING = 64 * 1024;
/** Milliseconds without another byte after which what there is goes out: nobody sees them, and lines that come together go together. */
const QUIET = 2;

interface Piece {
  readonly bytes: Uint8Array;
  readonly free: (() => void) | undefined;
}

export class GzipBody implements BodySource, BodySink {
  readonly length = undefined;
  private sink: BodySink | undefined;
  private gzip: Gzip | undefined;
  private begun = false;
  /** What came before `start`. */
  private early: Piece[] = [];
  private earlyBytes = 0;
  /** The source has ended, or failed. */
  private outcome: { readonly error: Error | undefined } | undefined;
  /** Pieces that the pool has not taken. */
  private waiting = 0;
  /** The source waits for `resume`. */
  private held = false;
  /** Something was written since the last flush. */
  private dirty = false;
  private quiet: NodeJS.Timeout | undefined;
  private isOver = false;

  /** @param over called once, in every ending, with the bytes that came in and those that went out */
  constructor(
    private readonly zlib: Zlib,
    private readonly source: BodySource,
    private readonly over: (taken: number, sent: number) => void,
  ) {}

  private taken = 0;
  private sent = 0;

  /** Starts the source before anybody has asked for the body: one that is there already tells its length by that. */
  begin(): void {
    if (this.begun) return;
    this.begun = true;
    this.source.start(this);
  }

  /** All of the body, where it has come to its end already. It is the caller's then, and this is over. */
  takeWhole(): Buffer | undefined {
    if (this.outcome === undefined || this.outcome.error !== undefined || this.gzip !== undefined) return undefined;
    const whole = Buffer.concat(this.early.map(({ bytes }) => bytes));
    for (const { free } of this.early) free?.();
    this.early = [];
    this.finish();
    return whole;
  }

  start(sink: BodySink): void {
    this.sink = sink;
    const gzip = this.zlib.createGzip(OPTIONS);
    this.gzip = gzip;
    gzip.on('data', (chunk: Buffer) => {
      if (this.isOver) return;
      this.sent += chunk.length;
      gzip.pause();
      // Set before the write: the sink may call `resume` from inside it.
      if (sink.write(chunk)) gzip.resume();
    });
    gzip.on('end', () => {
      if (this.isOver) return;
      this.finish();
      sink.end();
    });
    gzip.on('error', (error: Error) => this.cut(error));
    const { early } = this;
    this.early = [];
    for (const { bytes, free } of early) this.feed(gzip, bytes, free);
    this.begin();
    if (this.outcome !== undefined) this.conclude(gzip, this.outcome.error);
  }

  resume(): void {
    this.gzip?.resume();
  }

  cancel(): void {
    if (this.isOver) return;
    if (this.outcome === undefined) this.source.cancel();
    this.finish();
    this.gzip?.destroy();
  }

  // ---- what the source writes to ----

  write(chunk: Uint8Array, free?: () => void): boolean {
    if (this.isOver) return false;
    const { gzip } = this;
    if (gzip === undefined) {
      this.early.push({ bytes: chunk, free });
      this.earlyBytes += chunk.length;
      this.held = this.earlyBytes >= MOST_WAITING;
    } else this.feed(gzip, chunk, free);
    return !this.held;
  }

  lend(chunk: Uint8Array): boolean {
    return this.write(Buffer.from(chunk));
  }

  end(): void {
    this.ended(undefined);
  }

  fail(error: Error): void {
    this.ended(error);
  }

  private ended(error: Error | undefined): void {
    if (this.isOver) return;
    this.outcome ??= { error };
    if (this.gzip !== undefined) this.conclude(this.gzip, error);
  }

  private feed(gzip: Gzip, bytes: Uint8Array, free: (() => void) | undefined): void {
    clearTimeout(this.quiet);
    this.taken += bytes.length;
    this.waiting++;
    this.dirty = true;
    gzip.write(bytes, () => {
      free?.();
      this.waiting--;
      this.caughtUp(gzip);
    });
    this.held = gzip.writableLength >= MOST_WAITING;
  }

  /** The pool has taken a piece. */
  private caughtUp(gzip: Gzip): void {
    if (this.isOver || this.outcome !== undefined || this.waiting > 0) return;
    if (this.held) {
      this.held = false;
      this.source.resume();
    }
    if (this.waiting > 0 || this.outcome !== undefined || !this.dirty) return;
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.flush(gzip), QUIET);
  }

  private flush(gzip: Gzip): void {
    if (this.isOver || this.waiting > 0 || this.outcome !== undefined) return;
    this.dirty = false;
    gzip.flush(this.zlib.constants.Z_SYNC_FLUSH);
  }

  /** What a source that fails has written is to be seen all the same. */
  private conclude(gzip: Gzip, error: Error | undefined): void {
    clearTimeout(this.quiet);
    if (error === undefined) gzip.end();
    else gzip.flush(this.zlib.constants.Z_SYNC_FLUSH, () => setImmediate(() => this.cut(error)));
  }

  private cut(error: Error): void {
    if (this.isOver) return;
    if (this.outcome === undefined) this.source.cancel();
    this.finish();
    this.gzip?.destroy();
    this.sink?.fail(error);
  }

  private finish(): void {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.quiet);
    this.over(this.taken, this.sent);
  }
}
