/** Multipart bodies as cameras write them, at every split. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpstreamError } from '../../src/upstream/faults.ts';
import { boundaryOf, MultipartReader } from '../../src/upstream/multipart.ts';

/** Bytes that look like an end of a line, a boundary and its beginning. */
const PICTURE = Buffer.from('\xff\xd8\r\n--fra\n--\r\n\n\r-\xff\xd9\r\n', 'latin1').toString('latin1');
const SMALL = 'x';

const LENGTH = (data: string): string =>
  `Content-Type: image/jpeg\r\nContent-Length: ${data.length}\r\n\r\n${data}\r\n`;
const BARE = (data: string): string => `Content-Type: image/jpeg\r\n\r\n${data}\r\n`;

const CASES: readonly (readonly [name: string, boundary: string, body: string])[] = [
  ['as the RFC has it', 'frame', `--frame\r\n${LENGTH(PICTURE)}--frame\r\n${LENGTH(SMALL)}--frame--\r\n`],
  ['without lengths', 'frame', `--frame\r\n${BARE(PICTURE)}--frame\r\n${BARE(SMALL)}--frame--\r\n`],
  ['a line end and words before the first', 'frame', `hello\r\n\r\n--frame\r\n${BARE(PICTURE)}--frame\r\n${BARE(SMALL)}--frame--`],
  ['declared with its dashes', '--frame', `--frame\r\n${BARE(PICTURE)}--frame\r\n${LENGTH(SMALL)}--frame\r\n`],
  ['sent with two dashes more', 'frame', `----frame\r\n${BARE(PICTURE)}----frame\r\n${BARE(SMALL)}----frame\r\n`],
  ['sent with two dashes less', '--frame', `frame\r\n${LENGTH(PICTURE)}frame\r\n${LENGTH(SMALL)}frame\r\n`],
  ['LF alone', 'frame', `--frame\r\n${BARE(PICTURE)}--frame\r\n${BARE(SMALL)}--frame--\r\n`.replaceAll('\r\nContent', '\nContent').replaceAll('jpeg\r\n\r\n', 'jpeg\n\n')],
  ['no line end behind a body with a length', 'frame', `--frame\r\n${LENGTH(PICTURE).slice(0, -2)}--frame\r\n${LENGTH(SMALL).slice(0, -2)}--frame\r\n`],
  ['white space behind boundaries', 'frame', `--frame  \r\n${BARE(PICTURE)}--frame\t\r\n${BARE(SMALL)}--frame-- \r\n`],
  ['a length of 0 that is not meant', 'frame', `--frame\r\nContent-Length: 0\r\n${BARE(PICTURE)}--frame\r\n${BARE(SMALL)}--frame\r\n`],
  ['empty parts between', 'frame', `--frame\r\n${BARE(PICTURE)}--frame\r\n\r\n--frame\r\n\r\n\r\n--frame\r\n${LENGTH(SMALL)}--frame\r\n`],
]; // biome-ignore format: a table

function read(boundary: string, pieces: readonly Buffer[], max = 1000) {
  const reader = new MultipartReader(boundary, max);
  return { reader, parts: pieces.flatMap((piece) => reader.push(piece).map(({ data }) => data.toString('latin1'))) };
}

for (const [name, boundary, body] of CASES)
  test(`parts: ${name}`, () => {
    const bytes = Buffer.from(body, 'latin1');
    assert.deepEqual(read(boundary, [bytes]).parts, [PICTURE, SMALL]);
    for (let at = 1; at < bytes.length; at++)
      assert.deepEqual(
        read(boundary, [bytes.subarray(0, at), bytes.subarray(at)]).parts,
        [PICTURE, SMALL],
        `split at ${at}`,
      );
    assert.deepEqual(
      read(
        boundary,
        [...bytes].map((byte) => Buffer.from([byte])),
      ).parts,
      [PICTURE, SMALL],
    );
  });

test('boundaries as they are declared', () => {
  const of = (rest: string) => boundaryOf(`multipart/x-mixed-replace${rest}`);
  assert.equal(of(';boundary=frame'), 'frame');
  assert.equal(of('; boundary="a b; c"'), 'a b; c');
  assert.equal(of('; charset=x; BOUNDARY = --x'), '--x');
  assert.equal(of(';boundary=frame; other'), 'frame');
  assert.equal(of(''), undefined);
  assert.equal(of(';boundary=""'), undefined);
  assert.equal(of(';boundary=--'), undefined);
  assert.equal(boundaryOf('text/plain;boundary=frame'), undefined);
});

test('a part that is too large is left out, with a length and without, however it comes', () => {
  const large = Buffer.alloc(2 << 20, 0x0a).toString('latin1');
  for (const part of [LENGTH, BARE])
    for (const size of [1000, 70_000, 10 << 20]) {
      const bytes = Buffer.from(`--frame\r\n${part(large)}--frame\r\n${part(SMALL)}--frame\r\n`, 'latin1');
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
      const { parts, reader } = read('frame', pieces);
      assert.deepEqual(parts, [SMALL]);
      assert.equal(reader.oversized, 1);
    }
});

test('many small parts in one read, and one in two hundred', () => {
  const many = Buffer.from(`${`--frame\r\n${BARE(SMALL)}`.repeat(5000)}--frame\r\n`, 'latin1');
  assert.equal(read('frame', [many]).parts.length, 5000);
  const picture = Buffer.alloc(20_000, 0xff).toString('latin1');
  const one = Buffer.from(`--frame\r\n${BARE(picture)}--frame\r\n`, 'latin1');
  const pieces = Array.from({ length: 201 }, (_, at) => one.subarray(at * 100, (at + 1) * 100));
  assert.deepEqual(read('frame', pieces, 100_000).parts, [picture]);
});

test('what cannot end does', () => {
  const mebibyte = Buffer.alloc(1 << 20, 'x\n');
  for (const head of ['', '--frame\r\n\r\n'])
    assert.throws(() => {
      const { reader } = read('frame', [Buffer.from(head)]);
      for (let at = 0; at < 66; at++) reader.push(mebibyte);
    }, UpstreamError);
  assert.throws(() => read('frame', [Buffer.from(`--frame\r\nX-Long: ${'x'.repeat(100_000)}\r\n\r\n`)]), UpstreamError);
  assert.throws(() => read('frame', [Buffer.from('--frame\r\n'), ...Array.from({ length: 2000 }, () => Buffer.from('X-More: 1234567\r\n'))]), UpstreamError); // biome-ignore format: one line
  assert.throws(() => read('frame', [Buffer.from('--frame\r\nContent-Length: 99999999999\r\n\r\n')]), UpstreamError);
});

/** At every split, and byte by byte. */
function eachSplit(body: string): Buffer[][] {
  const bytes = Buffer.from(body, 'latin1');
  const splits = Array.from({ length: bytes.length }, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)]);
  return [...splits, [...bytes].map((byte) => Buffer.from([byte]))];
}

const ENDING = PICTURE.trimEnd();
const TYPED = 'Content-Type: image/jpeg\r\n';

test('a boundary right behind a picture, without a line end', () => {
  const part = `--frame\r\n${TYPED}\r\n${ENDING}`;
  for (const pieces of eachSplit(`${part}${part}--frame--`))
    assert.deepEqual(read('frame', pieces).parts, [ENDING, ENDING]);
  // Within other data it ends nothing.
  const text = 'a--frame\nb';
  assert.deepEqual(read('frame', [Buffer.from(`--frame\r\n\r\n${text}\r\n--frame\r\n`)]).parts, [text]);
});

test('a length that is wrong costs one picture, and is not believed again', () => {
  for (const lineEnd of ['\r\n', ''])
    for (const error of [-ENDING.length + 1, -7, -3, -1, 3, 9, 30, 60]) {
      const part = `--frame\r\n${TYPED}Content-Length: ${ENDING.length + error}\r\n\r\n${ENDING}${lineEnd}`;
      for (const pieces of eachSplit(`${part.repeat(5)}--frame\r\n`)) {
        const { parts, reader } = read('frame', pieces);
        assert.ok(parts.length >= 3, `${error}: ${parts.length} parts`);
        assert.deepEqual(new Set(parts.slice(1)), new Set([ENDING]), `${error}`);
        assert.ok(reader.stray <= 1);
      }
    }
});

test('a boundary that does not come any more behind a part with a length', () => {
  const mebibyte = Buffer.alloc(1 << 20, 'x');
  const { reader } = read('frame', [Buffer.from(`--frame\r\n${LENGTH(SMALL)}`)]);
  assert.throws(() => {
    for (let at = 0; at < 66; at++) reader.push(mebibyte);
  }, UpstreamError);
  assert.equal(reader.stray, 1);
});

test('a part without a type is a picture if it begins like one', () => {
  const bytes = Buffer.from('\xff\xd8\xff\xe0\xff\xd9', 'latin1');
  const body = Buffer.concat([
    Buffer.from('--frame\r\n\r\n'),
    bytes,
    Buffer.from('\r\n--frame\r\n\r\nx\r\n--frame\r\n'),
  ]);
  const parts = new MultipartReader('frame', 1000).push(body);
  assert.deepEqual(
    parts.map(({ type }) => type),
    ['image/jpeg', ''],
  );
});
