/** A file, or parts of one, as a reply's body: read in chunks at the client's pace. */
import { close, read } from 'node:fs';
import type { BodySink, BodySource } from '../engine/engine.ts';
import { isRange, lengthOf, type RangePiece } from './range.ts';

/** What is read at a time for a client that is slow, of whom there may be many. */
const CHUNK_BYTES = 64 * 1024;
/** Bytes of a large buffer. */
const LARGE_BYTES = 256 * 1024;
/** Downloads that may have a large buffer at a time. */
const MAX_USERS = 8;
/** Large buffers that are kept when nobody has them. */
const KEPT = 2;

/**
 * Large buffers for reading files, shared by all downloads: for clients that take what they get at once, so that few are enough.
 * They are used again, because as garbage they would pile up faster than they are collected.
 */
export class ReadBuffers {
  private readonly free: Buffer[] = [];
  private users = 0;

  /** Whether one more download may have one; it says `leave` when it has none any more. */
  enter(): boolean {
    if (this.users >= MAX_USERS) return false;
    this.users++;
    return true;
  }

  leave(): void {
    this.users--;
  }

  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
  }

  /** One that nobody reads any more. Those of which nobody can say that are left to the collector. */
  give(buffer: Buffer): void {
    if (this.free.length < KEPT) this.free.push(buffer);
  }
}

/**
 * Sends `pieces` of an open file and then closes the descriptor, which is its own from here on and is closed in every ending. A file
 * that has become shorter meanwhile fails the reply; what a file has grown is not sent.
 */
export class FileBody implements BodySource {
  readonly length: number;
  /** Of the piece that is next. */
  private at = 0;
  /** Bytes of that piece that are sent. */
  private done = 0;
  private sink: BodySink | undefined;
  private reading = false;
  private waiting = false;
  private over = false;
  private spare: Buffer | undefined;
  /** The client has taken the last chunk at once. */
  private keepsUp = false;
  /** It may have large buffers. */
  private mayBeLarge = false;

  constructor(
    private readonly descriptor: number,
    private readonly pieces: readonly RangePiece[],
    private readonly buffers: ReadBuffers,
    /** Told when the descriptor could not be closed. */
    private readonly failed: (error: Error) => void,
  ) {
    this.length = lengthOf(pieces);
  }

  start(sink: BodySink): void {
    this.sink = sink;
    this.next();
  }

  resume(): void {
    if (!this.waiting) return;
    this.waiting = false;
    this.next();
  }

  cancel(): void {
    this.finish();
  }

  private next(): void {
    if (this.over || this.reading || !this.sink) return;
    const piece = this.pieces[this.at];
    if (piece === undefined) {
      this.finish();
      this.sink.end();
      return;
    }
    if (!isRange(piece)) {
      this.at++;
      this.give(piece);
      return;
    }
    const position = piece.start + this.done;
    const left = piece.end - position + 1;
    const buffer = this.bufferFor(left);
    const wanted = Math.min(buffer.length, left);
    this.reading = true;
    read(this.descriptor, buffer, 0, wanted, position, (error, count) => this.took(error, buffer, count, left - count));
  }

  /** Without a buffer that comes back a large file would be as much garbage as it is long. */
  private bufferFor(left: number): Buffer {
    if (this.keepsUp && left > CHUNK_BYTES) {
      this.mayBeLarge ||= this.buffers.enter();
      if (this.mayBeLarge) return this.buffers.take();
    }
    const wanted = Math.min(CHUNK_BYTES, left);
    const { spare } = this;
    if (spare === undefined || spare.length < wanted) return Buffer.allocUnsafeSlow(wanted);
    this.spare = undefined;
    return spare;
  }

  private back(buffer: Buffer): void {
    if (buffer.length <= CHUNK_BYTES) this.spare = buffer;
    else {
      this.buffers.give(buffer);
      if (!this.keepsUp) this.smallAgain();
    }
  }

  private smallAgain(): void {
    if (this.mayBeLarge) this.buffers.leave();
    this.mayBeLarge = false;
  }

  /** @param left Bytes of the piece that are to be read after these. */
  private took(error: Error | null, buffer: Buffer, count: number, left: number): void {
    this.reading = false;
    const sink = this.sink;
    if (this.over || !sink) {
      this.back(buffer);
      this.release();
      return;
    }
    if (error || count === 0) {
      this.back(buffer);
      this.finish();
      sink.fail(error ?? new Error('the file became shorter while it was being sent'));
      return;
    }
    if (left === 0) this.at++;
    this.done = left === 0 ? 0 : this.done + count;
    this.give(count === buffer.length ? buffer : buffer.subarray(0, count), () => this.back(buffer));
  }

  private give(bytes: Uint8Array, free?: () => void): void {
    // Set before the write: the sink may call `resume` from inside it.
    this.waiting = true;
    const more = this.sink?.write(bytes, free) === true;
    this.keepsUp = more;
    if (more && this.waiting) this.resume();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.smallAgain();
    if (!this.reading) this.release();
  }

  /** Never while a read is under way: the number could belong to another file by the time the read happens. */
  private release(): void {
    close(this.descriptor, (error) => {
      if (error) this.failed(error);
    });
  }
}
