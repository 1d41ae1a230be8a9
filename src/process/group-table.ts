/**
 * The process groups that run, in a file in memory that another process has open too and reads when this one is gone. To write
 * there wakes nobody, and it is there the moment it is written.
 */
import { closeSync, writeSync } from 'node:fs';

/** A group's number and a line break: the kernel's largest has seven digits. */
const RECORD = 8;
/**
 * How long the record of a group that has ended may stay, in milliseconds, unless the next one takes its place. Too short for its
 * number to come round and be another's.
 */
const CLEAR_AFTER = 10;

export class GroupTable {
  private readonly places = new Map<number, number>();
  private readonly free: number[] = [];
  /** Places with the record of a group that has ended. */
  private readonly stale = new Set<number>();
  private readonly record = Buffer.alloc(RECORD, ' ');
  private length = 0;
  private timer: NodeJS.Timeout | undefined;

  /** @param descriptor Of an empty file; closed by `close`. What cannot be written is told to `failed`. */
  constructor(
    readonly descriptor: number,
    private readonly failed: (error: unknown) => void,
  ) {
    this.record.write('\n', RECORD - 1);
  }

  get size(): number {
    return this.places.size;
  }

  add(group: number): void {
    const place = this.free.pop() ?? this.length++;
    this.stale.delete(place);
    this.places.set(group, place);
    this.write(place, String(group));
  }

  remove(group: number): void {
    const place = this.places.get(group);
    if (place === undefined) return;
    this.places.delete(group);
    this.free.push(place);
    this.stale.add(place);
    this.timer ??= setTimeout(() => this.clear(), CLEAR_AFTER);
  }

  close(): void {
    clearTimeout(this.timer);
    closeSync(this.descriptor);
  }

  /** Takes the groups that have ended out of the file now. */
  clear(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const place of this.stale) this.write(place, '');
    this.stale.clear();
  }

  private write(place: number, text: string): void {
    this.record.fill(' ', 0, RECORD - 1).write(text, 'latin1');
    try {
      writeSync(this.descriptor, this.record, 0, RECORD, place * RECORD);
    } catch (error) {
      this.failed(error);
    }
  }
}
