/**
 * The messages of a shared stream in memory, as a chain of pages: the bytes of some messages one behind the other, and where each ends.
 * A message in it costs its data and about 20 bytes. Who still has to get messages holds a position, and with it the pages from there
 * on; pages that nobody holds are free.
 */
import { type Message, makeMessage } from '../message.ts';

/** What a message costs beside its data where it is sent: frame, id, field names. Bytes. */
export const FRAME = 64;

/** Bytes of a page, and its size at first: a stream that says little needs little. */
const PAGE = 16 * 1024;
const FIRST_PAGE = 256;
/** A larger message is a page by itself, and is not copied. */
const LARGE = PAGE / 2;

/** How the messages are called. */
export interface MessageNames {
  idOf(sequence: number): string;
}

const NOTHING = Buffer.alloc(0);

/** Only the last page of a chain may be empty. */
class Page {
  next: Page | undefined;
  count = 0;
  private bytes: Buffer = NOTHING;
  /** Of each message: twice the place where it ends, and one more if it is binary. */
  private readonly ends: number[] = [];
  /** The media type of its messages, where they are pictures. */
  private picture: string | undefined;
  /** When each came. */
  private readonly times: number[] = [];

  constructor(
    private readonly names: MessageNames,
    /** The number of its first message; they follow each other without a gap. */
    public first: number,
    /** Bytes that it has room for as soon as it has a message. */
    private readonly usual = FIRST_PAGE,
  ) {}

  /** Of the page behind this one, by what this one has come to: a stream that has said much is likely to. */
  get usualOfNext(): number {
    return Math.max(FIRST_PAGE, this.bytes.length >>> 1);
  }

  takes({ sequence, picture, data: { length } }: Message): boolean {
    if (this.count === 0) return true;
    if (sequence !== this.first + this.count || picture !== this.picture) return false;
    return length <= LARGE && this.bytes.length <= PAGE && this.endOf(this.count) + length <= PAGE;
  }

  push({ sequence, data, binary, picture }: Message, time: number): void {
    if (this.count === 0) {
      this.first = sequence;
      this.picture = picture;
    }
    const start = this.endOf(this.count);
    const end = start + data.length;
    if (data.length > LARGE) this.bytes = data;
    else {
      if (end > this.bytes.length) this.grow(start, end);
      data.copy(this.bytes, start);
    }
    this.ends.push(end * 2 + (binary ? 1 : 0));
    this.times.push(time);
    this.count++;
  }

  /** Where the message before `index` ends. */
  endOf(index: number): number {
    return index === 0 ? 0 : (this.ends[index - 1] ?? 0) >>> 1;
  }

  /** Of data. */
  lengthOf(index: number): number {
    return this.endOf(index + 1) - this.endOf(index);
  }

  timeOf(index: number): number {
    return this.times[index] ?? Number.NaN;
  }

  message(index: number): Message {
    const sequence = this.first + index;
    const binary = ((this.ends[index] ?? 0) & 1) === 1;
    const data = this.bytes.subarray(this.endOf(index), this.endOf(index + 1));
    return makeMessage(data, binary, this.names.idOf(sequence), sequence, this.picture, true);
  }

  /** What was read from it before keeps its memory. */
  private grow(used: number, needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(PAGE, Math.max(this.usual, needed, this.bytes.length * 2)));
    this.bytes.copy(larger, 0, 0, used);
    this.bytes = larger;
  }
}

/** A position between two messages. From it one reaches what comes after it, and nothing before. */
export class Position {
  constructor(
    private readonly page: Page,
    private readonly index: number,
    /** Of the message before it. */
    readonly sequence: number,
    /** Messages before it since the beginning. */
    readonly count: number,
    /** Of their data. */
    readonly bytes: number,
  ) {}

  /** Whether a message comes behind it. */
  get hasNext(): boolean {
    return this.index < this.page.count || (this.page.next?.count ?? 0) > 0;
  }

  /** When the message behind it came, by the chain's clock; NaN where nobody knows, or where there is none. */
  get timeOfNext(): number {
    const { page, index } = this;
    return index < page.count ? page.timeOf(index) : (page.next?.timeOf(0) ?? Number.NaN);
  }

  /** What it costs to keep everything before it, since the beginning. */
  get weight(): number {
    return this.bytes + FRAME * this.count;
  }

  /** What lies between this position and a later one. */
  bytesTo(later: Position): number {
    return later.weight - this.weight;
  }

  /** Calls `take` for the messages behind it, until that answers false; gives the position behind the last that was taken. */
  walk(take: (page: Page, index: number) => boolean): Position {
    let { page, index, sequence, count, bytes } = this;
    for (;;) {
      if (index >= page.count && page.next !== undefined) {
        page = page.next;
        index = 0;
      }
      if (index >= page.count || !take(page, index)) break;
      sequence = page.first + index;
      bytes += page.lengthOf(index);
      count++;
      index++;
    }
    return count === this.count ? this : new Position(page, index, sequence, count, bytes);
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
export function portionFrom(position: Position, most: number, last = Number.POSITIVE_INFINITY): Portion {
  const batch: Message[] = [];
  let weight = 0;
  const to = position.walk((page, index) => {
    weight += page.lengthOf(index) + FRAME;
    if (page.first + index > last || (batch.length > 0 && weight > most)) return false;
    batch.push(page.message(index));
    return true;
  });
  return { batch, bytes: to.bytes - position.bytes, to };
}

/** A message as it was added, with the time when it came. */
export interface TimedMessage {
  readonly message: Message;
  readonly time: number;
}

/** As `portionFrom`, with times. */
export function timedFrom(position: Position, most: number): { readonly batch: TimedMessage[]; readonly to: Position } {
  const batch: TimedMessage[] = [];
  let weight = 0;
  const to = position.walk((page, index) => {
    weight += page.lengthOf(index) + FRAME;
    if (batch.length > 0 && weight > most) return false;
    batch.push({ message: page.message(index), time: page.timeOf(index) });
    return true;
  });
  return { batch, to };
}

/** The last message behind a position; undefined where there is none. */
export function newestFrom(position: Position): Message | undefined {
  let found: { readonly page: Page; readonly index: number } | undefined;
  position.walk((page, index) => {
    found = { page, index };
    return true;
  });
  return found?.page.message(found.index);
}

/** What of the stream is kept. */
export interface HistoryBounds {
  readonly messages: number;
  /** Bytes of data. */
  readonly bytes: number;
  /** Milliseconds; undefined for no bound. */
  readonly age: number | undefined;
}

/** Whoever still needs messages, whatever the bounds say. */
export interface ChainReader {
  /** Of the last message that it has. */
  readonly sequence: number;
}

export class Chain {
  /** The oldest message that is kept: its page and its place there, the number before it, and what came before it since the beginning. */
  private page: Page;
  private index = 0;
  private sequence: number;
  private count = 0;
  private bytes = 0;
  /** Where the next message goes, and what there has been. */
  private last: Page;
  private lastSequence: number;
  private lastCount = 0;
  private lastBytes = 0;
  /** Where the newest message is, if it is kept. */
  private newestPage: Page | undefined;
  private tail: Position | undefined;

  constructor(
    private readonly names: MessageNames,
    private bounds: HistoryBounds,
    private readonly now: () => number,
    /** The number before its first message. */
    sequence: number,
    /** What it still needs stays. */
    private readonly reader?: ChainReader,
  ) {
    this.page = new Page(names, sequence + 1);
    this.last = this.page;
    this.sequence = sequence;
    this.lastSequence = sequence;
  }

  /** Behind the newest message. */
  get end(): Position {
    const { last, lastSequence, lastCount, lastBytes } = this;
    this.tail ??= new Position(last, last.count, lastSequence, lastCount, lastBytes);
    return this.tail;
  }

  setBounds(bounds: HistoryBounds): void {
    this.bounds = bounds;
    this.trim();
  }

  /** @param time when it came, where that is not now */
  add(message: Message, time?: number): void {
    const { sequence, data } = message;
    if (!this.last.takes(message)) this.link();
    const { last } = this;
    last.push(message, time ?? this.now());
    this.newestPage = last;
    // So that a position behind it does not hold it.
    if (data.length > LARGE) this.link();
    this.lastSequence = sequence;
    this.lastCount++;
    this.lastBytes += data.length;
    this.tail = undefined;
    this.trim();
  }

  /** No message has the numbers up to this one. */
  skipTo(sequence: number): void {
    this.lastSequence = sequence;
    this.tail = undefined;
    if (this.count === this.lastCount) this.sequence = sequence;
  }

  /** Before everything that is kept. */
  beginning(): Position {
    this.trim();
    return new Position(this.page, this.index, this.sequence, this.count, this.bytes);
  }

  /** Before the newest message that is kept; behind it where none is. */
  beforeLast(): Position {
    this.trim();
    const { newestPage: page, lastCount, lastBytes } = this;
    if (page === undefined) return this.end;
    const index = page.count - 1;
    return new Position(page, index, page.first + index - 1, lastCount - 1, lastBytes - page.lengthOf(index));
  }

  /** Whether everything behind the message with this number is here. */
  holds(sequence: number): boolean {
    return sequence >= this.sequence;
  }

  /** Behind the message with this number; before the oldest that is kept where that is not. */
  positionAfter(sequence: number): Position {
    if (sequence >= this.lastSequence) return this.end;
    return this.beginning().walk((page, index) => page.first + index <= sequence);
  }

  private trim(): void {
    const { messages, bytes, age } = this.bounds;
    const now = age === undefined ? 0 : this.now();
    while (this.count < this.lastCount) {
      this.leavePage();
      const { page, index } = this;
      const within = this.lastCount - this.count <= messages && this.lastBytes - this.bytes <= bytes;
      if (within && !(age !== undefined && now - page.timeOf(index) > age)) return;
      if (this.reader !== undefined && page.first + index > this.reader.sequence) return;
      this.sequence = page.first + index;
      this.bytes += page.lengthOf(index);
      this.count++;
      this.index++;
    }
    this.leavePage();
    this.newestPage = undefined;
  }

  private leavePage(): void {
    const { page } = this;
    if (this.index < page.count || page.next === undefined) return;
    this.page = page.next;
    this.index = 0;
  }

  private link(): void {
    const page = new Page(this.names, this.lastSequence + 1, this.last.usualOfNext);
    this.last.next = page;
    this.last = page;
  }
}
