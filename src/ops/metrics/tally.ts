/** Families of single numbers: counters, which only grow, and gauges. */
import { Family, type FamilyOptions, type LabelList, type LabelValues } from './family.ts';

/** One number of a family. Whoever counts often keeps it, instead of looking it up each time. */
export interface Series {
  value: number;
}

export class Tally<const Labels extends LabelList> extends Family<Labels, Series> {
  constructor(
    readonly kind: 'counter' | 'gauge',
    options: FamilyOptions<Labels>,
  ) {
    super(options);
  }

  add(amount: number, ...values: LabelValues<Labels>): void {
    this.series(...values).value += amount;
  }

  set(value: number, ...values: LabelValues<Labels>): void {
    this.series(...values).value = value;
  }

  /** The value of one member, 0 before the first `add`. */
  get(...values: LabelValues<Labels>): number {
    return this.known(values)?.value ?? 0;
  }

  protected make(): Series {
    return { value: 0 };
  }
}

export function counter<const Labels extends LabelList>(options: FamilyOptions<Labels>): Tally<Labels> {
  return new Tally('counter', options);
}

export function gauge<const Labels extends LabelList>(options: FamilyOptions<Labels>): Tally<Labels> {
  return new Tally('gauge', options);
}
