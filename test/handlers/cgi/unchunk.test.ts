/** Documents of programs that say they are chunked: those that are, those that are not, at every split. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Unchunker } from '../../../src/handlers/cgi/unchunk.ts';

function read(...pieces: readonly string[]): string {
  const unchunker = new Unchunker();
  let text = '';
  for (const piece of pieces) {
    const { bytes, over, wrong } = unchunker.feed(Buffer.from(piece, 'latin1'));
    text += bytes.toString('latin1');
    if (wrong !== undefined) return `${text}|wrong`;
    if (over) return `${text}|over`;
  }
  const { bytes, wrong } = unchunker.end();
  return `${text}${bytes.toString('latin1')}|${wrong === undefined ? 'over' : 'wrong'}`;
}

const LONG = 'a'.repeat(100_000);
const CASES: readonly (readonly [name: string, written: string, read: string])[] = [
  ['chunks', '3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: x\r\n\r\n', 'abcde|over'],
  ['chunks with LF', '3\nabc\n0\n\n', 'abc|over'],
  ['an empty document', '0\r\n\r\n', '|over'],
  ['an empty document without its last line', '0\r\n', '|over'],
  ['chunks without an end', '3\r\nabc\r\n', 'abc|wrong'],
  ['half a first chunk', '5\r\nabc', 'abc|wrong'],
  ['wrong after a right one', '3\r\nabc\r\n1\r\nde', 'abcd|wrong'],
  ['a page', '<html>\r\n<p>hi', '<html>\r\n<p>hi|over'],
  ['a line without end', 'hello', 'hello|over'],
  ['a word that could be a size', 'add', 'add|over'],
  ['a word in a line', 'add\nmore\n', 'add\nmore\n|over'],
  ['a number in a line', '42\n', '42\n|over'],
  ['nothing in a line', '0\n', '0\n|over'],
  ['a size that is too small', '2\r\nhalf', '2\r\nhalf|over'],
  ['a size that is too large', '9\nhalf\n', '9\nhalf\n|over'],
  ['nothing', '', '|over'],
  ['an empty line first', '\r\nhi', '\r\nhi|over'],
  ['a long first line', `${LONG}\n`, `${LONG}\n|over`],
  ['a long chunk', `186a0\r\n${LONG}\r\n0\r\n\r\n`, `${LONG}|over`],
];

for (const [name, written, expected] of CASES)
  test(name, () => {
    assert.equal(read(written), expected);
    if (written.length > 1000) return;
    for (let at = 0; at <= written.length; at++)
      assert.equal(read(written.slice(0, at), written.slice(at)), expected, `${at}`);
    assert.equal(read(...written), expected);
  });
