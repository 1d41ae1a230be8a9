import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INTERVAL, Samples } from '../../../src/gateway/operating/samples.ts';
import type { Totals } from '../../../src/ops/status.ts';

const NOTHING: Totals = {
  ...{ requests: 0, errors: 0, messages: 0, viewers: 0, programs: 0, connections: 0, bytesOut: 0, resident: 0 },
  ...{ processor: 0, requestSeconds: 0, timed: 0 },
};

test('rates are over the interval, and the oldest sample goes after an hour', () => {
  let now = 0;
  let totals = NOTHING;
  let requests = new Map<string, number>();
  const samples = new Samples({ totals: () => totals, requestsByRoute: () => requests, now: () => now });
  const pass = (change: Partial<Totals>): void => {
    now += INTERVAL * 1000;
    totals = { ...totals, ...change };
    samples.take();
  };
  pass({
    requests: 30,
    errors: 15,
    messages: 150,
    viewers: 3,
    resident: 5_000_000,
    processor: 1.5,
    requestSeconds: 3,
    timed: 30,
  });
  const hour = samples.hour();
  assert.deepEqual(
    [hour.requests, hour.errors, hour.messages, hour.viewers, hour.resident, hour.processor, hour.time],
    [[2], [1], [10], [3], [5_000_000], [0.1], [100]],
  );
  pass({});
  assert.deepEqual(samples.hour().requests, [2, 0]);
  assert.deepEqual(samples.hour().time, [100, 0]);
  for (let round = 0; round < 240; round++) pass({ requests: totals.requests + round * INTERVAL });
  assert.equal(samples.hour().requests.length, 240);
  assert.equal(samples.hour().requests[0], 0);
  assert.equal(samples.hour().requests.at(-1), 239);

  requests = new Map([['/', 45]]);
  assert.deepEqual([...samples.rates(requests)], [['/', 3]]);
});

test('before the first sample there is nothing to show', () => {
  const {
    interval,
    until: _until,
    ...lists
  } = new Samples({
    totals: () => NOTHING,
    requestsByRoute: () => new Map(),
  }).hour();
  assert.equal(interval, INTERVAL);
  assert.ok(Object.values(lists).every(({ length }) => length === 0));
});
