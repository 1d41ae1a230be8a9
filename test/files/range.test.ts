import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembled, contentRange, lengthOf, multipart, parseRange } from '../../src/files/range.ts';

test('ranges of a file of 100 bytes', async (t) => {
  const cases: readonly (readonly [field: string, result: string | readonly (readonly [number, number])[]])[] = [
    ['bytes=0-0', [[0, 0]]],
    ['bytes=0-', [[0, 99]]],
    ['bytes=0-99', [[0, 99]]],
    ['bytes=10-500', [[10, 99]]],
    ['bytes=99-', [[99, 99]]],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=100-200', 'unsatisfiable'],
    ['bytes=-1', [[99, 99]]],
    ['bytes=-100', [[0, 99]]],
    ['bytes=-1000', [[0, 99]]],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=-', 'whole'],
    ['bytes=', 'whole'],
    ['bytes', 'whole'],
    ['bytes=5-4', 'whole'],
    ['bytes=a-b', 'whole'],
    ['bytes=1-2-3', 'whole'],
    ['bytes=1.5-2', 'whole'],
    ['bytes=+1-2', 'whole'],
    ['bytes=0x1-2', 'whole'],
    ['lines=0-5', 'whole'],
    [' Bytes = 0-1 , 5-6', [[0, 1], [5, 6]]], // biome-ignore format: one row, one case
    ['bytes=0-1,,5-6,', [[0, 1], [5, 6]]], // biome-ignore format: one row, one case
    ['bytes=50-60,0-1,200-', [[50, 60], [0, 1]]], // biome-ignore format: one row, one case
    ['bytes=0-1,x', 'whole'],
    // Those that overlap or touch become one, in the place of the first of them
    ['bytes=0-4,5-9', [[0, 9]]],
    ['bytes=0-4,6-9', [[0, 4], [6, 9]]], // biome-ignore format: one row, one case
    ['bytes=5-9,0-6', [[0, 9]]],
    ['bytes=0-99,5-6,1-1', [[0, 99]]],
    ['bytes=-5,0-0,90-', [[90, 99], [0, 0]]], // biome-ignore format: one row, one case
    ['bytes=50-60,0-1,59-70,2-3,1-1', [[50, 70], [0, 3]]], // biome-ignore format: one row, one case
    ['bytes=20-29,0-9,10-19', [[0, 29]]],
    [`bytes=${Array.from({ length: 50 }, () => '0-').join()}`, [[0, 99]]],
    [`bytes=${Array.from({ length: 200 }, (_, i) => `${i}-${i}`).join()}`, 'whole'],
    ['bytes=99999999999999999999999-', 'unsatisfiable'],
    ['bytes=0-99999999999999999999999', [[0, 99]]],
    [`bytes=${'0-1,'.repeat(101)}`, 'whole'],
  ];
  for (const [field, expected] of cases) {
    await t.test(field.slice(0, 40), () => {
      const result = parseRange(field, 100);
      assert.deepEqual(typeof result === 'string' ? result : result.map(({ start, end }) => [start, end]), expected);
    });
  }
});

test('an empty file has no range', () => {
  assert.equal(parseRange('bytes=0-', 0), 'unsatisfiable');
  assert.equal(parseRange('bytes=-5', 0), 'unsatisfiable');
});

test('Content-Range', () => {
  assert.equal(contentRange({ start: 1, end: 2 }, 10), 'bytes 1-2/10');
  assert.equal(contentRange(undefined, 10), 'bytes */10');
});

test('two parts, byte by byte', () => {
  const ranges = [{ start: 5, end: 6 }, { start: 0, end: 0 }]; // biome-ignore format: one line
  const { contentType, pieces } = multipart(ranges, 'text/plain', 10, 'B');
  assert.equal(contentType, 'multipart/byteranges; boundary=B');
  const text =
    '--B\r\ncontent-type: text/plain\r\ncontent-range: bytes 5-6/10\r\n\r\n56\r\n' +
    '--B\r\ncontent-type: text/plain\r\ncontent-range: bytes 0-0/10\r\n\r\n0\r\n--B--\r\n';
  assert.equal(assembled(pieces, Buffer.from('0123456789')).toString(), text);
  assert.equal(lengthOf(pieces), text.length);
});

test('each answer has a boundary of its own', () => {
  const types = Array.from({ length: 100 }, () => multipart([{ start: 0, end: 0 }], 'a/b', 1).contentType);
  assert.equal(new Set(types).size, 100);
});
