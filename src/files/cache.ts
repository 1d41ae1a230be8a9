/**
 * Values made from files, kept for a bounded time in bounded memory. Within `freshFor` of having been checked a value is used
 * without asking the system anything, so a change on disk is seen at the latest after that time; a stale value is handed to
 * whoever checks whether it still holds.
 */

export interface CacheOptions {
  /** Bytes in all, as told by `put`, plus `OVERHEAD_BYTES` for each cached. */
  readonly maxBytes: number;
  /** Milliseconds that a value is used unchecked. */
  readonly freshFor: number;
}

/** What a cached value costs besides itself: key, map slot, headers. */
const OVERHEAD_BYTES = 1024;

interface CachedValue<T> {
  value: T;
  bytes: number;
  freshUntil: number;
}

/** Least recently checked goes first: a value in use is checked every `freshFor`, so this comes close to least recently used at no cost per hit. */
export class FileCache<T> {
  private readonly entries = new Map<string, CachedValue<T>>();
  private total = 0;

  constructor(private readonly options: CacheOptions) {}

  /** Bytes held now. */
  get bytes(): number {
    return this.total;
  }

  /** The value of `key` if it may be used unchecked at `now` (milliseconds of any steady clock). */
  fresh(key: string, now: number): T | undefined {
    const cached = this.entries.get(key);
    return cached !== undefined && now < cached.freshUntil ? cached.value : undefined;
  }

  /** Whether the value of `key` is fresh but more than half of its time is over: worth checking before somebody has to wait for it. */
  ageing(key: string, now: number): boolean {
    const cached = this.entries.get(key);
    return cached !== undefined && now < cached.freshUntil && now > cached.freshUntil - this.options.freshFor / 2;
  }

  /** The value of `key` however old. */
  stale(key: string): T | undefined {
    return this.entries.get(key)?.value;
  }

  /** Keeps `value`, checked at `now`, and lets go of as many others as its `bytes` need. */
  put(key: string, value: T, bytes: number, now: number): void {
    this.drop(key);
    const cost = bytes + OVERHEAD_BYTES + key.length;
    if (cost > this.options.maxBytes) return;
    for (const oldest of this.entries.keys()) {
      if (this.total + cost <= this.options.maxBytes) break;
      this.drop(oldest);
    }
    this.entries.set(key, { value, bytes: cost, freshUntil: now + this.options.freshFor });
    this.total += cost;
  }

  /** Lets go of everything whose key begins so. */
  dropAll(prefix: string): void {
    for (const key of [...this.entries.keys()]) if (key.startsWith(prefix)) this.drop(key);
  }

  drop(key: string): void {
    const cached = this.entries.get(key);
    if (cached === undefined) return;
    this.entries.delete(key);
    this.total -= cached.bytes;
  }
}
