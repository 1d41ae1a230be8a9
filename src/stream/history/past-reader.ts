/** Reads a history's files from a number on, a portion at a time, and says what is not there any more. */
import { open } from 'node:fs/promises';
import { systemCode } from '../../ops/system-errors.ts';
import type { MessageNames, TimedMessage } from './chain.ts';
import { HEADER_BYTES, isMessage, KIND, messageOf, type StoredRecord } from './records.ts';
import { scanRecords } from './scan.ts';
import { type Segment, type Segments, TO_READ } from './segments.ts';

/** Messages that follow each other. */
export interface PastPortion {
  readonly batch: readonly TimedMessage[];
  /** The number of the last of them, or behind which there was nothing. */
  readonly to: number;
  /** Messages before the first of them that are not there any more, without one up to `to`; undefined when nobody knows how many. */
  readonly missed: number | undefined;
}

/** Undefined where one of them is not known. */
export function missedInAll(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one + other;
}

/** Everybody's reads, a few at a time: each has a piece of a file in memory. */
export class ReadGate {
  private free = 2;
  private readonly waiting: (() => void)[] = [];

  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.free++;
      else next();
    }
  }
}

export interface PastParts {
  readonly segments: Segments;
  readonly names: MessageNames;
  readonly gate: ReadGate;
  /** What may still be shown: messages behind so many, and not older than so long ago. */
  bounds(): { readonly count: number; isTooOld(time: number): boolean };
  /** Whether all messages are binary, whatever the file says. */
  binary(): boolean;
  /** Bytes were passed that are no records. */
  damaged(bytes: number, path: string): void;
  /** A segment cannot be read: what was in it is missed. */
  failed(error: unknown, path: string): void;
}

interface Place {
  /** The segment, by its first number. */
  readonly first: number;
  /** Behind which byte of it. */
  offset: number;
  /** The number of the last record before that, and how many numbers up to it no message has. */
  sequence: number;
  skipped: number;
}

/** Where one reader is; undefined: that has to be looked for. */
export class PastReader {
  private place: Place | undefined;
  private missed: number | undefined = 0;

  constructor(
    private readonly parts: PastParts,
    /** The number of the last message that it has given. */
    private sequence: number,
    /** It begins with whatever there is, so that nothing before that is missed. */
    private fresh: boolean,
  ) {}

  /** Messages of at most so many bytes, at least one where there is one. An empty portion: there is no more in the files. */
  next(most: number): Promise<PastPortion> {
    return this.parts.gate.during(() => this.read(most));
  }

  private async read(most: number): Promise<PastPortion> {
    const batch: TimedMessage[] = [];
    let bytes = 0;
    while (batch.length === 0) {
      const segment = this.segment();
      if (segment === undefined) break;
      const more = (record: StoredRecord): boolean => {
        if (batch.length > 0 && bytes + record.data.length > most) return false;
        const timed = this.take(record);
        if (timed !== undefined) {
          batch.push(timed);
          bytes += record.data.length;
        }
        return true;
      };
      if (!(await this.scan(segment, more))) break;
    }
    const { missed } = this;
    this.missed = 0;
    return { batch, to: this.sequence, missed };
  }

  /** The segment to go on in; undefined behind the last. */
  private segment(): Segment | undefined {
    const { list } = this.parts.segments;
    const { place } = this;
    if (place === undefined) return this.enter(list[this.parts.segments.placeAfter(this.sequence)]);
    const at = list.findIndex(({ first }) => first >= place.first);
    const segment = list[at];
    if (segment === undefined) return undefined;
    if (segment.first !== place.first) return this.enter(segment);
    if (place.offset < segment.size) return segment;
    return this.enter(list[at + 1]);
  }

  private enter(segment: Segment | undefined): Segment | undefined {
    if (segment === undefined) return undefined;
    const { first, skipped } = segment;
    const known = this.place?.skipped ?? (skipped === 0 || first <= this.sequence + 1 ? skipped : undefined);
    this.pass(first - 1, known === undefined ? undefined : skipped - known);
    this.place = { first, offset: HEADER_BYTES, sequence: first - 1, skipped };
    return segment;
  }

  /** False where there is nothing more to be had from here. */
  private async scan(segment: Segment, take: (record: StoredRecord) => boolean): Promise<boolean> {
    const { parts, place } = this;
    if (place === undefined) return false;
    try {
      const handle = await open(segment.path, TO_READ);
      try {
        const { end, damaged } = await scanRecords(handle, place.offset, segment.size, this.sequence, take);
        if (damaged > 0) parts.damaged(damaged, segment.path);
        // What follows in this one is no record, or a half one: as if it were not there.
        place.offset = end === place.offset ? segment.size : end;
      } finally {
        await handle.close();
      }
      return true;
    } catch (error) {
      // The next one goes on, and tells what is gone. A file that is not there any more was trimmed meanwhile.
      if (systemCode(error) !== 'ENOENT') parts.failed(error, segment.path);
      place.offset = segment.size;
      return segment !== parts.segments.last;
    }
  }

  private take(record: StoredRecord): TimedMessage | undefined {
    const { parts, place } = this;
    const { kind, sequence, time } = record;
    if (place === undefined) return undefined;
    if (kind === KIND.opened) {
      const skipped = Math.max(0, sequence - place.sequence);
      place.skipped += skipped;
      this.pass(sequence, skipped);
    }
    place.sequence = sequence;
    if (!isMessage(kind) || sequence <= this.sequence) return undefined;
    this.pass(sequence - 1, 0);
    this.sequence = sequence;
    const { count, isTooOld } = parts.bounds();
    if (sequence - place.skipped <= count || isTooOld(time)) {
      this.lose(1);
      return undefined;
    }
    this.fresh = false;
    return { message: messageOf(record, parts.names.idOf(sequence), parts.binary()), time };
  }

  /** There is nothing up to this number. @param skipped how many of the numbers no message has had */
  private pass(to: number, skipped: number | undefined): void {
    const passed = to - this.sequence;
    if (passed <= 0) return;
    this.sequence = to;
    this.lose(skipped === undefined ? undefined : Math.max(0, passed - skipped));
  }

  private lose(count: number | undefined): void {
    if (this.fresh) return;
    this.missed = missedInAll(this.missed, count);
  }
}
