/** Results as a table in Markdown. */
import type { BenchCase, Column } from './case.ts';
import type { CaseResult, Result } from './rounds.ts';

/**
 * Each cell: the median of the rounds; behind it, in brackets, the median of the ratios "the first server's / this one's" of each round.
 * The last column is how far the rounds lay apart in the first column: (largest - smallest) / median.
 */
export function tableOf(bench: BenchCase, { results, left }: CaseResult): string {
  const lines = [`### ${bench.title}`, ''];
  const [first] = results;
  if (first !== undefined) {
    lines.push(row(['', ...bench.columns.map(({ name }) => name), 'spread']));
    lines.push(row(['---', ...bench.columns.map(() => '---:'), '---:']));
    for (const result of results) {
      const cells = bench.columns.map((column, at) => cell(column, at, result, first));
      lines.push(row([result.peer.name, ...cells, spread(result)]));
    }
  }
  for (const what of left) lines.push('', `Left out: ${what}.`);
  return `${lines.join('\n')}\n`;
}

export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}

/** The smallest value that `share` of the values do not exceed. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

function cell(column: Column, at: number, result: Result, first: Result): string {
  const values = result.rounds.map((round) => round[at] ?? Number.NaN);
  const middle = median(values);
  if (Number.isNaN(middle)) return '–';
  const shown = middle.toFixed(column.digits);
  if (result === first || !column.ratio) return shown;
  const ratio = median(values.map((value, round) => (first.rounds[round]?.[at] ?? Number.NaN) / value));
  return Number.isFinite(ratio) ? `${shown} (${ratio.toFixed(2)})` : shown;
}

function spread(result: Result): string {
  const values = result.rounds.map((round) => round[0] ?? Number.NaN);
  return `${Math.round(((Math.max(...values) - Math.min(...values)) / median(values)) * 100)} %`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
