import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CacheBudget, FileCache } from '../../src/files/cache.ts';

function small(): { budget: CacheBudget; cache: FileCache<string> } {
  const budget = new CacheBudget({ maxBytes: 10_000, freshFor: 1000 });
  return { budget, cache: new FileCache<string>(budget) };
}

test('a value is fresh for its time and there after it', () => {
  const { budget, cache } = small();
  cache.put('a', 'x', 1, 5000);
  assert.equal(cache.fresh('a', 5999), 'x');
  assert.equal(cache.fresh('a', 6000), undefined);
  assert.equal(cache.get('a')?.value, 'x');
  cache.drop('a');
  assert.equal(cache.get('a'), undefined);
  assert.equal(budget.bytes, 0);
});

test('a value ages in the second half of its time, and is new again when it was checked', () => {
  const { cache } = small();
  cache.put('a', 'x', 1, 5000);
  assert.deepEqual([cache.get('a')?.ageingFrom, cache.get('a')?.freshUntil], [5500, 6000]);
  cache.put('a', 'x', 1, 5600);
  assert.deepEqual([cache.get('a')?.ageingFrom, cache.get('a')?.freshUntil], [6100, 6600]);
});

test('the bound holds; the least recently checked goes first', () => {
  const { budget, cache } = small();
  for (const key of ['a', 'b', 'c']) cache.put(key, key, 2000, 0);
  cache.put('a', 'a', 2000, 1);
  cache.put('d', 'd', 2000, 2);
  assert.deepEqual(['a', 'b', 'c', 'd'].map((key) => cache.get(key)?.value), ['a', undefined, 'c', 'd']); // biome-ignore format: one table
  assert.ok(budget.bytes <= 10_000);
  cache.put('huge', 'huge', 20_000, 3);
  assert.equal(cache.get('huge'), undefined);
  assert.equal(cache.get('a')?.value, 'a');
  for (let i = 0; i < 1000; i++) cache.put(`key ${i}`, '', 0, 4);
  assert.ok(budget.bytes <= 10_000);
});

test('caches with one budget make room for each other, and one that is closed keeps nothing', () => {
  const { budget, cache } = small();
  const other = new FileCache<number>(budget);
  cache.put('a', 'x', 5000, 0);
  other.put('a', 1, 5000, 1);
  assert.deepEqual([cache.get('a')?.value, other.get('a')?.value], [undefined, 1]);
  cache.put('b', 'y', 10, 2);
  other.close();
  assert.deepEqual([cache.get('b')?.value, other.get('a')?.value], ['y', undefined]);
  other.put('a', 2, 10, 3);
  assert.equal(other.get('a'), undefined);
  cache.drop('b');
  assert.equal(budget.bytes, 0);
});
