/** A reply's body on its way to a slow client through node:http or node:http2, in bounded memory. */
import type { Writable } from 'node:stream';
import type { BodySink, BodySource } from '../engine.ts';
import { STALLED_REPLY } from '../replies.ts';
import type { Copies } from './copies.ts';

/** The exchange that the body belongs to. */
export interface NodeBodyWriterOwner {
  /** Everything has been written. */
  written(): void;
  /** The body cannot be completed: the connection must go. */
  broken(error: unknown): void;
}

export class NodeBodyWriter implements BodySink {
  /** Bytes. */
  given = 0;
  private over = false;

  constructor(
    private readonly response: Writable,
    /** Gives the client up that takes nothing for so many milliseconds; 0 for never. */
    private readonly socket: { setTimeout(patience: number): unknown },
    private readonly owner: NodeBodyWriterOwner,
    private readonly source: BodySource,
    private readonly copies: Copies,
  ) {}

  start(): void {
    this.response.on('drain', () => this.writable());
    this.source.start(this);
  }

  write(chunk: Uint8Array, free?: () => void): boolean {
    if (this.over) return false;
    this.given += chunk.length;
    const { length } = this.source;
    if (length !== undefined && this.given > length) {
      this.cancel();
      this.owner.broken(new Error(`a body source wrote more than the ${length} bytes that it had announced`));
      return false;
    }
    if (chunk.length === 0 || this.response.write(chunk, free && ((error) => error ?? free())))
      return !this.response.writableNeedDrain;
    this.socket.setTimeout(STALLED_REPLY);
    return false;
  }

  /** Node writes in another turn, also what the kernel would take at once. */
  lend(chunk: Uint8Array): boolean {
    const { bytes, free } = this.copies.of(chunk);
    return this.write(bytes, free);
  }

  end(): void {
    if (this.over) return;
    const { length } = this.source;
    if (length !== undefined && this.given < length) {
      this.fail(new Error(`a body source wrote ${this.given} of the ${length} bytes that it had announced`));
      return;
    }
    this.over = true;
    this.owner.written();
  }

  fail(error: Error): void {
    if (this.over) return;
    this.over = true;
    this.owner.broken(error);
  }

  /** Nobody wants the rest. */
  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.source.cancel();
  }

  private writable(): void {
    if (this.over) return;
    this.socket.setTimeout(0);
    try {
      this.source.resume();
    } catch (error) {
      this.cancel();
      this.owner.broken(error);
    }
  }
}
