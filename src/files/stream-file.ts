/** A file, or parts of one, as a reply's body: read in chunks at the client's pace. */
import { close, read } from 'node:fs';
import type { BodySink, BodySource } from '../engine/engine.ts';
import { isRange, lengthOf, type Piece } from './multipart.ts';

/** What is read at a time: little for a client that is slow, of whom there may be many; more and more for one that takes it all. */
const LEAST = 64 * 1024;
const MOST = 512 * 1024;

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
  private chunk = LEAST;

  constructor(
    private readonly descriptor: number,
    private readonly pieces: readonly Piece[],
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
    const wanted = Math.min(this.chunk, piece.end - position + 1);
    const buffer = this.bufferFor(wanted);
    this.reading = true;
    read(this.descriptor, buffer, 0, wanted, position, (error, count) =>
      this.took(error, buffer, count, piece.end - position + 1 - count),
    );
  }

  /** Without a buffer that comes back a large file would be as much garbage as it is long. */
  private bufferFor(wanted: number): Buffer {
    const { spare } = this;
    this.spare = undefined;
    const fits = spare !== undefined && spare.length >= wanted && spare.length <= this.chunk;
    return fits ? spare : Buffer.allocUnsafeSlow(wanted);
  }

  /** @param left Bytes of the piece that are to be read after these. */
  private took(error: Error | null, buffer: Buffer, count: number, left: number): void {
    this.reading = false;
    const sink = this.sink;
    if (this.over || !sink) {
      this.release();
      return;
    }
    if (error || count === 0) {
      this.finish();
      sink.fail(error ?? new Error('the file became shorter while it was being sent'));
      return;
    }
    if (left === 0) this.at++;
    this.done = left === 0 ? 0 : this.done + count;
    this.give(count === buffer.length ? buffer : buffer.subarray(0, count), () => {
      this.spare = buffer;
    });
  }

  private give(bytes: Uint8Array, free?: () => void): void {
    // Set before the write: the sink may call `resume` from inside it.
    this.waiting = true;
    const more = this.sink?.write(bytes, free) === true;
    this.chunk = more ? Math.min(this.chunk * 2, MOST) : LEAST;
    if (more && this.waiting) this.resume();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    if (!this.reading) this.release();
  }

  /** Never while a read is under way: the number could belong to another file by the time the read happens. */
  private release(): void {
    close(this.descriptor, (error) => {
      if (error) this.failed(error);
    });
  }
}
