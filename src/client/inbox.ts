/** Messages that have come and were not read yet. The sender is held back when there is enough. */
import { Deferred } from '../ownership/deferred.ts';

/** Bytes from which on nothing more is read from the network. */
const HIGH = 128 * 1024;
/** What keeping a message costs beside its bytes. */
const OVERHEAD = 64;

export interface Item {
  readonly data: string | Uint8Array;
  /** Whether it is a text; its bytes are valid UTF-8 then. */
  readonly isText: boolean;
  readonly id: string;
}

export class Inbox {
  private items: Item[] = [];
  private first = 0;
  private bytes = 0;
  private reader: Deferred | undefined;

  /** Whether there is enough for now. */
  get isFull(): boolean {
    return this.bytes >= HIGH;
  }

  get isEmpty(): boolean {
    return this.first === this.items.length;
  }

  add(item: Item): void {
    this.items.push(item);
    this.bytes += item.data.length + OVERHEAD;
    this.wake();
  }

  /** The oldest one. */
  take(): Item | undefined {
    const item = this.items[this.first];
    if (item === undefined) return undefined;
    this.first++;
    this.bytes -= item.data.length + OVERHEAD;
    if (this.isEmpty || this.first > 1024) {
      this.items = this.items.slice(this.first);
      this.first = 0;
    }
    return item;
  }

  clear(): void {
    this.items = [];
    this.first = this.bytes = 0;
  }

  /** Until there is a message, or something else to look at. */
  news(): Promise<void> {
    this.reader ??= new Deferred();
    return this.reader.promise;
  }

  wake(): void {
    this.reader?.resolve();
    this.reader = undefined;
  }
}
