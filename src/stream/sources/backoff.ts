/** How long to wait before a program is started again: longer each time, with jitter, from the start again after it has run well. */

export interface BackoffTimes {
  /** Milliseconds before the first restart. */
  readonly first: number;
  /** Milliseconds that no wait exceeds; a program that ran this long has run well. */
  readonly most: number;
}

export class Backoff {
  private failures = 0;

  constructor(
    private readonly times: BackoffTimes,
    private readonly random: () => number = Math.random,
  ) {}

  /** @param ran milliseconds that the program has run; @returns milliseconds to wait: doubled each time, less up to a quarter by chance */
  next(ran: number): number {
    if (ran >= this.times.most) this.failures = 0;
    // 2 ** 30 is beyond every limit, and still a number.
    const wait = Math.min(this.times.most, this.times.first * 2 ** Math.min(this.failures++, 30));
    return wait * (1 - this.random() / 4);
  }
}
