/**
 * Where long-polls stand between two requests. Whoever was answered is there for a while, though it has no connection, and what comes
 * meanwhile is kept for it whatever the history keeps, within a bound.
 */
import type { Position } from './history.ts';

export interface PositionBounds {
  /** Milliseconds from an answer to the next request. */
  readonly time: number;
  /** Bytes behind a position. */
  readonly bytes: number;
}

interface Held {
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
  private readonly held = new Map<number, Held>();
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
