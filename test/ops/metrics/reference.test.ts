import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { exposition } from '../../../src/ops/metrics/exposition.ts';
import { ProcessFigures } from '../../../src/ops/metrics/process-figures.ts';
import { metricsReference } from '../../../src/ops/metrics/reference.ts';
import { Tallies } from '../../../src/ops/tallies.ts';

const DOCS = join(import.meta.dirname, '../../../../docs');

test('docs/metrics.md is what the declarations say: otherwise run "npm run docs"', () =>
  assert.equal(
    readFileSync(join(DOCS, 'metrics.md'), 'utf8'),
    metricsReference(new Tallies().all(), new ProcessFigures().all()),
  ));

test('every family is in the list of its class, once, and says what it and its labels are', async () => {
  const tallies = new Tallies();
  const figures = new ProcessFigures();
  // Those of histories and of compression are declared in classes of their own.
  const { history, compression, ...others } = tallies;
  assert.equal(
    tallies.all().length,
    [others, history, compression].reduce((sum, families) => sum + Object.keys(families).length, 0),
  );
  assert.equal((await figures.read()).length, Object.keys(figures).length);
  const families = [...tallies.all(), ...figures.all()];
  assert.equal(new Set(families.map(({ name }) => name)).size, families.length);
  for (const { name, help, kind, labels } of families) {
    assert.match(name, /^(runnel|process|nodejs)_[a-z][a-z_]*$/);
    assert.equal(name.endsWith('_total'), kind === 'counter', name);
    if (kind === 'histogram') assert.match(name, /_seconds$/);
    assert.match(help, /^[A-Z].*\.$/, name);
    for (const label of labels) assert.notEqual(label.meaning, '', name);
    assert.equal(new Set(labels.map((label) => label.name)).size, labels.length, name);
    assert.ok(!labels.some((label) => label.name === 'le'), name);
  }
});

test('the figures of a process are plausible', async () => {
  const text = exposition(await new ProcessFigures().read());
  const figure = (name: string): number => Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
  const before = figure('process_open_fds');
  const file = openSync('/dev/null', 'r');
  try {
    const then = exposition(await new ProcessFigures().read());
    assert.match(then, new RegExp(`^process_open_fds ${before + 1}$`, 'm'));
  } finally {
    closeSync(file);
  }
  assert.ok(Math.abs(figure('process_start_time_seconds') - Date.now() / 1000) < 3600);
  assert.ok(figure('process_max_fds') >= before);
  assert.ok(figure('process_virtual_memory_bytes') > figure('process_resident_memory_bytes'));
  assert.ok(figure('process_resident_memory_bytes') > figure('nodejs_heap_size_used_bytes'));
  assert.ok(figure('process_cpu_seconds_total') > 0);
  assert.ok(figure('nodejs_eventloop_lag_seconds') >= 0);
});
