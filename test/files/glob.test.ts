import assert from 'node:assert/strict';
import { test } from 'node:test';
import { globMatcher } from '../../src/files/glob.ts';

const CASES: readonly (readonly [pattern: string, fits: readonly string[], not: readonly string[]])[] = [
  ['*.css', ['a.css', 'x/y/a.css', '.css'], ['a.css.br', 'a.scss/b', 'acss']],
  ['index.html', ['index.html', 'sub/index.html'], ['xindex.html', 'index.html/x']],
  ['**', ['a', 'a/b/c', 'line\nbreak'], []],
  ['*', ['a', 'a/b/c'], []],
  ['assets/*', ['assets/a.js'], ['assets/x/a.js', 'assets', 'x/assets/a.js']],
  ['assets/**', ['assets/a.js', 'assets/x/y/a.js'], ['assets', 'assetsx/a', 'x/assets/a']],
  ['**/img/*.png', ['img/a.png', 'x/img/a.png', 'x/y/img/a.png'], ['img/x/a.png', 'ximg/a.png']],
  ['a/**/z', ['a/z', 'a/b/z', 'a/b/c/z'], ['az', 'a/bz', 'b/z']],
  ['a?c', ['abc', 'x/a😀c'], ['ac', 'a/c', 'abbc']],
  ['*.{js,css,m?s}', ['a.js', 'a.css', 'a.mjs'], ['a.ts', 'a.', 'a.{js']],
  ['{a,b/*}', ['a', 'b/c'], ['c', 'b']],
  ['a.b', ['a.b'], ['axb']],
  ['a,b', ['a,b'], ['a', 'b']],
  ['[ab]+(c)|^$\\', ['[ab]+(c)|^$\\'], ['a', 'ab']],
  ['', [''], ['a']],
];

for (const [pattern, fits, not] of CASES) {
  test(`"${pattern}"`, () => {
    const matches = globMatcher(pattern);
    for (const path of fits) assert.ok(matches(path), path);
    for (const path of not) assert.ok(!matches(path), path);
  });
}
