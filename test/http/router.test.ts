import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Router } from '../../src/http/router.ts';

const router = new Router(
  ['/', '/app/', '/app/deep/', '/app/exact', '/live', 'board.local/', 'board.local/app/', 'Other.Local/only'].map(
    (key) => ({ key, value: key }),
  ),
);

const CASES: readonly [name: string, host: string, path: string, key: string | undefined, rest: string][] = [
  ['the root takes what nobody else takes', 'x', '/nothing', '/', 'nothing'],
  ['a prefix', 'x', '/app/a/b', '/app/', 'a/b'],
  ['the longest prefix', 'x', '/app/deep/a', '/app/deep/', 'a'],
  ['an exact path before a prefix', 'x', '/app/exact', '/app/exact', ''],
  ['an exact path is not a prefix', 'x', '/live/more', '/', 'live/more'],
  ['a prefix ends at a slash', 'x', '/application', '/', 'application'],
  ['a host', 'board.local', '/x', 'board.local/', 'x'],
  ['a host with the same path wins', 'board.local', '/app/x', 'board.local/app/', 'x'],
  ['a longer path without a host wins', 'board.local', '/app/deep/x', '/app/deep/', 'x'],
  ['host names are compared in lower case', 'other.local', '/only', 'Other.Local/only', ''],
  ['another host does not match', 'x', '/only', '/', 'only'],
  ['no host', '', '/', '/', ''],
];

for (const [name, host, path, key, rest] of CASES) {
  test(`router: ${name}`, () => {
    const match = router.find(host, path);
    assert.equal(match?.value, key);
    assert.equal(match?.rest, rest);
    assert.equal(match?.needsSlash, false);
  });
}

test('router: a prefix without its slash is sent there', () => {
  assert.deepEqual(router.find('x', '/app'), { value: '/app/', rest: '', base: '/app/', needsSlash: true });
});

test('router: nothing matches', () => {
  assert.equal(new Router([{ key: '/a', value: 1 }]).find('', '/b'), undefined);
});
