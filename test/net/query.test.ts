import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hideValues } from '../../src/net/query.ts';

for (const [query, expected] of [
  ['', ''],
  ['a=1&b', 'a=1&b'],
  ['token=1', 'token=(hidden)'],
  ['a=1&access_token=2&b=3', 'a=1&access_token=(hidden)&b=3'],
  ['token=a=b?c#token=d', 'token=(hidden)#token=(hidden)'],
  ['%74oken=1&to%6Ben=2', '%74oken=(hidden)&to%6Ben=(hidden)'],
  ['%zztoken=1', '%zztoken=(hidden)'],
  ['token&=1&tokens=2', 'token&=1&tokens=2'],
] as const)
  test(`values that are hidden: "${query}"`, () => assert.equal(hideValues(query, /token$/), expected));
