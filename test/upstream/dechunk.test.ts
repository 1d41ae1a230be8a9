/** Documents that programs have chunked themselves: every split, every mistake. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ChunkError, Dechunker } from '../../src/upstream/dechunk.ts';

function fed(...pieces: readonly string[]): { readonly text: string; readonly over: boolean } {
  const dechunker = new Dechunker();
  const parts = pieces.flatMap((piece) => [...dechunker.feed(Buffer.from(piece, 'latin1'))]);
  return { text: Buffer.concat(parts).toString('latin1'), over: dechunker.over };
}

const RIGHT: readonly (readonly [name: string, wire: string, text: string, over: boolean])[] = [
  ['chunks', '3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n', 'abc0123456789abcdef', true],
  ['nothing', '0\r\n\r\n', '', true],
  ['bare LF', '3\nabc\n0\n\n', 'abc', true],
  ['extensions', '3;a=b\r\nabc\r\n0;c\r\n\r\n', 'abc', true],
  ['a trailer', '1\r\na\r\n0\r\nX: y\r\nZ: w\r\n\r\n', 'a', true],
  ['line breaks in the data', '4\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n\r\n', true],
  ['upper and lower case', 'A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n', '01234567890123456789', true],
  ['more after its end', '1\r\na\r\n0\r\n\r\nmore', 'a', true],
  ['no end', '3\r\nabc\r\n', 'abc', false],
  ['half a chunk', '3\r\nab', 'ab', false],
];

for (const [name, wire, text, over] of RIGHT) {
  test(`${name}, at every split`, () => {
    for (let at = 0; at <= wire.length; at++) assert.deepEqual(fed(wire.slice(0, at), wire.slice(at)), { text, over });
    assert.deepEqual(fed(...wire), { text, over });
  });
}

const WRONG: readonly (readonly [name: string, wire: string, message: RegExp])[] = [
  ['no size', 'hello\r\n', /not the size of a chunk: "hello"/],
  ['an empty size', '\r\n', /not the size/],
  ['a negative size', '-1\r\n', /not the size/],
  ['a size that no number holds', `${'f'.repeat(13)}\r\n`, /not the size/],
  ['a chunk that is longer than it says', '2\r\nabc\r\n', /longer than its stated size/],
  ['a line without end', '1;'.padEnd(5000, 'x'), /too long/],
];

for (const [name, wire, message] of WRONG) {
  test(`refused: ${name}`, () => {
    for (const at of [0, 1, 2, 3, wire.length]) {
      assert.throws(
        () => fed(wire.slice(0, at), wire.slice(at)),
        (error) => error instanceof ChunkError && message.test(error.message),
      );
    }
  });
}
