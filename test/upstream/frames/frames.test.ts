/** The frames of a WebSocket's client: what may come and what may not, at every split of its bytes, beside the package ws; and what is written. */
import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import type { Writable } from 'node:stream';
import { test } from 'node:test';
import * as ws from 'ws';
import { OPCODE } from '../../../src/upstream/frames/frames.ts';
import { FrameError, FrameReader, type FrameTaker } from '../../../src/upstream/frames/reader.ts';
import { closePayload, FrameBatch, FrameWriter, MAX_FRAME_HEAD } from '../../../src/upstream/frames/writer.ts';

/** Its types leave them out. */
const { Receiver, Sender } = ws as unknown as {
  readonly Receiver: new (options: { readonly isServer: boolean; readonly maxPayload: number }) => Writable;
  readonly Sender: { frame(data: Buffer, options: { readonly [name: string]: unknown }): Buffer[] };
};

const MAX = 100_000;
const FIN = 0x80;
const { text: TEXT, binary: BINARY, ping: PING, pong: PONG, close: CLOSING } = OPCODE;

/** A frame of a server. */
function frame(first: number, payload: Buffer | string = ''): Buffer {
  const options = { fin: first >= FIN, rsv1: false, opcode: first & 0x0f, mask: false, readOnly: true };
  const made = Buffer.concat(Sender.frame(Buffer.from(payload), options));
  // Bits that ws would not set.
  made[0] = first;
  return made;
}

function close(code: number, reason: Buffer | string = ''): Buffer {
  return frame(FIN | CLOSING, Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]));
}

function show(data: Buffer): string {
  return data.length > 50 ? `${data.length} bytes` : data.toString('latin1');
}

/** What our reader says. Each piece is a copy that is overwritten: nothing of it may be needed when the call has returned. */
function ours(pieces: readonly Buffer[]): readonly string[] {
  const said: string[] = [];
  const taker: FrameTaker = {
    message: (data, isText) => void said.push(`${isText ? 'text' : 'binary'} ${show(data)}`),
    ping: (data) => void said.push(`ping ${show(data)}`),
  };
  const reader = new FrameReader(taker, MAX);
  try {
    for (const each of pieces) {
      const piece = Buffer.from(each);
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

/** What that of ws says. */
async function theirs(bytes: Buffer): Promise<readonly string[]> {
  const said: string[] = [];
  const receiver = new Receiver({ isServer: false, maxPayload: MAX });
  receiver.on('message', (data: Buffer, binary: boolean) => said.push(`${binary ? 'binary' : 'text'} ${show(data)}`));
  receiver.on('ping', (data: Buffer) => said.push(`ping ${show(data)}`));
  receiver.on('conclude', (code: number, reason: Buffer) => said.push(`close ${code} ${reason.toString()}`));
  receiver.on('error', (error: Error & { readonly [name: symbol]: unknown }) => {
    const symbol = Object.getOwnPropertySymbols(error).find(({ description }) => description === 'status-code');
    said.push(`error ${String(symbol === undefined ? error : error[symbol])}`);
  });
  await new Promise((resolve) => {
    receiver.on('conclude', resolve);
    receiver.write(bytes, resolve);
  });
  await new Promise(setImmediate);
  return said;
}

interface Row {
  readonly name: string;
  readonly bytes: Buffer;
  readonly said: readonly string[];
  /** ws takes it. */
  readonly isStricter?: boolean;
}

const ROWS: Row[] = [];

function row(name: string, frames: readonly Buffer[], ...said: readonly string[]): void {
  ROWS.push({ name, bytes: Buffer.concat(frames), said });
}

// ---- lengths ----

for (const length of [0, 1, 125, 126, 127, 128, 65_535, 65_536, MAX]) {
  const text = 'x'.repeat(length);
  row(`a text of ${length} bytes`, [frame(FIN | TEXT, text)], `text ${show(Buffer.from(text))}`);
  const data = Buffer.alloc(length, 0xfe);
  row(`${length} bytes`, [frame(FIN | BINARY, data), frame(FIN | TEXT, 'z')], `binary ${show(data)}`, 'text z');
}
row(
  'one byte too much',
  [frame(FIN | TEXT, 'ok'), frame(FIN | BINARY, Buffer.alloc(MAX + 1))],
  'text ok',
  'error 1009',
);
row('too much in fragments', [frame(BINARY, Buffer.alloc(MAX)), frame(FIN, 'x')], 'error 1009');
row('2^53 bytes', [Buffer.of(FIN | BINARY, 127, 0, 32, 0, 0, 0, 0, 0, 0)], 'error 1009');
row('2^63 bytes', [Buffer.of(FIN | BINARY, 127, 128, 0, 0, 0, 0, 0, 0, 0)], 'error 1009');
for (const [name, head] of Object.entries({
  'no byte, in 16 bits': [126, 0, 0],
  '125 bytes, in 16 bits': [126, 0, 125],
  '125 bytes, in 64 bits': [127, 0, 0, 0, 0, 0, 0, 0, 125],
  '65,535 bytes, in 64 bits': [127, 0, 0, 0, 0, 0, 0, 255, 255],
}))
  ROWS.push({ name, bytes: Buffer.of(FIN | BINARY, ...head), said: ['error 1002'], isStricter: true });

// ---- pings and pongs ----

row('an empty ping', [frame(FIN | PING)], 'ping ');
row('a ping of the largest size', [frame(FIN | PING, Buffer.alloc(125, 0xfe))], 'ping 125 bytes');
row('a ping that is too large', [frame(FIN | PING, Buffer.alloc(126))], 'error 1002');
row('a pong that is too large', [frame(FIN | PONG, Buffer.alloc(126))], 'error 1002');
row('pongs that nobody has asked for', [frame(FIN | PONG), frame(FIN | PONG, 'x'), frame(FIN | PING, 'y')], 'ping y');
row(
  'ten pings',
  Array.from({ length: 10 }, (_, at) => frame(FIN | PING, String(at))),
  ...Array.from({ length: 10 }, (_, at) => `ping ${at}`),
);

// ---- bits and opcodes that mean nothing ----

for (let bits = 1; bits < 8; bits++) {
  const first = FIN | (bits << 4);
  const ok = frame(FIN | TEXT, 'ok');
  row(`reserved bits ${bits} of a text`, [ok, frame(first | TEXT, 'x'), ok], 'text ok', 'error 1002');
  row(`reserved bits ${bits} of a ping`, [ok, frame(first | PING), ok], 'text ok', 'error 1002');
  row(`reserved bits ${bits} of a close`, [frame(first | CLOSING)], 'error 1002');
  row(`reserved bits ${bits} of a fragment`, [frame(TEXT, 'x'), frame(first)], 'error 1002');
}
for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
  for (const payload of ['', 'x'])
    row(
      `opcode ${opcode} with "${payload}"`,
      [frame(FIN | TEXT, 'ok'), frame(FIN | opcode, payload)],
      'text ok',
      'error 1002',
    );
row('a masked text', [Buffer.of(FIN | TEXT, 0x81, 1, 2, 3, 4, 5)], 'error 1002');
row('a masked ping', [Buffer.of(FIN | PING, 0x80, 1, 2, 3, 4)], 'error 1002');

// ---- fragments ----

row('two fragments', [frame(TEXT, 'a'), frame(FIN, 'b'), frame(FIN | BINARY, 'c')], 'text ab', 'binary c');
row('fragments of nothing', [frame(TEXT), frame(0), frame(FIN), frame(FIN | TEXT, 'x')], 'text ', 'text x');
row('a middle with something', [frame(BINARY), frame(0, 'm'), frame(FIN)], 'binary m');
row(
  'control frames between fragments',
  [frame(TEXT, 'a'), frame(FIN | PING, 'p'), frame(0, 'b'), frame(FIN | PONG, 'q'), frame(FIN | PING), frame(FIN, 'c')],
  'ping p',
  'ping ',
  'text abc',
);
row('a close between fragments', [frame(TEXT, 'a'), close(1000), frame(FIN, 'b')], 'close 1000 ');
for (const opcode of [PING, PONG, CLOSING]) row(`a fragment of opcode ${opcode}`, [frame(opcode)], 'error 1002');
row('a last fragment of nothing that has begun', [frame(FIN, 'x')], 'error 1002');
row('a first fragment that continues nothing', [frame(0, 'x'), frame(FIN, 'y')], 'error 1002');
row('one behind a whole message', [frame(FIN | TEXT, 'x'), frame(FIN, 'y')], 'text x', 'error 1002');
row('a message within another', [frame(TEXT, 'x'), frame(FIN | TEXT, 'y')], 'error 1002');
row('a message that begins within another', [frame(TEXT), frame(BINARY, 'y')], 'error 1002');

// ---- UTF-8 ----

const hex = (digits: string): Buffer => Buffer.from(digits, 'hex');
for (const [name, digits] of Object.entries({
  'two bytes': 'c3a9',
  Greek: 'cebae1bdb9cf83cebcceb5',
  'the first of each length': '00c280e0a080f0908080',
  'the last of each length': '7fdfbfefbfbff48fbfbf',
  'around the surrogates': 'ed9fbfee8080efbfbd',
  'no characters, but allowed': 'efbfbeefbfbff09fbfbe',
})) {
  const said = `text ${hex(digits).toString('latin1')}`;
  row(`UTF-8: ${name}`, [frame(FIN | TEXT, hex(digits))], said);
  const bytes = [...hex(digits)].map((byte) => frame(0, Buffer.of(byte)));
  row(`UTF-8: ${name}, a fragment for each byte`, [frame(TEXT), ...bytes, frame(FIN)], said);
}
for (const [name, digits] of Object.entries({
  'a byte that is never used': 'ff',
  'a continuation of nothing': '80',
  'a beginning without an end': 'c3',
  'three of four bytes': 'f09080',
  'a beginning before a letter': 'e1bd41',
  'a slash in two bytes': 'c0af',
  'a slash in four bytes': 'f08080af',
  'a surrogate': 'eda080',
  'a pair of surrogates': 'eda080edb080',
  'above the last character': 'f4908080',
  'five bytes': 'f888808080',
})) {
  row(`not UTF-8: ${name}`, [frame(FIN | TEXT, 'ok'), frame(FIN | TEXT, hex(digits))], 'text ok', 'error 1007');
  row(`not UTF-8: ${name}, in fragments`, [frame(TEXT, 'ok'), frame(0, hex(digits)), frame(FIN)], 'error 1007');
  row(`as binary: ${name}`, [frame(FIN | BINARY, hex(digits))], `binary ${hex(digits).toString('latin1')}`);
}

// ---- closes ----

row('a close without a code', [frame(FIN | CLOSING)], 'close 1005 ');
row('half a code', [frame(FIN | CLOSING, 'x')], 'error 1002');
row('a reason', [close(1000, 'bye é')], 'close 1000 bye é');
row('the longest reason', [close(1001, 'r'.repeat(123))], `close 1001 ${'r'.repeat(123)}`);
row('a reason that is too long', [close(1001, 'r'.repeat(124))], 'error 1002');
row('a reason that is not UTF-8', [close(1000, hex('cebaff'))], 'error 1007');
row('frames behind a close', [close(1000), frame(FIN | TEXT, 'x'), frame(FIN | PING), frame(3)], 'close 1000 ');
for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
  row(`close code ${code}`, [close(code)], `close ${code} `);
for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
  row(`close code ${code}`, [close(code)], 'error 1002');

/** Every way to cut it in two, and every byte by itself; a few cuts of what is long. */
function* splits(bytes: Buffer): Generator<readonly Buffer[]> {
  yield [bytes];
  if (bytes.length <= 1000) yield Array.from(bytes, (byte) => Buffer.of(byte));
  const cuts = bytes.length <= 300 ? bytes.keys() : [1, 2, 3, 9, 10, 11, 12, 4093, bytes.length - 3, bytes.length - 1];
  for (const at of cuts) {
    yield [bytes.subarray(0, at), bytes.subarray(at)];
    // And in three.
    const next = randomInt(at, bytes.length + 1);
    yield [bytes.subarray(0, at), bytes.subarray(at, next), bytes.subarray(next)];
  }
}

test('each row of the table, at every split of its bytes', () => {
  for (const { name, bytes, said } of ROWS)
    for (const pieces of splits(bytes))
      assert.deepEqual(ours(pieces), said, `${name}, in ${pieces.map(({ length }) => length).join(' + ')} bytes`);
});

test('each row of the table, read by ws', async () => {
  for (const { name, bytes, said, isStricter = false } of ROWS)
    if (!isStricter) assert.deepEqual(await theirs(bytes), said, name);
});

test('a long run of frames, in pieces of many sizes', () => {
  const frames: Buffer[] = [];
  const expected: string[] = [];
  for (const size of [0, 1, 3, 31, 125, 126, 1000, 65_535, 65_536]) {
    const data = randomBytes(size);
    const said = `binary ${show(data)}`;
    frames.push(frame(FIN | BINARY, data), frame(BINARY, data.subarray(0, size >> 1)), frame(FIN | PING, 'alive'));
    frames.push(frame(0, data.subarray(size >> 1)), frame(FIN), frame(FIN | PONG));
    expected.push(said, 'ping alive', said);
  }
  const bytes = Buffer.concat(frames);
  for (const most of [7, 1000, 70_000]) {
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += pieces.at(-1)?.length ?? 1)
      pieces.push(bytes.subarray(at, at + randomInt(1, most + 1)));
    assert.deepEqual(ours(pieces), expected, `at most ${most} bytes`);
  }
});

test('a message that comes in pieces may be kept, and none shares memory with another', () => {
  const got: Buffer[] = [];
  const reader = new FrameReader({ message: (data) => void got.push(data), ping: () => assert.fail() }, MAX);
  for (let round = 0; round < 20; round++) {
    const bytes = frame(FIN | BINARY, Buffer.alloc(500 + round, round));
    reader.feed(bytes.subarray(0, 4 + round));
    reader.feed(bytes.subarray(4 + round));
  }
  assert.ok(got.every((data, round) => data.equals(Buffer.alloc(500 + round, round))));
  assert.equal(got.length, 20);
});

test('memory follows what has come: a gigabyte that is announced takes none, a million fragments of a byte that of one message', () => {
  const before = process.memoryUsage().arrayBuffers;
  const large = new FrameReader({ message: () => assert.fail(), ping: () => assert.fail() }, 1 << 30);
  large.feed(Buffer.of(FIN | BINARY, 127, 0, 0, 0, 0, 0x3f, 0, 0, 0, 1, 2, 3));
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 << 20);
  const lengths: number[] = [];
  const many = new FrameReader(
    { message: (data) => void lengths.push(data.length), ping: () => assert.fail() },
    1 << 20,
  );
  many.feed(frame(BINARY, 'x'));
  const block = Buffer.concat(Array.from({ length: 1000 }, () => frame(0, 'x')));
  for (let at = 0; at < 1000; at++) many.feed(block);
  many.feed(frame(FIN, 'x'));
  assert.deepEqual(lengths, [1_000_002]);
});

const SIZES = [0, 1, 3, 4, 31, 32, 33, 125, 126, 127, 255, 256, 257, 1027, 65_535, 65_536, 200_001];

test('ws reads what a batch was given, of every size, many in one buffer', async () => {
  const receiver = new Receiver({ isServer: true, maxPayload: 1 << 20 });
  const got: string[] = [];
  receiver.on('message', (data: Buffer, isBinary: boolean) => got.push(`${isBinary}:${data.toString('latin1')}`));
  const batch = new FrameBatch();
  const sent: string[] = [];
  for (let round = 0; round < 20; round++) {
    for (const size of SIZES.filter((each) => round < 2 || each < 1000)) {
      const bytes = randomBytes(size);
      batch.add(bytes, BINARY);
      sent.push(`true:${bytes.toString('latin1')}`);
      // What is added may be changed.
      bytes.fill(0);
      batch.add('x'.repeat(size), TEXT);
      sent.push(`false:${'x'.repeat(size)}`);
    }
    assert.ok(batch.bytes > 0);
    await new Promise((resolve) => receiver.write(batch.take(), resolve));
    assert.equal(batch.bytes, 0);
  }
  assert.equal(got.length, sent.length);
  assert.ok(sent.every((message, at) => message === got[at]));
});

test('ws reads a head and a payload that was masked where it lies, at every alignment', async () => {
  const receiver = new Receiver({ isServer: true, maxPayload: 1 << 20 });
  const got: Buffer[] = [];
  receiver.on('message', (data: Buffer) => got.push(data));
  const writer = new FrameWriter();
  const masks = new Set<string>();
  const sent: Buffer[] = [];
  for (const size of SIZES)
    for (const offset of [0, 1, 2, 3]) {
      const payload = randomBytes(size + offset).subarray(offset);
      sent.push(Buffer.from(payload));
      const into = Buffer.alloc(MAX_FRAME_HEAD + 3);
      const head = into.subarray(3, 3 + writer.write(BINARY, payload, into, 3));
      masks.add(head.toString('hex', head.length - 4));
      await new Promise((resolve) => receiver.write(Buffer.concat([head, payload]), resolve));
    }
  assert.equal(got.length, sent.length);
  assert.ok(sent.every((data, at) => got[at]?.equals(data)));
  assert.ok(masks.size > sent.length - 3);
});

test('a close frame has a code that may be sent, and a reason that fits', () => {
  const payload = (code: number | undefined, reason = ''): string => closePayload(code, reason).toString('latin1');
  assert.deepEqual([payload(undefined, 'x'), payload(1005, 'x')], ['', '']);
  assert.deepEqual([payload(1000), payload(4999, 'x')], ['\x03\xe8', '\x13\x87x']);
  for (const code of [1006, 1015, 0, 70_000, 1000.5]) assert.equal(payload(code), '\x03\xf3');
  assert.equal(payload(1000, 'ü'.repeat(100)).length, 2 + 122);
});
