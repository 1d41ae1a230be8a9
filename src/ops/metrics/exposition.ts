/**
 * The text that Prometheus reads, in its format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/.
 * Every scraper reads it, those that prefer OpenMetrics as well.
 */
import type { Family, Label, LabelList } from './family.ts';
import { Histogram } from './histogram.ts';
import { Tally } from './tally.ts';

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Any family, of which only what is said about it, and its series, are wanted. */
export interface AnyFamily extends Pick<Family<LabelList, object>, 'name' | 'help' | 'kind'> {
  readonly labels: readonly Label[];
}

/** A family without a series has its two lines all the same, so that whoever looks sees what there is. */
export function exposition(families: Iterable<AnyFamily>): string {
  const lines: string[] = [];
  for (const family of families) {
    lines.push(`# HELP ${family.name} ${escapeHelp(family.help)}`, `# TYPE ${family.name} ${family.kind}`);
    if (family instanceof Tally) addTally(lines, family);
    else if (family instanceof Histogram) addHistogram(lines, family);
  }
  return `${lines.join('\n')}\n`;
}

function addTally(lines: string[], family: Tally<LabelList>): void {
  for (const [values, { value }] of family.all())
    lines.push(`${family.name}${braces(labelPairs(family, values))} ${formatNumber(value)}`);
}

function addHistogram(lines: string[], family: Histogram<LabelList>): void {
  const { name, bounds } = family;
  for (const [values, buckets] of family.all()) {
    const pairs = labelPairs(family, values);
    const before = pairs === '' ? '' : `${pairs},`;
    const counts = buckets.cumulative();
    counts.forEach((count, at) => {
      const bound = bounds[at];
      lines.push(`${name}_bucket{${before}le="${bound === undefined ? '+Inf' : formatNumber(bound)}"} ${count}`);
    });
    lines.push(`${name}_sum${braces(pairs)} ${formatNumber(buckets.sum)}`);
    lines.push(`${name}_count${braces(pairs)} ${counts.at(-1) ?? 0}`);
  }
}

function labelPairs({ labels }: AnyFamily, values: readonly string[]): string {
  return labels.map(({ name }, at) => `${name}="${escapeValue(values[at] ?? '')}"`).join(',');
}

function braces(pairs: string): string {
  return pairs === '' ? '' : `{${pairs}}`;
}

/** A number as Go's ParseFloat reads it. */
export function formatNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeValue(text: string): string {
  return /[\\"\n]/.test(text) ? escapeHelp(text).replaceAll('"', '\\"') : text;
}
