/**
 * Where long-polls stand between two requests. Whoever was answered is there for a while, though it has no connection, and what comes
 * meanwhile is kept for it whatever the history keeps, within a bound.
 */
import type { Place } from './history.ts';

export interface PositionBounds {
  /** Milliseconds from an answer to the next request. */
  readonly time: number;
  /** Bytes behind a place. */
  readonly bytes: number;
}

interface Held {
  /** Undefined when too much has come behind it. */
  place: Place | undefined;
  readonly until: number;
  /** How many may go on from there. */
  readonly expected: number;
}

/** Places at one time. Those who are at the same one share it. */
const MAX_PLACES = 256;

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

  /** Somebody goes on behind the message with this number, and holds the place from here on; undefined where it was not kept. */
  take(sequence: number): Place | undefined {
    const held = this.held.get(sequence);
    if (held === undefined) return undefined;
    if (held.expected > 1) this.held.set(sequence, { ...held, expected: held.expected - 1 });
    else this.held.delete(sequence);
    return held.place;
  }

  /** Somebody may go on from here. */
  hold(place: Place): void {
    const { sequence } = place;
    const expected = (this.held.get(sequence)?.expected ?? 0) + 1;
    this.held.delete(sequence);
    this.held.set(sequence, { place, until: performance.now() + this.bounds.time, expected });
    this.floor = Math.min(this.floor, place.weight);
    if (this.held.size > MAX_PLACES) this.dropFirst();
    this.timer ??= setTimeout(() => this.look(), this.bounds.time);
  }

  /** The stream goes on to here. */
  grown(end: Place): void {
    if (this.held.size === 0 || end.weight - this.floor <= this.bounds.bytes) return;
    this.floor = Number.POSITIVE_INFINITY;
    for (const held of this.held.values()) {
      if (held.place === undefined) continue;
      if (held.place.bytesTo(end) > this.bounds.bytes) held.place = undefined;
      else this.floor = Math.min(this.floor, held.place.weight);
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
