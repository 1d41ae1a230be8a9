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

export interface CachedValue<T> {
  readonly value: T;
  /** It may be used unchecked before this time, in milliseconds of the clock that `put` was given. */
  readonly freshUntil: number;
  /** From here on more than half of that is over: it is worth checking before somebody has to wait for it. */
  readonly ageingFrom: number;
}

interface Entry {
  readonly bytes: number;
  /** Takes it out of the cache that has it. */
  forget(): void;
}

/**
 * The bound that several caches share. Least recently checked goes first: a value in use is checked every `freshFor`, so this comes close to
 * least recently used at no cost per hit.
 */
export class CacheBudget {
  private readonly entries = new Set<Entry>();
  private total = 0;

  constructor(readonly options: CacheOptions) {}

  /** Bytes held now. */
  get bytes(): number {
    return this.total;
  }

  /** Makes room for one more, and counts it; false where it is larger than everything may be. */
  add(entry: Entry): boolean {
    const { maxBytes } = this.options;
    if (entry.bytes > maxBytes) return false;
    for (const oldest of this.entries) {
      if (this.total + entry.bytes <= maxBytes) break;
      this.remove(oldest);
      oldest.forget();
    }
    this.entries.add(entry);
    this.total += entry.bytes;
    return true;
  }

  remove(entry: Entry): void {
    if (this.entries.delete(entry)) this.total -= entry.bytes;
  }
}

/** The values of one route. */
export class FileCache<T> {
  private readonly values = new Map<string, CachedValue<T> & Entry>();
  private closed = false;

  constructor(private readonly budget: CacheBudget) {}

  /** The value of `key`, however old. */
  get(key: string): CachedValue<T> | undefined {
    return this.values.get(key);
  }

  /** The value of `key` if it may be used unchecked at `now` (milliseconds of any steady clock). */
  fresh(key: string, now: number): T | undefined {
    const cached = this.values.get(key);
    return cached !== undefined && now < cached.freshUntil ? cached.value : undefined;
  }

  /** Keeps `value`, checked at `now`, and lets go of as many others as its `bytes` need. */
  put(key: string, value: T, bytes: number, now: number): void {
    this.drop(key);
    if (this.closed) return;
    const { freshFor } = this.budget.options;
    const cached = {
      value,
      freshUntil: now + freshFor,
      ageingFrom: now + freshFor / 2,
      bytes: bytes + OVERHEAD_BYTES + key.length,
      forget: () => this.values.delete(key),
    };
    if (this.budget.add(cached)) this.values.set(key, cached);
  }

  drop(key: string): void {
    const cached = this.values.get(key);
    if (cached === undefined) return;
    this.values.delete(key);
    this.budget.remove(cached);
  }

  /** Lets go of everything, and keeps nothing from here on. */
  close(): void {
    this.closed = true;
    for (const key of [...this.values.keys()]) this.drop(key);
  }
}
