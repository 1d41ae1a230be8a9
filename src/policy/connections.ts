/** How many connections there may be: in all, and from one address. Knows numbers and addresses only, no socket. */
import { type AddressSet, addressKey } from './addresses.ts';

export interface ConnectionLimitsOptions {
  readonly max: number;
  readonly maxPerAddress: number;
  /** Addresses with no limit of their own. */
  readonly exempt: readonly AddressSet[];
  /**
   * The addresses of all connections that are open now, by the kernel's own table. Asked where an engine cannot say whose
   * connection has ended, at most four times a second, and only while there are more than `maxPerAddress` in all.
   */
  census(): readonly string[];
}

/** Milliseconds for which a census is believed. */
const CENSUS_LASTS = 250;

export class ConnectionLimits {
  private total = 0;
  /** Connections by `addressKey`; too many of them once somebody has left whose address is not known. */
  private readonly byAddress = new Map<string, number>();
  /** The same for those that a proxy has named: the kernel knows them by the proxy's address only. */
  private readonly named = new Map<string, number>();
  private unknownEnds = false;
  private lastCensus = Number.NEGATIVE_INFINITY;

  constructor(private options: ConnectionLimitsOptions) {}

  /** Other limits from now on. Connections above them stay. */
  change(options: ConnectionLimitsOptions): void {
    this.options = options;
  }

  get open(): number {
    return this.total;
  }

  /**
   * Why a connection from `address` may not be; undefined when it may, and is counted. `now` in milliseconds; `named`: by a proxy in
   * front (PROXY protocol), so that no census finds it, and its end will be told.
   */
  opened(address: string, now: number, named = false): 'max' | 'address' | undefined {
    const { max, maxPerAddress } = this.options;
    if (this.total >= max) return 'max';
    const key = addressKey(address);
    // The usual case, and the cheap one: with so few in all nobody can have too many.
    const may = this.total < maxPerAddress || this.isExempt(address) || this.from(key, now) < maxPerAddress;
    if (!may) return 'address';
    this.total++;
    const counts = named ? this.named : this.byAddress;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return undefined;
  }

  /** One that was counted has ended; `address` undefined where the engine cannot tell, or "" where it could not any more. */
  closed(address: string | undefined, named = false): void {
    this.total--;
    if (this.total === 0) {
      this.byAddress.clear();
      this.named.clear();
      this.unknownEnds = false;
    } else if (address === undefined || address === '') this.unknownEnds = true;
    else {
      const key = addressKey(address);
      const counts = named ? this.named : this.byAddress;
      const left = (counts.get(key) ?? 0) - 1;
      if (left > 0) counts.set(key, left);
      else counts.delete(key);
    }
  }

  private isExempt(address: string): boolean {
    return this.options.exempt.some((set) => set.has(address));
  }

  private from(key: string, now: number): number {
    const { maxPerAddress } = this.options;
    const named = this.named.get(key) ?? 0;
    const known = named + (this.byAddress.get(key) ?? 0);
    if (known < maxPerAddress || !this.unknownEnds || now - this.lastCensus < CENSUS_LASTS) return known;
    this.lastCensus = now;
    this.unknownEnds = false;
    this.byAddress.clear();
    for (const address of this.options.census()) {
      const seen = addressKey(address);
      this.byAddress.set(seen, (this.byAddress.get(seen) ?? 0) + 1);
    }
    // The one that is being decided on is in that table, too.
    const others = Math.max(0, (this.byAddress.get(key) ?? 0) - 1);
    this.byAddress.set(key, others);
    return named + others;
  }
}
