/** The one form of a path: every spelling of it comes to the same, and nothing else does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asFolder,
  bytesOf,
  canonicalPath,
  canonicalText,
  pathOfFile,
  uriOf,
} from '../../src/routing/canonical-path.ts';

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
  ['an escaped backslash', '/..%5c', undefined],
  ['a backslash', '/..\\x', undefined],
  ['an escape of what stands as itself is decoded', '/%40admin/a%2Bb%3B%3d', '/@admin/a+b;='],
  ['what may not stand as itself is escaped', '/a"<>[]^`{|}b', '/a%22%3C%3E%5B%5D%5E%60%7B%7C%7Db'],
  ['the same when it was escaped', '/a%22%3c%3E%5b%5D%5e%60%7b%7C%7db', '/a%22%3C%3E%5B%5D%5E%60%7B%7C%7Db'],
  ['a space', '/my%20files/', '/my%20files/'],
  ['bytes above ASCII as they are', '/caf\xc3\xa9', '/caf%C3%A9'],
  ['a byte that is no UTF-8', '/caf\xe9', '/caf%E9'],
  ['the same escaped', '/caf%e9', '/caf%E9'],
  ['a question mark and a hash within', '/a%3fb%23c', '/a%3Fb%23c'],
  ['UTF-8 stays escaped', '/%c3%a4', '/%C3%A4'],
  ['above the root', '/..', undefined],
  ['above the root, escaped', '/%2e%2e/etc/passwd', undefined],
  ['above the root, later', '/a/../../b', undefined],
  ['an escaped NUL', '/a%00b', undefined],
  ['a broken escape', '/a%2', undefined],
  ['an escape that is none', '/a%zz', undefined],
  ['a control character', '/a\x01', undefined],
  ['an escaped control character', '/a%0d%0a', undefined],
  ['an escaped control character, the last one', '/a%1F', undefined],
  ['DEL', '/a\x7f', undefined],
  ['DEL, escaped', '/a%7F', undefined],
  ['a character that is more than a byte', '/\u0142', undefined],
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

const TEXTS: readonly [text: string, expected: string | undefined][] = [
  ['/@admin/', '/@admin/'],
  ['/a+b/', '/a+b/'],
  ['/café/', '/caf%C3%A9/'],
  ['/my files/', '/my%20files/'],
  ['/c++/', '/c++/'],
  ['/wärme', '/w%C3%A4rme'],
  ['/100%', '/100%25'],
  ['/%40', '/%2540'],
  ['/a?b#c', '/a%3Fb%23c'],
  ['/日本/', '/%E6%97%A5%E6%9C%AC/'],
  ['/a\tb', undefined],
  ['/a\\b', undefined],
];

for (const [text, expected] of TEXTS)
  test(`canonicalText: ${JSON.stringify(text)}`, () => {
    const path = canonicalText(text);
    assert.equal(path, expected);
    if (path !== undefined) assert.equal(decodeURIComponent(path), text, 'nothing is lost');
  });

test('a file is asked for by its path', () => {
  assert.equal(pathOfFile('errors/ä 404%.html'), 'errors/%C3%A4%20404%25.html');
  assert.throws(() => pathOfFile('../x'), RangeError);
});

test('a URI is made of ASCII', () => {
  const path = canonicalPath('/app');
  assert(path !== undefined);
  assert.equal(uriOf(asFolder(path), bytesOf('ö=//evil')), '/app/?%C3%B6=//evil');
  assert.equal(uriOf(asFolder(path), 'a\r\nb: c'), '/app/?a%0D%0Ab:%20c');
  assert.equal(uriOf(asFolder(asFolder(path)), ''), '/app/?');
  assert.equal(uriOf(path, undefined), '/app');
});
