/** A file, or a part of one, as a reply's body: read in chunks at the client's pace. */
import { close, read } from 'node:fs';
import type { BodySink, BodySource } from '../engine/engine.ts';

const CHUNK_BYTES = 64 * 1024;

/**
 * Sends `length` bytes from `offset` of an open file and then closes the descriptor, which is its own from here on and is closed in
 * every ending. A file that has become shorter meanwhile fails the reply; what a file has grown is not sent.
 */
export class FileBody implements BodySource {
  readonly length: number;
  private position: number;
  private remaining: number;
  private sink: BodySink | undefined;
  private reading = false;
  private waiting = false;
  private over = false;

  constructor(
    private readonly descriptor: number,
    offset: number,
    length: number,
    /** Told when the descriptor could not be closed. */
    private readonly failed: (error: Error) => void,
  ) {
    this.length = length;
    this.position = offset;
    this.remaining = length;
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
    if (this.remaining === 0) {
      this.finish();
      this.sink.end();
      return;
    }
    // A fresh buffer each time: the sink keeps what it is given.
    const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, this.remaining));
    this.reading = true;
    read(this.descriptor, chunk, 0, chunk.length, this.position, (error, count) => this.took(error, chunk, count));
  }

  private took(error: Error | null, chunk: Buffer, count: number): void {
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
    this.position += count;
    this.remaining -= count;
    // Set before the write: the sink may call `resume` from inside it.
    this.waiting = true;
    if (sink.write(count === chunk.length ? chunk : chunk.subarray(0, count)) && this.waiting) this.resume();
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
