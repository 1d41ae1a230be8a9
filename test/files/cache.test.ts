import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FileCache } from '../../src/files/cache.ts';

test('a value is fresh for its time and stale after it', () => {
  const cache = new FileCache<string>({ maxBytes: 10_000, freshFor: 1000 });
  cache.put('a', 'x', 1, 5000);
  assert.equal(cache.fresh('a', 5999), 'x');
  assert.equal(cache.fresh('a', 6000), undefined);
  assert.equal(cache.stale('a'), 'x');
  cache.drop('a');
  assert.equal(cache.stale('a'), undefined);
  assert.equal(cache.bytes, 0);
});

test('a value ages in the second half of its time, until it is checked or stale', () => {
  const cache = new FileCache<string>({ maxBytes: 10_000, freshFor: 1000 });
  cache.put('a', 'x', 1, 5000);
  assert.deepEqual([5500, 5501, 5999, 6000].map((now) => cache.ageing('a', now)), [false, true, true, false]); // biome-ignore format: one table
  cache.put('a', 'x', 1, 5600);
  assert.equal(cache.ageing('a', 5999), false);
  assert.equal(cache.ageing('unknown', 5999), false);
});

test('the bound holds; the least recently checked goes first', () => {
  const cache = new FileCache<string>({ maxBytes: 10_000, freshFor: 1000 });
  for (const key of ['a', 'b', 'c']) cache.put(key, key, 2000, 0);
  cache.put('a', 'a', 2000, 1);
  cache.put('d', 'd', 2000, 2);
  assert.deepEqual(['a', 'b', 'c', 'd'].map((key) => cache.stale(key)), ['a', undefined, 'c', 'd']); // biome-ignore format: one table
  assert.ok(cache.bytes <= 10_000);
  cache.put('huge', 'huge', 20_000, 3);
  assert.equal(cache.stale('huge'), undefined);
  assert.equal(cache.stale('a'), 'a');
  for (let i = 0; i < 1000; i++) cache.put(`key ${i}`, '', 0, 4);
  assert.ok(cache.bytes <= 10_000);
});

test('what begins with a name goes together', () => {
  const cache = new FileCache<string>({ maxBytes: 10_000, freshFor: 1000 });
  for (const key of ['0 /\na', '0 /\nb', '0 /x\na']) cache.put(key, key, 10, 0);
  cache.dropAll('0 /\n');
  assert.deepEqual(['0 /\na', '0 /\nb', '0 /x\na'].map((key) => cache.stale(key)), [undefined, undefined, '0 /x\na']); // biome-ignore format: one table
});
