import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { atPointer, cursorOf, joinQueries, withCursor } from '../../../../src/stream/sources/poll/cursor.ts';
import type { Json } from '../../../../src/stream/sources/poll/merge-patch.ts';

/** RFC 6901 section 5. */
const DOCUMENT: Json = {
  foo: ['bar', 'baz'],
  '': 0,
  'a/b': 1,
  'c%d': 2,
  'e^f': 3,
  'g|h': 4,
  'i\\j': 5,
  'k"l': 6,
  ' ': 7,
  'm~n': 8,
};

describe('a JSON pointer', () => {
  const cases: readonly (readonly [string, Json | undefined])[] = [
    ['', DOCUMENT],
    ['/foo', ['bar', 'baz']],
    ['/foo/0', 'bar'],
    ['/', 0],
    ['/a~1b', 1],
    ['/c%d', 2],
    ['/e^f', 3],
    ['/g|h', 4],
    ['/i\\j', 5],
    ['/k"l', 6],
    ['/ ', 7],
    ['/m~0n', 8],
    ['/foo/2', undefined],
    ['/foo/00', undefined],
    ['/foo/-', undefined],
    ['/foo/length', undefined],
    ['/nothing/below', undefined],
    ['/foo/0/0', undefined],
    ['/toString', undefined],
    ['/~01', undefined],
  ];
  for (const [pointer, expected] of cases)
    test(JSON.stringify(pointer), () => assert.deepEqual(atPointer(DOCUMENT, pointer), expected));
});

describe('a cursor', () => {
  const json = { header: undefined, json: '/next', query: 'after' };
  const header = { header: 'x-next', json: undefined, query: 'after' };
  const cases: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ['a string', cursorOf(json, [], { next: 'a b' }), 'a b'],
    ['a number', cursorOf(json, [], { next: 17 }), '17'],
    ['zero is one too', cursorOf(json, [], { next: 0 }), '0'],
    ['a truth value', cursorOf(json, [], { next: true }), 'true'],
    ['null is none', cursorOf(json, [], { next: null }), undefined],
    ['an object is none', cursorOf(json, [], { next: {} }), undefined],
    ['nothing is none', cursorOf(json, [], {}), undefined],
    ['"" is none', cursorOf(json, [], { next: '' }), undefined],
    ['no document', cursorOf(json, [['x-next', '3']], undefined), undefined],
    ['a header field', cursorOf(header, [['x-next', '3']], undefined), '3'],
    ['UTF-8 in a header field', cursorOf(header, [['x-next', '\u00c3\u00a4']], undefined), 'ä'],
    ['no header field', cursorOf(header, [], { next: 1 }), undefined],
  ];
  for (const [name, is, expected] of cases) test(name, () => assert.equal(is, expected));

  test('into the query', () => {
    assert.equal(withCursor('a=1&after=0&b=2&after=7', json, 'x/y z&'), 'a=1&b=2&after=x%2Fy%20z%26');
    assert.equal(withCursor('', json, '5'), 'after=5');
    assert.equal(withCursor('a=1&after=0', json, undefined), 'a=1&after=0');
    assert.equal(withCursor('a=1', undefined, '5'), 'a=1');
    assert.equal(withCursor('', json, '\ud800'), 'after=%EF%BF%BD');
    assert.equal(joinQueries('', 'a=1', '', 'b=2'), 'a=1&b=2');
  });
});
