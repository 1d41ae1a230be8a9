/** The last messages of a shared stream, bounded by count, bytes and age, and the ids by which clients resume. */
import type { Message } from './message.ts';

export interface HistoryBounds {
  readonly messages: number;
  /** Bytes of data. */
  readonly bytes: number;
  /** Milliseconds; undefined for no bound. */
  readonly age: number | undefined;
}

/** What a client that comes back has to get. */
export interface Resumed {
  readonly messages: readonly Message[];
  /** How many it missed that are not there any more; undefined when nobody knows. */
  readonly missed: number | undefined;
}

interface Kept {
  readonly message: Message;
  readonly since: number;
}

/** An id is `EPOCH-SEQUENCE`. The epoch is new with each run of the gateway, so that no id of an earlier one can be mistaken. */
export class History {
  private kept: Kept[] = [];
  /** Where the oldest lies in `kept`: dropping one costs nothing, and now and then the array is cut. */
  private first = 0;
  private bytes = 0;
  private sequence = 0;

  constructor(
    readonly epoch: string,
    private readonly bounds: HistoryBounds,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The id of the newest message, or the one before the first. */
  get lastId(): string {
    return this.idOf(this.sequence);
  }

  get lastSequence(): number {
    return this.sequence;
  }

  /** The id by which a client resumes that has everything before these messages, which are the newest. */
  before(messages: readonly Message[]): string {
    return this.idOf((messages[0]?.sequence ?? this.sequence + 1) - 1);
  }

  /** The number and the id for the next message. */
  next(): { readonly id: string; readonly sequence: number } {
    this.sequence++;
    return { id: this.idOf(this.sequence), sequence: this.sequence };
  }

  add(message: Message): void {
    this.kept.push({ message, since: this.now() });
    this.bytes += message.data.length;
    this.trim();
  }

  /** Everything that is kept. */
  all(): readonly Message[] {
    this.trim();
    return this.kept.slice(this.first).map(({ message }) => message);
  }

  last(): Message | undefined {
    this.trim();
    return this.first < this.kept.length ? this.kept.at(-1)?.message : undefined;
  }

  /** What came after `id`. Undefined for an id that is not one of this run: then a client is new. */
  after(id: string): Resumed | undefined {
    const sequence = this.sequenceOf(id);
    if (sequence === undefined || sequence > this.sequence) return undefined;
    this.trim();
    const oldest = this.kept[this.first]?.message.sequence ?? this.sequence + 1;
    const missed = Math.max(0, oldest - 1 - sequence);
    const from = this.first + Math.max(0, sequence + 1 - oldest);
    return { messages: this.kept.slice(from).map(({ message }) => message), missed };
  }

  private idOf(sequence: number): string {
    return `${this.epoch}-${sequence}`;
  }

  private sequenceOf(id: string): number | undefined {
    const match = /^([0-9a-z]+)-(\d{1,15})$/.exec(id);
    return match?.[1] === this.epoch ? Number(match[2]) : undefined;
  }

  private trim(): void {
    const { messages, bytes, age } = this.bounds;
    const oldest = age === undefined ? Number.NEGATIVE_INFINITY : this.now() - age;
    for (;;) {
      const kept = this.kept[this.first];
      if (kept === undefined) break;
      if (this.kept.length - this.first <= messages && this.bytes <= bytes && kept.since >= oldest) break;
      this.bytes -= kept.message.data.length;
      this.first++;
    }
    if (this.first > 64 && this.first * 2 > this.kept.length) {
      this.kept = this.kept.slice(this.first);
      this.first = 0;
    }
  }
}
