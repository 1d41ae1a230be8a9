/**
 * The process groups that run, in a file in memory that another process has open too and reads when this one is gone. To write
 * there wakes nobody, and it is there the moment it is written.
 */
import { closeSync, writeSync } from 'node:fs';

/** What stands in a slot, and a line break: a kernel's largest process id has seven digits, an inode's number up to ten. */
const RECORD = 12;
/**
 * How long the record of a group that has ended may stay, in milliseconds, unless the next one takes its slot. Too short for its
 * number to come round and be another's.
 */
const CLEAR_AFTER = 10;

export class GroupTable {
  private readonly free: number[] = [];
  /** Slots whose record means nothing any more. */
  private readonly stale = new Set<number>();
  private readonly record = Buffer.alloc(RECORD, ' ');
  private length = 0;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  /** @param descriptor Of an empty file; closed by `close`. What cannot be written is told to `failed`. */
  constructor(
    readonly descriptor: number,
    private readonly failed: (error: unknown) => void,
  ) {
    this.record.write('\n', RECORD - 1);
  }

  /** Groups, and those that are about to be one. */
  get size(): number {
    return this.length - this.free.length;
  }

  /** A slot of one's own, with nothing in it. */
  take(): number {
    return this.free.pop() ?? this.length++;
  }

  /** "123": the process group. "?456": whoever has the pipe with this inode as its stdin, stdout or stderr, and has no number that is known yet. */
  write(slot: number, text: string): void {
    this.stale.delete(slot);
    this.put(slot, text);
  }

  leave(slot: number): void {
    this.free.push(slot);
    this.stale.add(slot);
    this.timer ??= setTimeout(() => this.clear(), CLEAR_AFTER);
  }

  /** What is said of a program that ends after this is not written: the descriptor's number may be another file's by then. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    closeSync(this.descriptor);
  }

  /** Takes out now what means nothing any more. */
  clear(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const slot of this.stale) this.put(slot, '');
    this.stale.clear();
  }

  private put(slot: number, text: string): void {
    if (this.closed) return;
    this.record.fill(' ', 0, RECORD - 1).write(text, 'latin1');
    try {
      writeSync(this.descriptor, this.record, 0, RECORD, slot * RECORD);
    } catch (error) {
      this.failed(error);
    }
  }
}
