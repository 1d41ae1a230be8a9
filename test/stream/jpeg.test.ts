/** Pictures out of bytes: whole ones, whatever lies in them, between them, and wherever a read ends. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JpegDecoder, type Losses } from '../../src/stream/jpeg.ts';
import { picture, segment } from '../support/jpeg.ts';

const bytes = (...parts: (Buffer | string | readonly number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))));

const RED = picture([255, 0, 0]);
const BLUE = picture([0, 0, 255]);
/** As cameras and telephones have it: a small picture inside of the head of a large one. */
const WITH_THUMBNAIL = picture([0, 255, 0], { segments: segment(0xe1, bytes('Exif\0\0', RED)) });
/** What is right by its markers, whether or not it shows anything. */
const marked = (...parts: (Buffer | readonly number[])[]): Buffer => bytes([0xff, 0xd8], ...parts, [0xff, 0xd9]);
const HEADER = segment(0xdb, Buffer.alloc(3, 7));
const SCAN = segment(0xda, Buffer.alloc(2, 1));

const NOTHING_LOST: Losses = { tooLarge: 0, stray: 0 };

interface Row {
  readonly name: string;
  readonly input: Buffer;
  readonly expected: readonly Buffer[];
  readonly lost?: Partial<Losses>;
  readonly max?: number;
}

const stuffed = marked(HEADER, SCAN, [1, 0xff, 0x00, 2, 0xff, 0x00]);
const restarts = marked(HEADER, SCAN, [1, 0xff, 0xd0, 2, 0xff, 0xd7, 0xff, 0x00, 3]);
const progressive = marked(HEADER, SCAN, [1, 2, 0xff, 0xd3, 4], segment(0xc4, bytes([9, 9])), SCAN, [5, 6], SCAN, [7]);
const filled = marked([0xff, 0xff], HEADER, [0xff], SCAN, [1, 0xff, 0xff, 0xff]);
const markersInside = marked(segment(0xe2, bytes([0xff, 0xd9, 0xff, 0xd8, 0xff, 0xda])), HEADER, SCAN, [1]);
const lengthless = marked([0xff, 0x01], HEADER, SCAN, [1]);
const emptySegment = marked([0xff, 0xe0, 0, 2], HEADER, SCAN, [3]);
const brokenLength = bytes([0xff, 0xd8, 0xff, 0xe0, 0, 1, 5, 5]);

const ROWS: readonly Row[] = [
  { name: 'nothing', input: bytes(), expected: [] },
  { name: 'one', input: RED, expected: [RED] },
  { name: 'two', input: bytes(RED, BLUE), expected: [RED, BLUE] },
  { name: 'with a thumbnail', input: bytes(WITH_THUMBNAIL, BLUE), expected: [WITH_THUMBNAIL, BLUE] },
  { name: 'FF in the data', input: bytes(stuffed, RED), expected: [stuffed, RED] },
  { name: 'restart markers', input: bytes(restarts), expected: [restarts] },
  { name: 'several scans with tables between them', input: progressive, expected: [progressive] },
  { name: 'FF that fill up before markers', input: bytes(filled, RED), expected: [filled, RED] },
  { name: 'markers inside of a segment', input: markersInside, expected: [markersInside] },
  { name: 'a marker without a length', input: lengthless, expected: [lengthless] },
  { name: 'a segment of nothing', input: emptySegment, expected: [emptySegment] },
  { name: 'no scan at all', input: marked(HEADER), expected: [marked(HEADER)] },
  {
    name: 'garbage before, between and behind',
    input: bytes('xy', RED, 'z', BLUE, '\0\0\0'),
    expected: [RED, BLUE],
    lost: { stray: 3 },
  },
  {
    name: 'garbage that looks like a beginning',
    input: bytes([0xff, 0xff, 0xd8, 1], RED),
    expected: [RED],
    lost: { stray: 1 },
  },
  { name: 'FF before a picture', input: bytes([0xff, 0xff], RED), expected: [RED] },
  { name: 'FF and something else', input: bytes([0xff, 0x41], RED), expected: [RED], lost: { stray: 1 } },
  { name: 'the rest of a picture first', input: bytes(stuffed.subarray(9), RED), expected: [RED], lost: { stray: 1 } },
  { name: 'broken off in its data', input: bytes(stuffed.subarray(0, -3), RED), expected: [RED], lost: { stray: 1 } },
  { name: 'broken off at its beginning', input: bytes([0xff, 0xd8], RED), expected: [RED], lost: { stray: 1 } },
  { name: 'broken off at the end', input: bytes(RED, BLUE.subarray(0, -1)), expected: [RED], lost: { stray: 1 } },
  { name: 'a length that is none', input: bytes(brokenLength, RED), expected: [RED], lost: { stray: 1 } },
  {
    name: 'FF 00 where a marker belongs',
    input: bytes([0xff, 0xd8, 0xff, 0x00, 3], RED),
    expected: [RED],
    lost: { stray: 1 },
  },
  { name: 'exactly the largest', input: bytes(RED, BLUE), expected: [RED, BLUE], max: RED.length },
  {
    name: 'one too large between two',
    input: bytes(RED, WITH_THUMBNAIL, BLUE),
    expected: [RED, BLUE],
    lost: { tooLarge: 1 },
    max: BLUE.length,
  },
  {
    name: 'one too large that breaks off',
    input: bytes(picture([9, 9, 9], { padding: 900 }).subarray(0, -2), RED),
    expected: [RED],
    lost: { tooLarge: 1 },
    max: RED.length,
  },
  {
    name: 'parts of a camera, taken for bytes',
    input: bytes('--b\r\nContent-Type: image/jpeg\r\n\r\n', RED, '\r\n--b\r\n\r\n', BLUE, '\r\n--b--\r\n'),
    expected: [RED, BLUE],
    lost: { stray: 3 },
  },
];

function decode(pieces: Iterable<Buffer>, max = 1 << 20): { pictures: Buffer[]; lost: Losses } {
  const decoder = new JpegDecoder(max);
  const pictures: Buffer[] = [];
  let lost = NOTHING_LOST;
  const count = (): void => {
    const { tooLarge, stray } = decoder.takeLosses() ?? NOTHING_LOST;
    lost = { tooLarge: lost.tooLarge + tooLarge, stray: lost.stray + stray };
  };
  for (const piece of pieces) {
    // A read is a Buffer of its own, and what is behind it is somebody else's.
    pictures.push(...decoder.push(Buffer.from(piece)));
    count();
  }
  pictures.push(...decoder.end());
  count();
  return { pictures, lost };
}

/** In one piece, at every split into two, and in pieces of one to nine bytes. */
function* splits(input: Buffer): IterableIterator<readonly Buffer[]> {
  yield [input];
  for (let at = 1; at < input.length; at++) yield [input.subarray(0, at), input.subarray(at)];
  for (let size = 1; size < 10; size++) yield pieces(input, size);
}

function pieces(input: Buffer, size: number): readonly Buffer[] {
  return Array.from({ length: Math.ceil(input.length / size) }, (_, at) => input.subarray(at * size, (at + 1) * size));
}

describe('pictures at every split', () => {
  for (const { name, input, expected, lost, max } of ROWS)
    test(name, () => {
      for (const split of splits(input)) {
        const got = decode(split, max);
        assert.deepEqual(got.pictures, expected);
        assert.deepEqual(got.lost, { ...NOTHING_LOST, ...lost });
      }
    });
});

test('one picture in two hundred reads, and two hundred in one', () => {
  const large = picture([1, 2, 3], { padding: 150_000 });
  assert.deepEqual(decode(pieces(large, Math.ceil(large.length / 200))).pictures, [large]);
  const { pictures, lost } = decode([Buffer.concat(Array(200).fill(RED))]);
  assert.equal(pictures.length, 200);
  assert.ok(pictures.every((each) => each.equals(RED)));
  assert.deepEqual(lost, NOTHING_LOST);
});

test('what came in one read is not copied', () => {
  const read = bytes(RED, BLUE);
  const [first, second] = new JpegDecoder(1 << 20).push(read);
  assert.deepEqual([first?.buffer, second?.buffer], [read.buffer, read.buffer]);
});

/** Bytes outside of the heap that are held when `feed` is over. */
function heldBy(feed: (decoder: JpegDecoder) => void): number {
  globalThis.gc?.();
  const before = process.memoryUsage().arrayBuffers;
  const decoder = new JpegDecoder(4 << 20);
  feed(decoder);
  globalThis.gc?.();
  const held = process.memoryUsage().arrayBuffers - before;
  // It must live until here.
  assert.ok(decoder.takeLosses() !== undefined);
  return held;
}

test('a picture of 50 MB is passed over, and the next one comes', () => {
  const decoder = new JpegDecoder(4 << 20);
  decoder.push(bytes([0xff, 0xd8], HEADER, SCAN));
  const data = Buffer.alloc(50_000, 0x55);
  for (let sent = 0; sent < 50e6; sent += data.length) assert.deepEqual(decoder.push(data), []);
  assert.deepEqual(decoder.push(bytes([0xff, 0xd9], RED)), [RED]);
  assert.deepEqual(decoder.takeLosses(), { tooLarge: 1, stray: 0 });
});

test('garbage without an end, a scan without an end, and beginnings without an end hold nothing', () => {
  const garbage = Buffer.alloc(64 * 1024, 'x');
  const beginnings = Buffer.alloc(64 * 1024, bytes([0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 1]));
  // Without a look at the memory where the test runner has no gc: then that it ends at all.
  const most = globalThis.gc === undefined ? Number.POSITIVE_INFINITY : 12 << 20;
  const feed = (first: Buffer, chunk: Buffer) => (decoder: JpegDecoder) => {
    decoder.push(first);
    for (let round = 0; round < 1000; round++) decoder.push(Buffer.from(chunk));
  };
  assert.ok(heldBy(feed(bytes('x'), garbage)) < most);
  assert.ok(heldBy(feed(bytes([0xff, 0xd8], HEADER, SCAN), garbage)) < most);
  assert.ok(heldBy(feed(bytes('x'), beginnings)) < most);
});

/** xorshift32: the same numbers each time. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

test('random bytes and random splits: what comes is the same, and whole', () => {
  const ALPHABET = [0xff, 0xff, 0xd8, 0xd9, 0xda, 0xd0, 0x00, 0x00, 0x02, 0x03, 0xe1, 0x41];
  for (let seed = 1; seed <= 300; seed++) {
    const random = numbers(seed);
    const noise = (): Buffer =>
      Buffer.from(Array.from({ length: random(60) }, () => ALPHABET[random(ALPHABET.length)] ?? 0));
    const input = bytes(
      noise(),
      RED,
      noise(),
      stuffed,
      noise(),
      WITH_THUMBNAIL.subarray(0, random(900)),
      BLUE,
      noise(),
    );
    const whole = decode([input], 700);
    const cut: Buffer[] = [];
    for (let at = 0; at < input.length; ) {
      const end = at + 1 + random(40);
      cut.push(input.subarray(at, end));
      at = end;
    }
    assert.deepEqual(decode(cut, 700), whole, `seed ${seed}`);
    for (const each of whole.pictures) {
      assert.ok(each.length <= 700);
      assert.deepEqual([each.readUInt16BE(0), each.readUInt16BE(each.length - 2)], [0xffd8, 0xffd9]);
    }
  }
});
