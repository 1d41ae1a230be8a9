/** Frames of an upstream, in pieces of every size: the same messages, or the same mistake. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameError, FrameReader, FrameWriter, MAX_FRAME_HEAD, OPCODE } from '../../src/upstream/frames.ts';

const MAX = 100_000;

function frame(first: number, payload: Buffer | string): Buffer {
  const data = Buffer.from(payload);
  const head = [first];
  if (data.length < 126) head.push(data.length);
  else if (data.length < 65_536) head.push(126, data.length >> 8, data.length & 0xff);
  else head.push(127, 0, 0, 0, 0, 0, data.length >> 16, (data.length >> 8) & 0xff, data.length & 0xff);
  return Buffer.concat([Buffer.from(head), data]);
}

/** What a reader says of bytes that come in pieces of so many. */
function read(bytes: Buffer, size: number): readonly string[] {
  const said: string[] = [];
  const show = (data: Buffer): string => (data.length > 20 ? `${data.length} bytes` : data.toString('latin1'));
  const taker = {
    message: (data: Buffer, binary: boolean) => void said.push(`${binary ? 'binary' : 'text'} ${show(data)}`),
    ping: (data: Buffer) => void said.push(`ping ${show(data)}`),
  };
  const reader = new FrameReader(taker, MAX);
  try {
    // Copies, which are overwritten: nothing of a piece may be needed when the call has returned.
    for (let at = 0; at < bytes.length; at += size) {
      const piece = Buffer.from(bytes.subarray(at, at + size));
      reader.feed(piece);
      piece.fill(0xff);
    }
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    said.push(`error ${error.code}`);
  }
  if (reader.closing !== undefined) said.push(`close ${reader.closing.code} ${reader.closing.reason}`);
  return said;
}

const ROWS: { readonly [name: string]: readonly [bytes: readonly Buffer[], said: readonly string[]] } = {
  'text, binary, empty': [
    [frame(0x81, 'hi'), frame(0x82, Buffer.from([1])), frame(0x81, ''), frame(0x82, '')],
    ['text hi', 'binary \x01', 'text ', 'binary '],
  ],
  lengths: [
    [125, 126, 65_535, 65_536, MAX].map((length) => frame(0x82, Buffer.alloc(length))),
    [125, 126, 65_535, 65_536, MAX].map((length) => `binary ${length} bytes`),
  ],
  'fragments with a ping between them': [
    [frame(0x01, 'a'), frame(0x89, 'p'), frame(0x00, ''), frame(0x8a, ''), frame(0x80, 'b'), frame(0x81, 'c')],
    ['ping p', 'text ab', 'text c'],
  ],
  'a character in two fragments': [
    [frame(0x01, Buffer.from([0xc3])), frame(0x80, Buffer.from([0xa9]))],
    ['text \xc3\xa9'],
  ],
  'fragments without anything': [
    [frame(0x01, ''), frame(0x80, ''), frame(0x81, 'x')],
    ['text ', 'text x'],
  ],
  close: [[frame(0x88, Buffer.from('\x03\xe8bye', 'latin1')), frame(0x81, 'late')], ['close 1000 bye']],
  'close without a code': [[frame(0x88, '')], ['close 1005 ']],
  'half a code': [[frame(0x88, 'x')], ['error 1002']],
  'a code that is not sent': [[frame(0x88, Buffer.from([0x03, 0xed]))], ['error 1002']],
  'a reason that is no text': [[frame(0x88, Buffer.from([0x03, 0xe8, 0xff]))], ['error 1007']],
  'no text': [
    [frame(0x81, 'ok'), frame(0x81, Buffer.from([0xff]))],
    ['text ok', 'error 1007'],
  ],
  masked: [[Buffer.from([0x81, 0x81, 1, 2, 3, 4, 5])], ['error 1002']],
  'a reserved bit': [[frame(0xc1, 'x')], ['error 1002']],
  'an unknown kind': [[frame(0x83, 'x')], ['error 1002']],
  'an unknown control frame': [[frame(0x8b, '')], ['error 1002']],
  'a control frame in pieces': [[frame(0x09, '')], ['error 1002']],
  'a long control frame': [[frame(0x89, Buffer.alloc(126))], ['error 1002']],
  'a piece of nothing': [[frame(0x80, 'x')], ['error 1002']],
  'a message within another': [[frame(0x01, 'x'), frame(0x81, 'y')], ['error 1002']],
  'too large': [[frame(0x82, Buffer.alloc(MAX + 1))], ['error 1009']],
  'too large in pieces': [[frame(0x02, Buffer.alloc(MAX)), frame(0x80, 'x')], ['error 1009']],
  'too large by far': [[Buffer.from([0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])], ['error 1009']],
};

for (const [name, [frames, said]] of Object.entries(ROWS))
  test(`read: ${name}`, () => {
    const bytes = Buffer.concat(frames);
    const sizes = bytes.length > 1000 ? [bytes.length, 65_537, 4093, 7] : [bytes.length, 1, 2, 3, 5, 11];
    for (const size of sizes) assert.deepEqual(read(bytes, size), said, `pieces of ${size}`);
  });

test('memory follows what has come, not what was announced', () => {
  const before = process.memoryUsage().arrayBuffers;
  const reader = new FrameReader({ message: () => assert.fail(), ping: () => assert.fail() }, 1 << 30);
  reader.feed(Buffer.from([0x82, 127, 0, 0, 0, 0, 0x3f, 0, 0, 0, 1, 2, 3]));
  assert.ok(process.memoryUsage().arrayBuffers - before < 1 << 20);
});

test('written: the head, and a payload that only its mask opens', () => {
  const writer = new FrameWriter();
  const masks = new Set<string>();
  for (const length of [0, 1, 125, 126, 255, 256, 1027, 65_535, 65_536])
    for (const offset of [0, 1]) {
      const wanted = Buffer.from(Array.from({ length }, (_, at) => at & 0xff));
      const payload = Buffer.alloc(length + offset).subarray(offset);
      wanted.copy(payload);
      const into = Buffer.alloc(MAX_FRAME_HEAD + 3);
      const size = writer.writeHead(OPCODE.binary, payload, into, 3);
      const head = into.subarray(3, 3 + size);
      const mask = head.subarray(-4);
      masks.add(mask.toString('hex'));
      const unmasked = frame(0x82, wanted);
      const bare = unmasked.subarray(0, unmasked.length - length);
      bare[1] = (bare[1] ?? 0) | 0x80;
      assert.deepEqual(head.subarray(0, -4), bare);
      assert.deepEqual(
        payload.map((byte, at) => byte ^ (mask[at & 3] ?? 0)),
        wanted,
      );
    }
  assert.ok(masks.size > 15);
});
