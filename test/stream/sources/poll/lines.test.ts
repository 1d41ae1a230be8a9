import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { linesOf, newLines, overlap } from '../../../../src/stream/sources/poll/lines.ts';

describe('new lines', () => {
  const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
    ['nothing new', 'a\nb\n', 'a\nb\n', []],
    ['a text that grows', 'a\nb\n', 'a\nb\nc\nd\n', ['c', 'd']],
    ['a window that slides', 'a\nb\nc\n', 'b\nc\nd\n', ['d']],
    ['a window that slides far', 'a\nb\nc\n', 'c\nd\ne\n', ['d', 'e']],
    ['a whole replacement', 'a\nb\n', 'x\ny\n', ['x', 'y']],
    ['a text whose end was cut off', 'a\nb\nc\n', 'a\nb\n', ['a', 'b']],
    ['a text whose beginning was cut off', 'a\nb\nc\n', 'b\nc\n', []],
    ['equal lines: the longest overlap counts', 'a\na\na\n', 'a\na\na\na\n', ['a']],
    ['a window of equal lines that has not moved', 'a\na\n', 'a\na\n', []],
    ['a pattern that begins again', 'a\nb\na\n', 'a\nb\na\nc\n', ['c']],
    ['a pattern that begins again, slid', 'x\na\nb\na\n', 'a\nb\na\nc\n', ['c']],
    ['an end that is nearly a beginning', 'a\nb\na\nb\n', 'a\nb\nc\n', ['c']],
    ['from nothing', '', 'a\n', ['a']],
    ['empty lines are lines', 'a\n', 'a\n\n\nb\n', ['', '', 'b']],
    ['CRLF', 'a\r\nb\r\n', 'a\r\nb\r\nc\r\n', ['c']],
    ['a last line without its end, unchanged', 'a\nb', 'a\nb', []],
    ['a last line that was ended', 'a\nb', 'a\nb\n', []],
    ['a last line that went on', 'a\nb', 'a\nbc\nd\n', ['bc', 'd']],
    ['a last line that went on and looks like the first', 'a\nb\na', 'a\nb\nab\nc\n', ['ab', 'c']],
    ['the only line goes on', 'a', 'ab', ['ab']],
    ['no end before and none now', 'a\nb', 'a\nb\nc', ['c']],
  ];
  for (const [name, before, now, expected] of cases)
    test(name, () => assert.deepEqual(newLines(before, now), expected));

  test('lines', () => {
    assert.deepEqual(linesOf(''), []);
    assert.deepEqual(linesOf('\n'), ['']);
    assert.deepEqual(linesOf('a\r\nb'), ['a', 'b']);
  });
});

test('the overlap is the longest one, against the obvious way', () => {
  let seed = 3;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor((seed / 2147483648) * below);
  };
  for (let round = 0; round < 3000; round++) {
    const [before, now] = [0, 0].map(() => Array.from({ length: random(8) }, () => 'ab'[random(2)] ?? 'a'));
    assert.ok(before !== undefined && now !== undefined);
    let longest = Math.min(before.length, now.length);
    while (longest > 0 && before.slice(before.length - longest).join() !== now.slice(0, longest).join()) longest--;
    assert.equal(overlap(before, now), longest, `${before.join('')} ${now.join('')}`);
  }
});

test('two texts of 200,000 equal lines take no time to speak of', () => {
  const many = 'same\n'.repeat(200_000);
  assert.deepEqual(newLines(many, `${many}new\n`), ['new']);
  assert.deepEqual(newLines(`${many}x\n`, many), linesOf(many));
});
