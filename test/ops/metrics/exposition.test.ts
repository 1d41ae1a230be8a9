import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counter, Gauge, Registry, Histogram as TheirHistogram } from 'prom-client';
import { exposition, formatNumber } from '../../../src/ops/metrics/exposition.ts';
import { openLabel } from '../../../src/ops/metrics/family.ts';
import { Histogram } from '../../../src/ops/metrics/histogram.ts';
import { counter, gauge } from '../../../src/ops/metrics/tally.ts';

/** Label values as somebody's configuration might have them, or worse. */
const VALUES = [
  '/',
  '/a"b',
  '/a\\b',
  '/a\nb',
  '/café/☃',
  '/\u{1f600}',
  '\\"',
  '\\n',
  '{}',
  '",x="',
  '',
  ' ',
  '\t',
  '#',
];
const LABELS = [openLabel('route', ''), openLabel('code', '')] as const;
const HELP = 'What it "counts": a \\ and\na line.';
const NUMBERS = [
  0,
  1,
  -1,
  0.1,
  1e21,
  1e-9,
  123456789012345,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
];

/** The lines that prom-client writes, without the empty ones between its families. */
async function theirs(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split('\n').filter((line) => line !== '');
}

function ours(...families: Parameters<typeof exposition>[0][]): string[] {
  const text = exposition(families.flatMap((all) => [...all]));
  assert.ok(text.endsWith('\n'));
  return text.trimEnd().split('\n');
}

test('a counter and a gauge are written as prom-client writes them, whatever their labels', async () => {
  const registry = new Registry();
  const options = { help: HELP, labelNames: ['route', 'code'], registers: [registry] };
  const theirCounter = new Counter({ ...options, name: 'x_total' });
  const theirGauge = new Gauge({ ...options, name: 'x' });
  const count = counter({ name: 'x_total', help: HELP, labels: LABELS });
  const level = gauge({ name: 'x', help: HELP, labels: LABELS });
  for (const [at, route] of VALUES.entries()) {
    for (const code of ['200', route]) {
      theirCounter.inc({ route, code }, at + 0.5);
      count.add(at + 0.5, route, code);
    }
  }
  for (const [at, number] of NUMBERS.entries()) {
    theirGauge.set({ route: String(at), code: '' }, number);
    level.set(number, String(at), '');
  }
  // Ours are grouped by the first label.
  assert.deepEqual(ours([count, level]).sort(), (await theirs(registry)).map(asPrometheus).sort());
});

/** prom-client writes "Nan", which Go reads as well; the format says "NaN". */
function asPrometheus(line: string): string {
  return line.replace(/ Nan$/, ' NaN');
}

test('a histogram is written as prom-client writes it', async () => {
  const registry = new Registry();
  const bounds = [0.001, 0.01, 0.25, 1, 30];
  const their = new TheirHistogram({
    ...{ name: 'x_seconds', help: HELP, labelNames: ['route', 'code'], buckets: bounds, registers: [registry] },
  });
  const own = new Histogram({ name: 'x_seconds', help: HELP, labels: LABELS, bounds });
  for (const route of VALUES) {
    for (const seconds of [0, 0.001, 0.0011, 0.25, 2 ** -6, 29.5, 30, 30.5, 1e6]) {
      their.observe({ route, code: '200' }, seconds);
      own.series(route, '200').observe(seconds);
    }
  }
  const order = (line: string): string => line.replace(/\{(le="[^"]*"),(.*)\}/, '{$2,$1}');
  assert.deepEqual(ours([own]).sort(), (await theirs(registry)).map(order).sort());
});

test('a family without labels and one without series', async () => {
  const registry = new Registry();
  new Gauge({ name: 'a', help: 'A.', registers: [registry] }).set(3);
  new Counter({ name: 'b_total', help: 'B.', labelNames: ['route'], registers: [registry] });
  const a = gauge({ name: 'a', help: 'A.', labels: [] });
  a.set(3);
  const b = counter({ name: 'b_total', help: 'B.', labels: [openLabel('route', '')] });
  const h = new Histogram({ name: 'h_seconds', help: 'H.', labels: [], bounds: [1] });
  assert.deepEqual(ours([a, b]), await theirs(registry));
  assert.deepEqual(ours([h]), ['# HELP h_seconds H.', '# TYPE h_seconds histogram']);
  h.series().observe(-5);
  assert.deepEqual(ours([h]).slice(2), [
    'h_seconds_bucket{le="1"} 1',
    'h_seconds_bucket{le="+Inf"} 1',
    'h_seconds_sum 0',
    'h_seconds_count 1',
  ]);
});

test('a series is removed and comes anew', () => {
  const level = gauge({ name: 'x', help: 'X.', labels: LABELS });
  level.set(5, '/', 'a');
  level.remove('/', 'a');
  level.remove('/nowhere', 'a');
  assert.deepEqual(ours([level]).length, 2);
  assert.equal(level.get('/', 'a'), 0);
  assert.equal(level.series('/', 'a').value, 0);
});

test('numbers', () => {
  for (const [number, text] of [
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
    [Number.NaN, 'NaN'],
    [0.0005, '0.0005'],
    [1e21, '1e+21'],
  ] as const)
    assert.equal(formatNumber(number), text);
});
