/** A file, or parts of one, as a reply's body: read in chunks at the client's pace. */
import { close, read, readSync } from 'node:fs';
import type { BodySink, BodySource } from '../engine/engine.ts';
import { isRange, lengthOf, type RangePiece } from './range.ts';

/** What is read at a time for a client that is slow, of whom there may be many. */
const CHUNK_BYTES = 64 * 1024;
/** Bytes of a large buffer. */
const LARGE_BYTES = 256 * 1024;
/** What is sent past our memory in one turn of the event loop, while others wait. */
const DIRECT_BYTES = 512 * 1024;
/** What is written behind that when the client has taken less: only a write tells when it takes more. */
const NUDGE_BYTES = 4096;
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
    if (this.sendDirectly(this.sink, position, left)) return;
    const buffer = this.bufferFor(left);
    const wanted = Math.min(buffer.length, left);
    this.reading = true;
    read(this.descriptor, buffer, 0, wanted, position, (error, count) => this.took(error, buffer, count, left - count));
  }

  /** All but the end of a large piece, as far as the client takes it. */
  private sendDirectly(sink: BodySink, position: number, left: number): boolean {
    if (left <= CHUNK_BYTES || sink.sendFile === undefined) return false;
    const wanted = Math.min(left - NUDGE_BYTES, DIRECT_BYTES);
    const count = sink.sendFile(this.descriptor, position, wanted);
    if (count === undefined) return false;
    this.done += count;
    if (count === wanted) this.goOnLater();
    else this.nudge(sink, position + count);
    return true;
  }

  /** Others have their turn first. It is busy until then, and keeps its descriptor. */
  private goOnLater(): void {
    this.reading = true;
    setImmediate(goOn, this);
  }

  /** Called in another turn. */
  goOn(): void {
    this.reading = false;
    if (this.over) this.release();
    else this.next();
  }

  /** Writes a little of what is in memory, so that the client can be waited for. As much is left at least. */
  private nudge(sink: BodySink, position: number): void {
    // The chunk that came first has done its work: a slow client is to cost little.
    if (this.spare?.length !== NUDGE_BYTES) this.spare = undefined;
    const buffer = this.bufferFor(NUDGE_BYTES);
    let count = 0;
    let failure: unknown;
    try {
      count = readSync(this.descriptor, buffer, 0, NUDGE_BYTES, position);
    } catch (error) {
      failure = error;
    }
    if (count === 0) {
      this.back(buffer);
      this.shorter(sink, failure);
      return;
    }
    this.done += count;
    this.waiting = true;
    this.keepsUp = sink.write(buffer.subarray(0, count), () => this.back(buffer));
    if (!this.keepsUp || !this.waiting) return;
    this.waiting = false;
    this.goOnLater();
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
      this.shorter(sink, error);
      return;
    }
    if (left === 0) this.at++;
    this.done = left === 0 ? 0 : this.done + count;
    this.give(count === buffer.length ? buffer : buffer.subarray(0, count), () => this.back(buffer));
  }

  private shorter(sink: BodySink, error: unknown): void {
    this.finish();
    sink.fail(error instanceof Error ? error : new Error('the file became shorter while it was being sent'));
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

function goOn(body: FileBody): void {
  body.goOn();
}
