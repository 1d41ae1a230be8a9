/** Token buckets, one for each address, in bounded memory: each holds up to `burst`, and gains `perSecond`. */

interface Bucket {
  tokens: number;
  at: number;
}

/** Addresses that are remembered. The one that was quiet for longest is forgotten first, and begins anew with a full bucket. */
const MAX_ADDRESSES = 4096;

export class Rates {
  private readonly buckets = new Map<string, Bucket>();

  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    private readonly maxAddresses = MAX_ADDRESSES,
  ) {}

  /** Takes one token. 0 when there was one, else the seconds until there is. `now` in milliseconds. */
  take(key: string, now: number): number {
    const wait = this.wait(key, now);
    if (wait === 0) this.spend(key, now);
    return wait;
  }

  /** Seconds until there is a token, 0 when there is one. */
  wait(key: string, now: number): number {
    const bucket = this.buckets.get(key);
    if (bucket === undefined) return 0;
    const tokens = this.filled(bucket, now);
    return tokens >= 1 ? 0 : (1 - tokens) / this.perSecond;
  }

  /** Takes one token that may not be there. */
  spend(key: string, now: number): void {
    const bucket = this.buckets.get(key);
    const tokens = bucket === undefined ? this.burst : this.filled(bucket, now);
    // To the end of the map's order: what is at its beginning was quiet for longest.
    this.buckets.delete(key);
    this.buckets.set(key, { tokens: Math.max(0, tokens - 1), at: now });
    if (this.buckets.size <= this.maxAddresses) return;
    for (const oldest of this.buckets.keys()) {
      this.buckets.delete(oldest);
      break;
    }
  }

  /** Gives a token back that was spent. */
  giveBack(key: string): void {
    const bucket = this.buckets.get(key);
    if (bucket !== undefined) bucket.tokens = Math.min(this.burst, bucket.tokens + 1);
  }

  get size(): number {
    return this.buckets.size;
  }

  private filled({ tokens, at }: Bucket, now: number): number {
    return Math.min(this.burst, tokens + ((now - at) / 1000) * this.perSecond);
  }
}

/** For Retry-After: whole seconds, at least one. */
export function retryAfter(seconds: number): string {
  return String(Math.max(1, Math.ceil(seconds)));
}
