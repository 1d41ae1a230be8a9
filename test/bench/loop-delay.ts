/**
 * Loaded into a gateway (`node --import`) that is measured from within: on SIGUSR2 it writes the event loop's delay since the last
 * SIGUSR2 to the file that BENCH_LOOP_DELAY names. Not from `/metrics`, which tells it of the moment of the scrape only.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface LoopDelay {
  /** Milliseconds, the timer's own period of 1 ms subtracted. */
  readonly p99: number;
  readonly max: number;
}

const file = process.env['BENCH_LOOP_DELAY'];
const histogram = monitorEventLoopDelay({ resolution: 1 });
histogram.enable();
process.on('SIGUSR2', () => {
  if (file === undefined) return;
  const delay: LoopDelay = { p99: histogram.percentile(99) / 1e6 - 1, max: histogram.max / 1e6 - 1 };
  histogram.reset();
  writeFileSync(`${file}.new`, JSON.stringify(delay));
  renameSync(`${file}.new`, file);
});
