/** Families of histograms: how often a time was at most so long. */
import { Family, type FamilyOptions, type LabelList } from './family.ts';

/** The numbers of one series. `observe` allocates nothing. */
export class Buckets {
  /** For each bound how many were at most that and more than the one before; then those above all bounds; then the sum. */
  private readonly numbers: Float64Array;

  /** @param bounds ascending, seconds */
  constructor(readonly bounds: readonly number[]) {
    this.numbers = new Float64Array(bounds.length + 2);
  }

  /** @param seconds less than 0, which a clock that was set could give, counts as 0 */
  observe(seconds: number): void {
    const { bounds, numbers } = this;
    let at = 0;
    // The short ones come first and are most of them: a search by halves would be no faster.
    while (at < bounds.length && seconds > (bounds[at] ?? 0)) at++;
    numbers[at] = (numbers[at] ?? 0) + 1;
    const sum = bounds.length + 1;
    numbers[sum] = (numbers[sum] ?? 0) + Math.max(0, seconds);
  }

  /** Seconds, of all that were observed. */
  get sum(): number {
    return this.numbers[this.bounds.length + 1] ?? 0;
  }

  /** How many were observed. */
  get count(): number {
    return this.cumulative().at(-1) ?? 0;
  }

  /** For each bound how many were at most that long; the last is all of them. */
  cumulative(): readonly number[] {
    let below = 0;
    return Array.from({ length: this.bounds.length + 1 }, (_, at) => {
      below += this.numbers[at] ?? 0;
      return below;
    });
  }
}

export class Histogram<const Labels extends LabelList> extends Family<Labels, Buckets> {
  readonly kind = 'histogram';
  /** Ascending, seconds; "+Inf" follows them. */
  readonly bounds: readonly number[];

  constructor({ bounds, ...options }: FamilyOptions<Labels> & { readonly bounds: readonly number[] }) {
    super(options);
    this.bounds = bounds;
  }

  protected make(): Buckets {
    return new Buckets(this.bounds);
  }
}
