import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembled, lengthOf, multipart } from '../../src/files/multipart.ts';

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
