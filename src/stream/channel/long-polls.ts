/**
 * The long-polls of a shared stream: those that wait for the next message, and those that were answered and are likely to come again.
 * Whoever was answered is there for a while, though it has no connection, and what comes meanwhile is kept for it whatever the history
 * keeps, within a bound.
 */
import { type History, type Position, portionFrom } from '../history/history.ts';
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
  /** Somebody is there. */
  used(): void;
  /** Somebody is not there any more. */
  unused(): void;
}

/** How long somebody who was answered counts as present until it asks again. Milliseconds. */
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

  /** Whether one waits, or is likely to come again. */
  get inUse(): boolean {
    return this.waiting.size > 0 || this.positions.inUse;
  }

  // ---- for a request ----

  /** Where one stands that has everything up to `cursor`, and what it has to get. */
  start(cursor: string | undefined): StartPoint {
    const { history, replay } = this.parts;
    const sequence = history.sequenceOf(cursor ?? '');
    const position = sequence === undefined ? undefined : this.positions.take(sequence);
    const start = replay.from(cursor);
    // It goes on from its cursor.
    replay.clientListens();
    return position === undefined ? start : { from: position, missed: 0, snapshot: [], at: history.idOf(position) };
  }

  /** What one gets that stands there, at most so many bytes of messages, but one in any case. Its next request goes on from there. */
  content({ snapshot, from, missed }: StartPoint, most: number, ending: Ending | undefined): LongPollContent {
    const { history } = this.parts;
    const { batch, to } = portionFrom(from, most);
    this.expect(to);
    return {
      messages: [...snapshot, ...batch],
      missed,
      cursor: history.idOf(to),
      ending: to === history.end ? ending : undefined,
    };
  }

  /** One is likely to go on from here. */
  expect(position: Position): void {
    if (this.over) return;
    this.parts.used();
    this.positions.hold(position);
  }

  /** How the stream ended for one that followed it, and was between two requests then; undefined while it goes on. */
  endedAfter(cursor: string): Ending | undefined {
    return this.parts.history.sequenceOf(cursor) === undefined ? undefined : this.lastEnding;
  }

  /** Calls `listener` at the next messages or the end, and after them until it is taken back. Returns what takes it back. */
  wait(listener: (ending: Ending | undefined) => void): () => void {
    this.parts.used();
    this.waiting.add(listener);
    return () => {
      if (this.waiting.delete(listener)) this.parts.unused();
    };
  }

  // ---- for the channel ----

  /** The history has gone on. */
  published(): void {
    this.positions.grown(this.parts.history.end);
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
  /** Undefined when too much has come behind it. */
  position: Position | undefined;
  readonly until: number;
  /** How many may go on from there. */
  readonly expected: number;
}

/** Places at one time. Those who are at the same one share it. */
const MAX_POSITIONS = 256;

export class LongPollPositions {
  /** By the number of the message before it, in the order in which their time is over. */
  private readonly held = new Map<number, HeldPosition>();
  private timer: NodeJS.Timeout | undefined;
  /** The weight of the first of them. */
  private floor = Number.POSITIVE_INFINITY;

  /** @param emptied called when nobody is expected any more */
  constructor(
    private readonly bounds: PositionBounds,
    private readonly emptied: () => void,
  ) {}

  /** Whether somebody is expected. */
  get inUse(): boolean {
    return this.held.size > 0;
  }

  /** Somebody goes on behind the message with this number, and holds the position from here on; undefined where it was not kept. */
  take(sequence: number): Position | undefined {
    const held = this.held.get(sequence);
    if (held === undefined) return undefined;
    if (held.expected > 1) this.held.set(sequence, { ...held, expected: held.expected - 1 });
    else this.held.delete(sequence);
    return held.position;
  }

  /** Somebody may go on from here. */
  hold(position: Position): void {
    const { sequence } = position;
    const expected = (this.held.get(sequence)?.expected ?? 0) + 1;
    this.held.delete(sequence);
    this.held.set(sequence, { position, until: performance.now() + this.bounds.time, expected });
    this.floor = Math.min(this.floor, position.weight);
    if (this.held.size > MAX_POSITIONS) this.dropFirst();
    this.timer ??= setTimeout(() => this.look(), this.bounds.time);
  }

  /** The stream goes on to here. */
  grown(end: Position): void {
    if (this.held.size === 0 || end.weight - this.floor <= this.bounds.bytes) return;
    this.floor = Number.POSITIVE_INFINITY;
    for (const held of this.held.values()) {
      if (held.position === undefined) continue;
      if (held.position.bytesTo(end) > this.bounds.bytes) held.position = undefined;
      else this.floor = Math.min(this.floor, held.position.weight);
    }
  }

  /** Nobody is expected. */
  clear(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.held.clear();
  }

  private look(): void {
    this.timer = undefined;
    const now = performance.now();
    for (const [sequence, { until }] of this.held) {
      if (until > now) {
        this.timer = setTimeout(() => this.look(), until - now);
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
