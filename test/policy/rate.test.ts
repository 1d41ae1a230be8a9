import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Rates, retryAfter } from '../../src/policy/rate.ts';

describe('token buckets', () => {
  test('a burst, then so many a second', () => {
    const rates = new Rates(2, 3);
    assert.deepEqual(
      [0, 0, 0, 0].map(() => rates.take('a', 0)),
      [0, 0, 0, 0.5],
    );
    assert.equal(rates.take('a', 499) > 0, true);
    assert.equal(rates.take('a', 500), 0);
    assert.equal(rates.take('b', 500), 0);
  });
  test('never more than the burst, however long it was quiet', () => {
    const rates = new Rates(100, 2);
    rates.take('a', 0);
    assert.deepEqual(
      [0, 0, 0].map(() => rates.take('a', 1e9) === 0),
      [true, true, false],
    );
  });
  test('a refused attempt costs nothing more', () => {
    const rates = new Rates(1, 1);
    rates.take('a', 0);
    for (let at = 0; at < 900; at += 100) assert(rates.take('a', at) > 0);
    assert.equal(rates.take('a', 1000), 0);
  });
  test('the table is bounded, and who was quiet for longest is forgotten', () => {
    const rates = new Rates(1, 1, 3);
    for (const key of ['a', 'b', 'c']) rates.take(key, 0);
    assert(rates.take('a', 1) > 0);
    rates.spend('a', 1);
    rates.take('d', 2);
    assert.equal(rates.size, 3);
    assert(rates.wait('a', 2) > 0);
    assert.equal(rates.wait('b', 2), 0);
  });
  test('Retry-After is whole seconds, at least one', () =>
    assert.deepEqual([0.01, 1, 1.2].map(retryAfter), ['1', '1', '2']));
});
