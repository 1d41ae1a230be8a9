/**
 * The messages of a shared stream, the ids by which clients resume, and the bounds of what is kept: in memory, and in files where the
 * configuration names one. A client that still has to get messages holds its position in the chain, and no copy.
 */
import type { Message } from '../message.ts';
import { Chain, type HistoryBounds, type Position, portionFrom, type TimedMessage, timedFrom } from './chain.ts';
import { Epochs } from './epochs.ts';
import type { HistoryFile } from './history-file.ts';
import { missedInAll, type PastPortion } from './past-reader.ts';

/** What a client that comes back has to get. */
export interface ResumePoint {
  readonly from: Position;
  /** How many it missed that are not there any more; undefined when nobody knows. */
  readonly missed: number | undefined;
  /** What comes before `from` is in the files alone. */
  readonly earlier?: EarlierStart | undefined;
}

/** Where in the files a client begins. */
export interface EarlierStart {
  /** The number of the last message that it has, or of the one before the oldest. */
  readonly sequence: number;
  /** It begins with the oldest there is, and has missed nothing before that. */
  readonly fresh: boolean;
}

/** Reads what is in the files alone, a portion at a time. */
export interface EarlierReader {
  /** At least one message where there is one; an empty portion behind the last. */
  next(most: number): Promise<PastPortion>;
}

/** Bytes of a portion. */
const PORTION = 64 * 1024;

export class History {
  private readonly epochs: Epochs;
  private readonly chain: Chain;
  private readonly now: () => number;
  private sequence: number;

  /**
   * @param epoch new with each run of the gateway, so that no id of an earlier one can be mistaken; or the history that is on the disk,
   * where the numbers go on
   */
  constructor(
    epoch: string | HistoryFile,
    bounds: HistoryBounds,
    now: () => number = () => performance.now(),
    private readonly file = typeof epoch === 'string' ? undefined : epoch,
  ) {
    this.epochs = file?.epochs ?? new Epochs([{ epoch: String(epoch), after: 0 }]);
    this.now = file === undefined ? now : () => Date.now();
    this.chain = file?.chain ?? new Chain(this.epochs, bounds, now, 0);
    this.sequence = this.chain.end.sequence;
  }

  /** Behind the newest message. */
  get end(): Position {
    return this.chain.end;
  }

  /** The id of the newest message, or the one before the first. */
  get lastId(): string {
    return this.idOf(this.end);
  }

  /** The id by which a client resumes that has everything before this position. */
  idOf({ sequence }: Pick<Position, 'sequence'>): string {
    return this.epochs.idOf(sequence);
  }

  /** The number and the id for the next message. */
  next(): { readonly id: string; readonly sequence: number } {
    this.sequence++;
    return { id: this.epochs.idOf(this.sequence), sequence: this.sequence };
  }

  /** @param since when it came, by the clock of `performance` */
  add(message: Message, since = this.now()): void {
    const { file } = this;
    if (file === undefined) this.chain.add(message, since);
    else {
      this.chain.add(message);
      file.added();
    }
  }

  /** How many messages are kept, and their bytes; on the disk, where that is. */
  size(): { readonly kept: number; readonly keptBytes: number } {
    if (this.file !== undefined) return this.file.size();
    const [first, { count, bytes }] = [this.beginning(), this.end];
    return { kept: count - first.count, keptBytes: bytes - first.bytes };
  }

  /** As `SharedSourceEvents.kept`. What is kept in memory alone is as safe as it was promised to be. */
  kept(): Promise<boolean> | undefined {
    return this.file?.kept();
  }

  /** Before everything that is kept in memory. */
  beginning(): Position {
    return this.chain.beginning();
  }

  /** Before everything that is kept. */
  oldest(): ResumePoint {
    const from = this.beginning();
    const sequence = this.file?.oldest() ?? from.sequence;
    return { from, missed: 0, earlier: sequence < from.sequence ? { sequence, fresh: true } : undefined };
  }

  /** Before the newest message that is kept; behind it where none is. */
  beforeLast(): Position {
    return this.chain.beforeLast();
  }

  /** Everything that is kept in memory. */
  all(): readonly Message[] {
    return portionFrom(this.beginning(), Number.POSITIVE_INFINITY).batch;
  }

  /** Where a client goes on that has the message with this id. Undefined for an id that nobody can go on from: then it is new. */
  after(id: string): ResumePoint | undefined {
    const sequence = this.sequenceOf(id);
    if (sequence === undefined) return undefined;
    const from = this.positionAfter(sequence);
    if (from.sequence <= sequence || this.file === undefined)
      return { from, missed: Math.max(0, from.sequence - sequence) };
    return { from, missed: 0, earlier: { sequence, fresh: false } };
  }

  /** Whether everything behind the message with this number is in memory. */
  holds(sequence: number): boolean {
    return this.chain.holds(sequence);
  }

  /** Behind the message with this number; before the oldest in memory where that is not. */
  positionAfter(sequence: number): Position {
    return this.chain.positionAfter(sequence);
  }

  /** The number in an id that there has been. */
  sequenceOf(id: string): number | undefined {
    return this.epochs.sequenceOf(id, this.end.sequence);
  }

  /** The number behind which the last `count` messages come, or all that are kept where there are fewer. */
  lastOnes(count: number): number {
    const { end } = this;
    const from = this.beginning();
    if (end.count - from.count < count) return this.file?.lastOnes(count) ?? from.sequence;
    let left = end.count - from.count - count;
    return from.walk(() => left-- > 0).sequence;
  }

  /** Undefined where nothing is in files alone. */
  earlier({ sequence, fresh }: EarlierStart): EarlierReader | undefined {
    return this.file?.reader(sequence, fresh);
  }

  /**
   * The messages behind the one with this number, as far as they are kept, oldest first, in portions of at most `most` bytes (one message
   * in any case). Whoever has enough stops.
   * @param fresh nothing that is gone before the first of them is missed
   */
  async *past(sequence: number, fresh = false, most = PORTION): AsyncGenerator<PastPortion, void, undefined> {
    let at = sequence;
    let missed: number | undefined = 0;
    const reader = this.holds(at) ? undefined : this.earlier({ sequence: at, fresh });
    while (reader !== undefined && !this.holds(at)) {
      const portion = await reader.next(most);
      at = portion.to;
      missed = portion.missed;
      if (portion.batch.length === 0) break;
      missed = 0;
      yield portion;
    }
    for (;;) {
      // Between two portions no position is held, which would keep all that comes.
      const position = this.positionAfter(at);
      const { batch, to } = timedFrom(position, most);
      if (batch.length === 0) return;
      yield { batch, to: to.sequence, missed: missedInAll(missed, Math.max(0, position.sequence - at)) };
      at = to.sequence;
      missed = 0;
    }
  }

  /** When the message behind this position came, by the clock of `performance`. */
  since(position: Position): number {
    const time = position.timeOfNext;
    return this.file === undefined ? time : performance.now() - (Date.now() - time);
  }

  /** When a message came, by the clock as it is now: on a board that clock may have been wrong then. Undefined when nobody knows. */
  dateOf({ time }: TimedMessage): Date | undefined {
    if (Number.isNaN(time)) return undefined;
    return new Date(this.file === undefined ? Date.now() - (this.now() - time) : time);
  }
}
