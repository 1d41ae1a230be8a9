/**
 * A program's stdin. Mostly a pipe has room for what is written, so it is written at once: that spares a stream, which costs more to make, to
 * use and to close than all that most programs ever read. Only what a full pipe does not take waits, in a socket of Node's.
 */
import { closeSync, writeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import type { Input } from '../spawn.ts';

export interface PipeInputParts {
  /** Makes writes to it fail with EAGAIN instead of waiting for room. */
  readonly unblock: (descriptor: number) => void;
  /** Writes to a pipe as there is room; owns the descriptor from then on. */
  readonly open: (descriptor: number) => Writable;
}

export class PipeInput implements Input {
  /** Takes everything from the moment on in which the pipe was full. */
  private stream: Writable | undefined;
  private unblocked = false;
  private closed = false;

  /** Closes `descriptor` when it is ended or destroyed, or when nobody can read it any more. */
  constructor(
    private readonly descriptor: number,
    private readonly parts: PipeInputParts,
  ) {}

  get writable(): boolean {
    return this.stream?.writable ?? !this.closed;
  }

  write(data: Uint8Array | string, taken?: (error?: Error | null) => void): void {
    if (this.stream !== undefined) {
      this.stream.write(data, taken);
      return;
    }
    if (this.closed) {
      taken?.(new Error('written behind the end'));
      return;
    }
    let rest = typeof data === 'string' ? Buffer.from(data) : data;
    try {
      rest = rest.subarray(this.writeNow(rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') {
        this.close();
        taken?.(error as Error);
        return;
      }
    }
    if (rest.length === 0) {
      taken?.();
      return;
    }
    this.stream = this.parts.open(this.descriptor);
    this.stream.write(rest, taken);
  }

  end(bytes?: Uint8Array | string): void {
    if (bytes !== undefined && bytes.length > 0) this.write(bytes);
    if (this.stream === undefined) this.close();
    else this.stream.end();
  }

  destroy(): void {
    if (this.stream === undefined) this.close();
    else this.stream.destroy();
  }

  /** How many of them the pipe has taken. */
  private writeNow(bytes: Uint8Array): number {
    if (!this.unblocked) {
      this.unblocked = true;
      this.parts.unblock(this.descriptor);
    }
    return writeSync(this.descriptor, bytes);
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    closeSync(this.descriptor);
  }
}
