/**
 * The last hour of a gateway, for charts: a ring of numbers, filled by one timer. It takes 240 × 7 numbers of four bytes, and each
 * sample what it takes to add up the counts of all routes: well under a millisecond, every 15 s.
 */
import type { HourStatus, Totals } from '../../ops/status.ts';

/** Seconds. */
export const INTERVAL = 15;
const KEPT = 240;

const NAMES = ['requests', 'errors', 'messages', 'viewers', 'resident', 'processor', 'time'] as const;
type Name = (typeof NAMES)[number];
type Rings = { readonly [name in Name]: Float32Array };

export interface SamplesParts {
  totals(): Totals;
  /** Requests so far, by route. */
  requestsByRoute(): ReadonlyMap<string, number>;
  /** Milliseconds of a clock that never goes back. */
  now?(): number;
}

export class Samples {
  /** There with the first sample: a gateway that nobody may look at has none. */
  private rings: Rings | undefined;
  private count = 0;
  private lastAt: number;
  private last: Totals;
  /** Of the sample before the last, so that a rate is over 15 s at least. */
  private before: { readonly at: number; readonly requests: ReadonlyMap<string, number> };
  private latest: { readonly at: number; readonly requests: ReadonlyMap<string, number> };
  private timer: NodeJS.Timeout | undefined;
  private readonly now: () => number;

  constructor(private readonly parts: SamplesParts) {
    this.now = parts.now ?? (() => performance.now());
    this.lastAt = this.now();
    this.last = parts.totals();
    this.latest = { at: this.lastAt, requests: parts.requestsByRoute() };
    this.before = this.latest;
  }

  start(): void {
    this.timer ??= setInterval(() => this.take(), INTERVAL * 1000).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** Takes one sample. */
  take(): void {
    const { last, parts } = this;
    this.rings ??= emptyRings();
    const { rings } = this;
    const at = this.now();
    const totals = parts.totals();
    const seconds = Math.max(0.001, (at - this.lastAt) / 1000);
    const timed = totals.timed - last.timed;
    const place = this.count++ % KEPT;
    rings.requests[place] = (totals.requests - last.requests) / seconds;
    rings.errors[place] = (totals.errors - last.errors) / seconds;
    rings.messages[place] = (totals.messages - last.messages) / seconds;
    rings.viewers[place] = totals.viewers;
    rings.resident[place] = totals.resident;
    rings.processor[place] = (totals.processor - last.processor) / seconds;
    rings.time[place] = timed === 0 ? 0 : ((totals.requestSeconds - last.requestSeconds) * 1000) / timed;
    this.last = totals;
    this.lastAt = at;
    this.before = this.latest;
    this.latest = { at, requests: parts.requestsByRoute() };
  }

  /** Requests a second of each route, over 15 to 30 seconds, or since the start. */
  rates(requests: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
    const seconds = Math.max(1, (this.now() - this.before.at) / 1000);
    return new Map(
      [...requests].map(([route, count]) => [route, (count - (this.before.requests.get(route) ?? 0)) / seconds]),
    );
  }

  /** The last hour. */
  hour(): HourStatus {
    const { rings } = this;
    const list = (name: Name): readonly number[] => (rings === undefined ? [] : this.inOrder(rings[name]));
    return {
      interval: INTERVAL,
      until: Math.round(performance.timeOrigin + this.lastAt),
      requests: list('requests'),
      errors: list('errors'),
      messages: list('messages'),
      viewers: list('viewers'),
      resident: list('resident'),
      processor: list('processor'),
      time: list('time'),
    };
  }

  private inOrder(ring: Float32Array): readonly number[] {
    const length = Math.min(this.count, KEPT);
    return Array.from({ length }, (_, at) => {
      const value = ring[(this.count - length + at) % KEPT] ?? 0;
      // Three digits are what a chart can show.
      return Number(value.toPrecision(3));
    });
  }
}

function emptyRings(): Rings {
  return Object.fromEntries(NAMES.map((name) => [name, new Float32Array(KEPT)] as const)) as Rings;
}
