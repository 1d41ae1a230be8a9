// Tells how old a sample is, although the clocks of the machine and of the browser know nothing of each other.

const PERIOD_MS = 30_000;

/**
 * Each sample carries the machine's uptime. The smallest difference between a sample's arrival here and its uptime there
 * belongs to the quickest delivery; every other sample is as old as it is later than that one. Only the last minute
 * counts, so that clocks may drift.
 */
export class MachineClock {
  constructor() {
    this.current = Number.POSITIVE_INFINITY;
    this.previous = Number.POSITIVE_INFINITY;
    this.periodEnds = 0;
    this.lastUptime = 0;
  }

  /** A sample with this uptime (in seconds) has arrived at `now` (in ms). */
  observe(uptime, now) {
    // The machine was restarted.
    if (uptime < this.lastUptime - 60) this.current = this.previous = Number.POSITIVE_INFINITY;
    this.lastUptime = uptime;
    if (now >= this.periodEnds) {
      this.previous = this.current;
      this.current = Number.POSITIVE_INFINITY;
      this.periodEnds = now + PERIOD_MS;
    }
    this.current = Math.min(this.current, now - uptime * 1000);
  }

  /** Age in ms, at `now`, of a sample with this uptime. */
  age(uptime, now) {
    return Math.max(0, this.machineTime(now) - uptime * 1000);
  }

  /** The machine's uptime, in ms, at `now`: not a number before the first sample. */
  machineTime(now) {
    return now - Math.min(this.current, this.previous);
  }
}
