import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Router } from '../../src/routing/router.ts';
import { pathOf } from '../support/call.ts';

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
    const match = router.find(host, pathOf(path));
    assert.equal(match?.value, key);
    assert.equal(match?.rest, rest);
    assert.equal(match?.needsSlash, false);
  });
}

test('router: a prefix without its slash is sent there', () => {
  assert.deepEqual(router.find('x', pathOf('/app')), { value: '/app/', path: '/app', rest: '', needsSlash: true });
});

test('router: a key and a request meet, however the request spells it', () => {
  const keys = ['/', '/@admin/', '/a+b/', '/café/', '/my files/', '/c++/', '/wärme', '/~ann/', '/a:b;c=d/'];
  const spelled = new Router(keys.map((key) => ({ key, value: key })));
  const cases: readonly [sent: string, key: string, rest: string][] = [
    ['/@admin/s.txt', '/@admin/', 's.txt'],
    ['/%40admin/s.txt', '/@admin/', 's.txt'],
    ['/%40%61dmin/%73.txt', '/@admin/', 's.txt'],
    ['/a+b/x', '/a+b/', 'x'],
    ['/a%2Bb/x', '/a+b/', 'x'],
    ['/a%2bb/x', '/a+b/', 'x'],
    ['/caf%C3%A9/x', '/café/', 'x'],
    ['/caf%c3%a9/x', '/café/', 'x'],
    ['/café/x', '/café/', 'x'],
    ['/caf%e9/x', '/', 'caf%E9/x'],
    ['/my%20files/x', '/my files/', 'x'],
    ['/c%2B%2B/x.cgi', '/c++/', 'x.cgi'],
    ['/c+%2b/x.cgi', '/c++/', 'x.cgi'],
    ['/w%C3%A4rme', '/wärme', ''],
    ['/%7Eann/x', '/~ann/', 'x'],
    ['/a%3ab%3Bc%3dd/', '/a:b;c=d/', ''],
    ['/@admin%2Fs.txt', '/', '@admin%2Fs.txt'],
  ];
  for (const [sent, key, rest] of cases) {
    const match = spelled.find('', pathOf(sent));
    assert.deepEqual([match?.value, match?.rest], [key, rest], sent);
  }
});

test('router: an exact route stands before the courtesy of a folder, whatever their hosts', () => {
  const find = (keys: readonly string[], path: string) => {
    const match = new Router(keys.map((key) => ({ key, value: key }))).find('board.local', pathOf(path));
    return [match?.value, match?.needsSlash];
  };
  for (const keys of [
    ['/live/', '/live', '/'],
    ['board.local/live/', '/live', '/'],
    ['/live/', 'board.local/live', '/live', '/'],
  ]) {
    const exact = keys.findLast((key) => key.endsWith('/live'));
    assert.deepEqual(find(keys, '/live'), [keys.includes('board.local/live') ? 'board.local/live' : exact, false]);
    assert.deepEqual(find(keys, '/live/'), [keys[0], false]);
  }
  assert.deepEqual(find(['/live/', '/'], '/live'), ['/live/', true]);
  assert.deepEqual(find(['/', 'other.local/live', '/live/'], '/live'), ['/live/', true]);
});

test('router: nothing matches', () => {
  assert.equal(new Router([{ key: '/a', value: 1 }]).find('', pathOf('/b')), undefined);
});

const parts = new Router([
  { key: '/', value: 'files' },
  { key: '/', value: 'programs', part: 'found' },
  { key: '/', value: 'stream', part: 'handshakes' },
  { key: '/app/', value: 'app' },
  { key: 'board.local/', value: 'board' },
]);

const PARTS: readonly [
  name: string,
  host: string,
  path: string,
  handshake: boolean,
  after: string | undefined,
  value: string | undefined,
][] = [
  ['a plain request: who may have something comes first', 'x', '/a', false, undefined, 'programs'],
  ['a handshake', 'x', '/a', true, undefined, 'stream'],
  ['what is not found is for the next one', 'x', '/a', false, 'programs', 'files'],
  ['a longer path wins, whatever part it takes', 'x', '/app/a', true, undefined, 'app'],
  ['after it comes a shorter one', 'x', '/app/a', false, 'app', 'programs'],
  ['a host wins', 'board.local', '/a', true, undefined, 'board'],
  ['there is none after the last', 'x', '/a', false, 'files', undefined],
  ['a route that has gone has none after it', 'x', '/a', false, 'gone', undefined],
];

for (const [name, host, path, handshake, after, value] of PARTS)
  test(`router: parts of one path: ${name}`, () =>
    assert.equal(parts.find(host, pathOf(path), handshake, after)?.value, value));
