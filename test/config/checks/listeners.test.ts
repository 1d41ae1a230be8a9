import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { overlap } from '../../../src/config/checks/listeners.ts';
import { parseAddress } from '../../../src/config/values/simple.ts';

describe('two listeners', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    [':80', ':80', true],
    [':80', ':81', false],
    [':80', '[::]:80', true],
    [':80', '0.0.0.0:80', true],
    ['[::]:80', '127.0.0.1:80', true],
    ['[::]:80', '[::1]:80', true],
    ['[0::0]:80', '[::1]:80', true],
    ['0.0.0.0:80', '127.0.0.1:80', true],
    ['0.0.0.0:80', '[::1]:80', false],
    ['0.0.0.0:80', '[::ffff:127.0.0.1]:80', true],
    ['127.0.0.1:80', '[::ffff:127.0.0.1]:80', true],
    ['127.0.0.1:80', '[::ffff:7f00:1]:80', true],
    ['127.0.0.1:80', '127.0.0.2:80', false],
    ['127.0.0.1:80', '[::1]:80', false],
    ['[2001:db8::a]:80', '[2001:DB8:0:0::A]:80', true],
    [':0', ':0', false],
    ['127.0.0.1:0', '127.0.0.1:0', false],
    ['unix:/a/b', 'unix:/a/./b', true],
    ['unix:/a/b', 'unix:b', true],
    ['unix:/a/b', 'unix:/a/c', false],
    ['unix:/a/b', ':80', false],
  ];
  for (const [one, other, expected] of cases)
    test(`${one} and ${other}`, () => {
      const [a, b] = [parseAddress(one, '/a'), parseAddress(other, '/a')];
      assert(a !== undefined && b !== undefined);
      assert.equal(overlap(a, b), expected);
      assert.equal(overlap(b, a), expected);
    });
});
