/**
 * The long-polls of a shared stream: requests that wait for the next message, and clients that were answered and are expected to ask
 * again. An answered client counts as present for a while, though it has no connection. Messages that come meanwhile are kept for it,
 * within a bound, whatever the history keeps.
 */
import { type Position, portionFrom } from '../history/chain.ts';
import type { History } from '../history/history.ts';
import { missedInAll, type PastPortion } from '../history/past-reader.ts';
import type { Replay, StartPoint } from '../history/replay.ts';
import type { Ending, Message } from '../message.ts';

/** What a long-poll gets: what is new, or how the stream ended. */
export interface LongPollContent {
  readonly messages: readonly Message[];
  /** How many it missed that are not there any more; undefined when nobody knows. */
  readonly missed: number | undefined;
  /** For the next one. */
  readonly cursor: string;
  readonly ending: Ending | undefined;
}

export interface LongPollParts {
  readonly history: History;
  readonly replay: Replay;
  /** Bytes that may wait behind the position of one that was answered. */
  readonly maxBehind: number;
  /** A client is there. */
  used(): void;
  /** A client is not there any more. */
  unused(): void;
}

/** How long an answered client counts as present until it asks again. Milliseconds. */
const BETWEEN_REQUESTS = 10_000;

export class LongPolls {
  private readonly waiting = new Set<(ending: Ending | undefined) => void>();
  private readonly positions: LongPollPositions;
  private over = false;
  /** How the last source ended, until there is another. */
  private lastEnding: Ending | undefined;

  constructor(private readonly parts: LongPollParts) {
    this.positions = new LongPollPositions({ time: BETWEEN_REQUESTS, bytes: parts.maxBehind }, () => parts.unused());
  }

  /** Requests that wait. */
  get size(): number {
    return this.waiting.size;
  }

  /** Whether a request waits, or a client is expected to ask again. */
  get inUse(): boolean {
    return this.waiting.size > 0 || this.positions.inUse;
  }

  // ---- for a request ----

  /** Where a client stands that has everything up to `cursor`, and what it gets next. */
  start(cursor: string | undefined): StartPoint {
    const { history, replay } = this.parts;
    const sequence = history.sequenceOf(cursor ?? '');
    const position = sequence === undefined ? undefined : this.positions.take(sequence);
    const start = replay.from(cursor);
    // Its next request goes on from its cursor.
    replay.clientListens();
    return position === undefined ? start : { from: position, missed: 0, snapshot: [], at: history.idOf(position) };
  }

  /**
   * What a client gets from its start point on. Its next request goes on behind it.
   * @param most bytes of messages; one message in any case
   */
  content(start: StartPoint, most: number, ending: Ending | undefined): LongPollContent | Promise<LongPollContent> {
    const { history } = this.parts;
    const { snapshot, from, missed, earlier } = start;
    const reader = earlier === undefined ? undefined : history.earlier(earlier);
    if (reader !== undefined)
      return reader.next(most).then(
        (portion) => this.earlierContent(start, portion, most, ending),
        () => this.content({ ...start, missed: undefined, earlier: undefined }, most, ending),
      );
    const { batch, to } = portionFrom(from, most);
    this.expect(to);
    return {
      messages: [...snapshot, ...batch],
      missed,
      cursor: history.idOf(to),
      ending: to.sequence === history.end.sequence ? ending : undefined,
    };
  }

  /** The same out of the files, behind which the memory goes on. */
  private earlierContent(
    start: StartPoint,
    { batch, to, missed }: PastPortion,
    most: number,
    ending: Ending | undefined,
  ): LongPollContent | Promise<LongPollContent> {
    const { history } = this.parts;
    if (batch.length === 0) {
      const from = history.positionAfter(to);
      return this.content(
        { ...start, from, missed: missedInAll(missed, Math.max(0, from.sequence - to)), earlier: undefined },
        most,
        ending,
      );
    }
    if (!this.over) {
      this.parts.used();
      if (history.holds(to)) this.positions.hold(history.positionAfter(to));
      else this.positions.expect(to);
    }
    return {
      messages: batch.map(({ message }) => message),
      missed,
      cursor: history.idOf({ sequence: to }),
      ending: undefined,
    };
  }

  /** A client is expected to ask again, from this position on. */
  expect(position: Position): void {
    if (this.over) return;
    this.parts.used();
    this.positions.hold(position);
  }

  /** How the stream ended while the client that has `cursor` was between two requests; undefined while the stream goes on. */
  endedAfter(cursor: string): Ending | undefined {
    return this.parts.history.sequenceOf(cursor) === undefined ? undefined : this.lastEnding;
  }

  /** Calls `listener` at each batch of messages and at the end, until the function that this returns is called. */
  wait(listener: (ending: Ending | undefined) => void): () => void {
    this.parts.used();
    this.waiting.add(listener);
    return () => {
      if (this.waiting.delete(listener)) this.parts.unused();
    };
  }

  // ---- for the channel ----

  /** The history has gone on. */
  publish(): void {
    if (this.waiting.size === 0 && !this.positions.inUse) return;
    this.positions.advance(this.parts.history.end);
    for (const listener of [...this.waiting]) listener(undefined);
  }

  /** Another source runs. */
  sourceStarted(): void {
    this.lastEnding = undefined;
  }

  /** The source has ended, and is not started again for those who are there. */
  sourceEnded(ending: Ending): void {
    this.lastEnding = ending;
    for (const listener of [...this.waiting]) listener(ending);
  }

  /** The stream is over for good. */
  close(ending: Ending): void {
    this.over = true;
    this.positions.clear();
    this.sourceEnded(ending);
  }
}

export interface PositionBounds {
  /** Milliseconds from an answer to the next request. */
  readonly time: number;
  /** Bytes behind a position. */
  readonly bytes: number;
}

interface HeldPosition {
  /** Undefined when more came behind it than the bound allows. */
  position: Position | undefined;
  readonly until: number;
  /** How many may go on from there. */
  readonly expected: number;
}

/** Positions at one time. Clients at the same position share it. */
const MAX_POSITIONS = 256;

/** Where answered clients stand until they ask again. */
export class LongPollPositions {
  /** By the number of the message before it, in the order in which their time is over. */
  private readonly held = new Map<number, HeldPosition>();
  private timer: NodeJS.Timeout | undefined;
  /** The weight of the first of them. */
  private floor = Number.POSITIVE_INFINITY;

  /** @param emptied called when no client is expected any more */
  constructor(
    private readonly bounds: PositionBounds,
    private readonly emptied: () => void,
  ) {}

  /** Whether a client is expected. */
  get inUse(): boolean {
    return this.held.size > 0;
  }

  /** A client goes on behind the message with this number, and holds the position from here on; undefined where it was not kept. */
  take(sequence: number): Position | undefined {
    const held = this.held.get(sequence);
    if (held === undefined) return undefined;
    if (held.expected > 1) this.held.set(sequence, { ...held, expected: held.expected - 1 });
    else this.held.delete(sequence);
    return held.position;
  }

  /** A client may go on from here. */
  hold(position: Position): void {
    this.expect(position.sequence, position);
    this.floor = Math.min(this.floor, position.weight);
  }

  /** A client may go on behind this number. @param position undefined where what comes there is in files alone */
  expect(sequence: number, position?: Position): void {
    const expected = (this.held.get(sequence)?.expected ?? 0) + 1;
    this.held.delete(sequence);
    this.held.set(sequence, { position, until: performance.now() + this.bounds.time, expected });
    if (this.held.size > MAX_POSITIONS) this.dropFirst();
    this.timer ??= setTimeout(() => this.expire(), this.bounds.time);
  }

  /** The stream goes on to here. */
  advance(end: Position): void {
    if (this.held.size === 0 || end.weight - this.floor <= this.bounds.bytes) return;
    this.floor = Number.POSITIVE_INFINITY;
    for (const held of this.held.values()) {
      if (held.position === undefined) continue;
      if (held.position.bytesTo(end) > this.bounds.bytes) held.position = undefined;
      else this.floor = Math.min(this.floor, held.position.weight);
    }
  }

  /** No client is expected. */
  clear(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.held.clear();
  }

  private expire(): void {
    this.timer = undefined;
    const now = performance.now();
    for (const [sequence, { until }] of this.held) {
      if (until > now) {
        this.timer = setTimeout(() => this.expire(), until - now);
        return;
      }
      this.held.delete(sequence);
    }
    this.emptied();
  }

  private dropFirst(): void {
    for (const sequence of this.held.keys()) {
      this.held.delete(sequence);
      return;
    }
  }
}
