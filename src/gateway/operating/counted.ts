/** The tallies of a gateway, summed up for its operator. */

import type { Buckets } from '../../ops/metrics/histogram.ts';
import type { Series } from '../../ops/metrics/tally.ts';
import type { Counts, RouteStatus, Totals } from '../../ops/status.ts';
import { residentBytes } from '../../ops/system/resident.ts';
import { statusClass, type Tallies } from '../../ops/tallies.ts';

/** What whoever looks at the status asks for and gets is no work of the gateway's: the name of its route and of its stream. */
const OWN = 'status';

/** Series with the values of their labels, of numbers. */
interface Numbers {
  all(): Iterable<readonly [values: readonly string[], member: Series]>;
}

/** The values of a tally by its first label, and then by its second. */
export function grouped(tally: Numbers): ReadonlyMap<string, Counts> {
  const groups = new Map<string, { [name: string]: number }>();
  for (const [[first = '', second = ''], { value }] of tally.all()) {
    if (value === 0) continue;
    const group = groups.get(first) ?? {};
    group[second] = (group[second] ?? 0) + value;
    groups.set(first, group);
  }
  return groups;
}

/** Requests by route. */
export function requestCounts({ requests }: Tallies): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const [[route = ''], { value }] of requests.all()) counts.set(route, (counts.get(route) ?? 0) + value);
  return counts;
}

/** By route, and by the class of the status: "2xx". */
export function statusesByRoute({ requests }: Tallies): ReadonlyMap<string, Counts> {
  const counts = new Map<string, { [name: string]: number }>();
  for (const [[route = '', , code = ''], { value }] of requests.all()) {
    const of = counts.get(route) ?? {};
    const kind = statusClass(Number(code));
    of[kind] = (of[kind] ?? 0) + value;
    counts.set(route, of);
  }
  return counts;
}

/** How long answers took, by route. */
export function timesByRoute({ requestTimes }: Tallies): ReadonlyMap<string, NonNullable<RouteStatus['time']>> {
  const series = new Map<string, Buckets[]>();
  for (const [[route = ''], buckets] of requestTimes.all()) {
    if (buckets.count > 0) series.set(route, [...(series.get(route) ?? []), buckets]);
  }
  return new Map([...series].map(([route, all]) => [route, timeOf(all)]));
}

/** The mean, and below which bound 95 of 100 are: as exact as the bounds are close. */
function timeOf(all: readonly Buckets[]): NonNullable<RouteStatus['time']> {
  const [{ bounds } = { bounds: [] }] = all;
  const cumulative = [...bounds, Number.POSITIVE_INFINITY].map((_, at) =>
    all.reduce((sum, buckets) => sum + (buckets.cumulative()[at] ?? 0), 0),
  );
  const count = cumulative.at(-1) ?? 0;
  const at = cumulative.findIndex((below) => below >= count * 0.95);
  const sum = all.reduce((seconds, buckets) => seconds + buckets.sum, 0);
  // Above the last bound nobody knows how far.
  const p95 = bounds[at] ?? bounds.at(-1) ?? 0;
  return { mean: Number((sum / Math.max(1, count)).toPrecision(3)), p95 };
}

/** Clients of streams now. */
export function viewersOf({ clients }: Pick<Tallies, 'clients'>): number {
  return sum(clients) - clients.get(OWN);
}

export function totalsOf(tallies: Tallies): Totals {
  let [requests, errors, requestSeconds, timed] = [0, 0, 0, 0];
  for (const [[route, , code], { value }] of tallies.requests.all()) {
    if (route === OWN) continue;
    requests += value;
    if (code?.startsWith('5')) errors += value;
  }
  for (const [[route], buckets] of tallies.requestTimes.all()) {
    if (route === OWN) continue;
    requestSeconds += buckets.sum;
    timed += buckets.count;
  }
  const { user, system } = process.cpuUsage();
  return {
    ...{ requests, errors, requestSeconds, timed },
    messages: sum(tallies.messages, ([, direction]) => direction === 'out') - tallies.messages.get(OWN, 'out'),
    viewers: viewersOf(tallies),
    programs: sum(tallies.processes),
    connections: sum(tallies.connections),
    bytesOut:
      sum(tallies.bodyBytes, ([, direction]) => direction === 'out') +
      sum(tallies.messageBytes, ([, direction]) => direction === 'out') -
      tallies.messageBytes.get(OWN, 'out'),
    resident: residentBytes() || 0,
    processor: (user + system) / 1e6,
  };
}

function sum(tally: Numbers, counts: (values: readonly string[]) => boolean = () => true): number {
  let total = 0;
  for (const [values, { value }] of tally.all()) if (counts(values)) total += value;
  return total;
}
