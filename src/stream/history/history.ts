/**
 * The messages of a shared stream as one chain, the ids by which clients resume, and the bounds of what is kept. A client that still has
 * to get messages holds its position in the chain, and no copy: messages that all clients have passed are free.
 */
import type { Message } from '../message.ts';

export interface HistoryBounds {
  readonly messages: number;
  /** Bytes of data. */
  readonly bytes: number;
  /** Milliseconds; undefined for no bound. */
  readonly age: number | undefined;
}

/** What a client that comes back has to get. */
export interface ResumePoint {
  readonly from: Position;
  /** How many it missed that are not there any more; undefined when nobody knows. */
  readonly missed: number | undefined;
}

/** What a message costs beside its data: frame, id, field names, its link of the chain. Bytes. */
export const FRAME = 64;

/** A position between two messages. From it one reaches what comes after it, and nothing before. */
export class Position {
  /** What comes next, and the position behind that. */
  message: Message | undefined;
  next: Position | undefined;
  /** When it came. */
  since = 0;

  constructor(
    /** Of the message before it. */
    readonly sequence: number,
    /** Of data before it, since the beginning. */
    readonly bytes: number,
  ) {}

  /** What it costs to keep everything before it, since the beginning. */
  get weight(): number {
    return this.bytes + FRAME * this.sequence;
  }

  /** What lies between this position and a later one. */
  bytesTo(later: Position): number {
    return later.weight - this.weight;
  }
}

/** Messages that follow each other, and the position behind them. */
export interface Portion {
  readonly batch: readonly Message[];
  /** Of data. */
  readonly bytes: number;
  readonly to: Position;
}

/** What comes after a position: as much as `most` bytes hold, at least one message where there is one, none behind `last`. */
export function portionFrom(position: Position, most: number, last?: number): Portion {
  const batch: Message[] = [];
  let to = position;
  while (to.next !== undefined && to.message !== undefined && to.sequence !== last) {
    if (batch.length > 0 && position.bytesTo(to.next) > most) break;
    batch.push(to.message);
    to = to.next;
  }
  return { batch, bytes: to.bytes - position.bytes, to };
}

/** An id is `EPOCH-SEQUENCE`. The epoch is new with each run of the gateway, so that no id of an earlier one can be mistaken. */
export class History {
  /** Before the oldest message that is kept. */
  private first = new Position(0, 0);
  /** Behind the newest message. */
  private tail = this.first;
  /** Before the newest message, if that is kept. */
  private newest: Position | undefined;
  private sequence = 0;

  constructor(
    readonly epoch: string,
    private readonly bounds: HistoryBounds,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Behind the newest message. */
  get end(): Position {
    return this.tail;
  }

  /** The id of the newest message, or the one before the first. */
  get lastId(): string {
    return this.idOf(this.tail);
  }

  /** The id by which a client resumes that has everything before this position. */
  idOf({ sequence }: Position): string {
    return `${this.epoch}-${sequence}`;
  }

  /** The number and the id for the next message. */
  next(): { readonly id: string; readonly sequence: number } {
    this.sequence++;
    return { id: `${this.epoch}-${this.sequence}`, sequence: this.sequence };
  }

  /** @param since when it came, by the clock of `age` */
  add(message: Message, since = this.now()): void {
    const before = this.tail;
    const next = new Position(message.sequence, before.bytes + message.data.length);
    before.message = message;
    before.since = since;
    before.next = next;
    this.newest = before;
    this.tail = next;
    this.trim();
  }

  /** When the message behind this position came, by the clock as it is now: on a board that clock may have been wrong then. */
  timeOf({ since }: Position): Date {
    return new Date(Date.now() - (this.now() - since));
  }

  /** Before everything that is kept. */
  beginning(): Position {
    this.trim();
    return this.first;
  }

  /** Before the newest message that is kept; behind it where none is. */
  beforeLast(): Position {
    this.trim();
    return this.newest ?? this.tail;
  }

  /** How many messages are kept, and their bytes. */
  size(): { readonly kept: number; readonly keptBytes: number } {
    this.trim();
    const { first, tail } = this;
    return { kept: tail.sequence - first.sequence, keptBytes: tail.bytes - first.bytes };
  }

  /** Everything that is kept. */
  all(): readonly Message[] {
    return portionFrom(this.beginning(), Number.POSITIVE_INFINITY).batch;
  }

  /** As `SharedSourceEvents.kept`. What is kept in memory alone is as safe as it was promised to be. */
  kept(): Promise<boolean> | undefined {
    return undefined;
  }

  /**
   * The messages behind the one with this number, as far as they are kept, oldest first, in portions of at most `most` bytes (one message
   * in any case). Whoever has enough stops.
   */
  async *past(sequence: number, most = 64 * 1024): AsyncGenerator<readonly Message[], void, undefined> {
    let position = this.positionAfter(sequence);
    for (;;) {
      const { batch, to } = portionFrom(position, most);
      if (batch.length === 0) return;
      yield batch;
      position = to;
    }
  }

  /** Where a client goes on that has the message with this id. Undefined for an id that is not one of this run: then it is new. */
  after(id: string): ResumePoint | undefined {
    const sequence = this.sequenceOf(id);
    if (sequence === undefined) return undefined;
    const from = this.positionAfter(sequence);
    return { from, missed: from.sequence - sequence };
  }

  /** Behind the message with this number; before the oldest that is kept where that is not. */
  positionAfter(sequence: number): Position {
    const oldest = this.beginning();
    let from: Position | undefined = sequence === this.tail.sequence ? this.tail : oldest;
    while (from !== undefined && from.sequence < sequence) from = from.next;
    return from ?? this.tail;
  }

  /** The number in an id of this run that there has been. */
  sequenceOf(id: string): number | undefined {
    const match = /^([0-9a-z]+)-(\d{1,15})$/.exec(id);
    if (match?.[1] !== this.epoch) return undefined;
    const sequence = Number(match[2]);
    return sequence > this.tail.sequence ? undefined : sequence;
  }

  private trim(): void {
    const { messages, bytes, age } = this.bounds;
    const oldest = age === undefined ? Number.NEGATIVE_INFINITY : this.now() - age;
    const { tail } = this;
    let { first } = this;
    while (first.next !== undefined) {
      const kept = tail.sequence - first.sequence;
      if (kept <= messages && tail.bytes - first.bytes <= bytes && first.since >= oldest) break;
      first = first.next;
    }
    this.first = first;
    if (first === tail) this.newest = undefined;
  }
}
