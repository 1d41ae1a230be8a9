/**
 * The exposition for Prometheus, made by prom-client from the gateway's tallies and from Node's own figures. Loaded only
 * when there is an admin listener: prom-client costs about 2 MB.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Log } from './log.ts';
import type { Tallies } from './tallies.ts';

export interface Metrics {
  readonly contentType: string;
  /** The text of `/metrics`. */
  text(): Promise<string>;
  close(): void;
}

/** @param version goes into `runnel_build_info`. */
export function createMetrics(tallies: Tallies, log: Log, version: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const tally of tallies.all()) {
    const options = { name: tally.name, help: tally.help, labelNames: [...tally.labelNames], registers: [registry] };
    // The tallies hold the truth; at each scrape the series are copied.
    if (tally.kind === 'counter') {
      new Counter({
        ...options,
        collect() {
          this.reset();
          for (const { labels, value } of tally.allSeries()) this.inc(labels, value);
        },
      });
    } else {
      new Gauge({
        ...options,
        collect() {
          this.reset();
          for (const { labels, value } of tally.allSeries()) this.set(labels, value);
        },
      });
    }
  }
  new Counter({
    name: 'runnel_log_dropped_total',
    help: 'Log lines that were dropped, because the log was not read in time.',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(log.dropped);
    },
  });
  new Gauge({
    name: 'runnel_build_info',
    help: 'The version that runs, as a label.',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node: process.version }, 1);
  return { contentType: registry.contentType, text: () => registry.metrics(), close: () => registry.clear() };
}
