/** The part of a request's body that is too large for the memory: in a file without a name. */
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { openUnnamedFile } from '../ops/system/unnamed-file.ts';

export interface SpillOwner {
  /** Something was written. @param waiting bytes that are not yet */
  wrote(waiting: number): void;
  /** Nothing more is written. */
  failed(cause: unknown): void;
}

export class Spill {
  private file: FileHandle | undefined;
  private position = 0;
  private unwritten: Buffer[] = [];
  private waiting = 0;
  private writing = false;
  private released = false;

  constructor(private readonly owner: SpillOwner) {}

  /** Everything that was added is in the file. */
  get isIdle(): boolean {
    return !this.writing && this.unwritten.length === 0;
  }

  get descriptor(): number | undefined {
    return this.file?.fd;
  }

  /** Gives how many bytes wait for the disk. */
  add(parts: readonly Buffer[]): number {
    for (const part of parts) {
      this.unwritten.push(part);
      this.waiting += part.length;
    }
    void this.writeOut();
    return this.waiting;
  }

  /** What waits is not written any more. */
  drop(): void {
    this.unwritten = [];
    this.waiting = 0;
    this.release();
  }

  /** Closes the file, behind a write that is under way. */
  release(): void {
    this.released = true;
    if (this.writing) return;
    const { file } = this;
    this.file = undefined;
    // Closing a file that has no name and that nobody will read cannot lose anything.
    file?.close().catch(() => undefined);
  }

  /** Writes what is waiting, one write at a time. Positional, so that whoever gets the descriptor starts reading at 0. */
  private async writeOut(): Promise<void> {
    if (this.writing) return;
    this.writing = true;
    let cause: unknown;
    try {
      this.file ??= await openUnnamedFile(tmpdir());
      while (this.unwritten.length > 0) {
        await this.writeBatch(this.file);
        if (!this.released && this.unwritten.length > 0) this.owner.wrote(this.waiting);
      }
    } catch (error) {
      cause = error;
    }
    this.writing = false;
    if (this.released) this.release();
    else if (cause === undefined) this.owner.wrote(this.waiting);
    else this.owner.failed(cause);
  }

  private async writeBatch(file: FileHandle): Promise<void> {
    const batch = this.unwritten;
    this.unwritten = [];
    const { bytesWritten } = await file.writev(batch, this.position);
    this.position += bytesWritten;
    if (this.released) return;
    const bytes = batch.reduce((sum, part) => sum + part.length, 0);
    if (bytesWritten < bytes) this.unwritten.unshift(Buffer.concat(batch).subarray(bytesWritten));
    this.waiting -= bytesWritten;
  }
}
