/** The form of a history's files: what is written is read back, and nothing else is taken for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  crc32,
  encodeHeader,
  findRecord,
  HEADER_BYTES,
  KIND,
  parseHeader,
  parseRecord,
  putRecord,
  RECORD_BYTES,
} from '../../../src/stream/history/records.ts';

function record(sequence: number, text: string, time = 1_790_000_000_000): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES + Buffer.byteLength(text));
  putRecord(bytes, 0, KIND.text, sequence, time, Buffer.from(text));
  return bytes;
}

test('the checksum is that of zlib', () => {
  const cases: readonly (readonly [text: string, sum: number])[] = [
    ['', 0],
    ['a', 0xe8b7be43],
    ['123456789', 0xcbf43926],
    ['The quick brown fox jumps over the lazy dog', 0x414fa339],
  ];
  for (const [text, sum] of cases) assert.equal(crc32(Buffer.from(text), 0, Buffer.byteLength(text)), sum, text);
  assert.equal(crc32(Buffer.from('x123456789x'), 1, 10), 0xcbf43926);
});

test('a header comes back, and no byte of it may be another', () => {
  const header = { epoch: 'm4x8abc123', first: 2 ** 40, skipped: 65_536, time: 1_790_000_000_000 };
  const bytes = encodeHeader(header);
  assert.equal(bytes.length, HEADER_BYTES);
  assert.deepEqual(parseHeader(bytes), header);
  for (let at = 0; at < HEADER_BYTES; at++) {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at);
    assert.equal(parseHeader(damaged), undefined, `byte ${at}`);
  }
  assert.equal(parseHeader(bytes.subarray(0, HEADER_BYTES - 1)), undefined);
});

test('a record comes back, and no byte of it may be another', () => {
  const bytes = record(7, 'tea is ready');
  const found = parseRecord(bytes, 0);
  assert(typeof found === 'object');
  const { kind, sequence, time, data, end } = found;
  assert.deepEqual(
    [kind, sequence, time, data.toString(), end],
    [KIND.text, 7, 1_790_000_000_000, 'tea is ready', bytes.length],
  );
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    assert.notEqual(typeof parseRecord(damaged, 0), 'object', `byte ${at}`);
    assert.notEqual(typeof parseRecord(bytes.subarray(0, at), 0), 'object', `cut at ${at}`);
  }
});

test('a time that nobody knew stays unknown', () => {
  const found = parseRecord(record(1, 'x', Number.NaN), 0);
  assert(typeof found === 'object');
  assert.ok(Number.isNaN(found.time));
});

test('behind damage the next record is found, and none that is older', () => {
  const next = record(9, 'next');
  for (const rubbish of [Buffer.alloc(300), Buffer.alloc(300, 0xff), record(3, 'an old one'), Buffer.from('\x00\x01')])
    assert.equal(findRecord(Buffer.concat([rubbish, next]), 0, 8), rubbish.length);
  assert.equal(findRecord(Buffer.alloc(5000), 0, 8), undefined);
  assert.equal(findRecord(record(3, 'an old one'), 0, 8), undefined);
});
