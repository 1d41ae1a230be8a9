import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalPath, requestHost } from '../../src/http/target.ts';

const PATHS: readonly [name: string, path: string, expected: string | undefined][] = [
  ['the root', '/', '/'],
  ['a plain path', '/a/b.html', '/a/b.html'],
  ['a last slash is kept', '/a/b/', '/a/b/'],
  ['slashes are merged', '//a///b//', '/a/b/'],
  ['only slashes', '///', '/'],
  ['dot segments go', '/a/./b/../c', '/a/c'],
  ['a last dot is a folder', '/a/.', '/a/'],
  ['a last dot-dot is a folder', '/a/b/..', '/a/'],
  ['a name with leading dots is a name', '/...', '/...'],
  ['a hidden file is a name', '/.well-known/x', '/.well-known/x'],
  ['escaped dots are dots', '/a/%2e%2e/b', '/b'],
  ['escaped letters are letters', '/%61%62%7E', '/ab~'],
  ['an escaped slash stays escaped', '/a%2fb', '/a%2Fb'],
  ['an escaped percent stays escaped, so nothing is decoded twice', '/a%252e', '/a%252e'],
  ['an escaped backslash stays', '/..%5c', '/..%5C'],
  ['UTF-8 stays escaped', '/%c3%a4', '/%C3%A4'],
  ['above the root', '/..', undefined],
  ['above the root, escaped', '/%2e%2e/etc/passwd', undefined],
  ['above the root, later', '/a/../../b', undefined],
  ['an escaped NUL', '/a%00b', undefined],
  ['a broken escape', '/a%2', undefined],
  ['an escape that is none', '/a%zz', undefined],
  ['a control character', '/a\x01', undefined],
  ['a space', '/a b', undefined],
  ['no slash first', 'a', undefined],
  ['empty', '', undefined],
];

for (const [name, path, expected] of PATHS) {
  test(`canonicalPath: ${name}: ${JSON.stringify(path)}`, () => {
    const canonical = canonicalPath(path);
    assert.equal(canonical, expected);
    if (canonical !== undefined)
      assert.equal(canonicalPath(canonical), canonical, 'a canonical path is its own canonical path');
  });
}

const HOSTS: readonly [field: string | undefined, expected: string | undefined][] = [
  [undefined, ''],
  ['', ''],
  ['Board.Local', 'board.local'],
  ['board.local.', 'board.local'],
  ['board.local:8080', 'board.local'],
  ['board.local:', 'board.local'],
  ['192.168.1.5:80', '192.168.1.5'],
  ['[::1]:80', '::1'],
  ['[FE80::1]', 'fe80::1'],
  ['a b', undefined],
  ['a/b', undefined],
  ['user@host', undefined],
  ['host:80:80', undefined],
  ['::1', undefined],
];

for (const [field, expected] of HOSTS) {
  test(`requestHost: ${JSON.stringify(field)}`, () => assert.equal(requestHost(field), expected));
}
