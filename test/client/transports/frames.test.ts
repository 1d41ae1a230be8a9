/** The frames of the client, beside those of the package ws; and what no server may send. */
import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import type { Writable } from 'node:stream';
import { test } from 'node:test';
import * as ws from 'ws';
import { FrameError, type FrameEvents, FrameReader } from '../../../src/client/transports/frame-reader.ts';
import { FrameBatch, OPCODE } from '../../../src/client/transports/frames.ts';

/** Its types leave out its two halves. */
const { Receiver, Sender } = ws as unknown as {
  readonly Receiver: new (options: { readonly isServer: boolean; readonly maxPayload: number }) => Writable;
  readonly Sender: { frame(data: Buffer, options: { readonly [name: string]: unknown }): Buffer[] };
};

const SIZES = [0, 1, 3, 4, 31, 32, 33, 125, 126, 127, 1000, 65_535, 65_536, 200_001];

type Told = readonly ['text' | 'binary' | 'ping', string] | readonly ['pong'] | readonly ['close', number, string];

class Reading implements FrameEvents {
  readonly told: Told[] = [];
  private readonly reader: FrameReader;

  constructor(maxMessage = 1 << 20) {
    this.reader = new FrameReader(maxMessage, this);
  }

  push(bytes: Buffer): void {
    this.reader.push(bytes);
  }

  message(data: Buffer, isText: boolean): void {
    this.told.push([isText ? 'text' : 'binary', data.toString('latin1')]);
  }

  ping(data: Buffer): void {
    this.told.push(['ping', data.toString('latin1')]);
  }

  pong(): void {
    this.told.push(['pong']);
  }

  closed(code: number, reason: string): void {
    this.told.push(['close', code, reason]);
  }
}

function frame(first: number, payload: Buffer | string): Buffer {
  const data = Buffer.from(payload);
  const options = { fin: first >= 0x80, rsv1: false, opcode: first & 0x0f, mask: false, readOnly: true };
  return Buffer.concat(Sender.frame(data, options));
}

test('ws reads what was sent, of every size, many in one buffer', async () => {
  const receiver = new Receiver({ isServer: true, maxPayload: 1 << 20 });
  const got: string[] = [];
  receiver.on('message', (data: Buffer, isBinary: boolean) => got.push(`${isBinary}:${data.toString('latin1')}`));
  const batch = new FrameBatch();
  const sent: string[] = [];
  for (let round = 0; round < 20; round++) {
    for (const size of SIZES.filter((each) => round < 2 || each < 1000)) {
      const bytes = randomBytes(size);
      batch.add(bytes, OPCODE.binary);
      sent.push(`true:${bytes.toString('latin1')}`);
      // What is added may be changed.
      bytes.fill(0);
      batch.add('x'.repeat(size), OPCODE.text);
      sent.push(`false:${'x'.repeat(size)}`);
    }
    assert.ok(batch.bytes > 0);
    await new Promise((resolve) => receiver.write(batch.take(), resolve));
    assert.equal(batch.bytes, 0);
  }
  assert.ok(sent.every((message, at) => message === got[at]));
  assert.equal(got.length, sent.length);
});

test('what ws sends is read at any split of its bytes, fragments and pings between them too', () => {
  const frames: Buffer[] = [];
  const expected: Told[] = [];
  for (const size of SIZES) {
    const data = randomBytes(size);
    frames.push(frame(0x80 | OPCODE.binary, data));
    expected.push(['binary', data.toString('latin1')]);
    const pieces = [data.subarray(0, size >> 1), data.subarray(size >> 1), Buffer.alloc(0)];
    frames.push(frame(OPCODE.binary, pieces[0] ?? ''), frame(0x80 | OPCODE.ping, 'alive'));
    frames.push(frame(OPCODE.continuation, pieces[1] ?? ''), frame(0x80, pieces[2] ?? ''));
    expected.push(['ping', 'alive'], ['binary', data.toString('latin1')]);
    frames.push(frame(0x80 | OPCODE.text, 'ü'.repeat(size)), frame(0x80 | OPCODE.pong, ''));
    expected.push(['text', Buffer.from('ü'.repeat(size)).toString('latin1')], ['pong']);
  }
  // A character may be in two fragments.
  const umlaut = Buffer.from('ü');
  frames.push(frame(OPCODE.text, umlaut.subarray(0, 1)), frame(0x80, umlaut.subarray(1)));
  expected.push(['text', umlaut.toString('latin1')]);
  frames.push(frame(0x80 | OPCODE.close, Buffer.concat([Buffer.from([0x03, 0xe8]), Buffer.from('done')])));
  frames.push(frame(0x80 | OPCODE.text, 'behind the close'));
  expected.push(['close', 1000, 'done']);
  const bytes = Buffer.concat(frames);
  for (const most of [1, 2, 7, 1000, 100_000, bytes.length]) {
    const reading = new Reading();
    for (let at = 0; at < bytes.length; ) {
      const end = at + (most === 1 ? 1 : randomInt(1, most + 1));
      reading.push(bytes.subarray(at, end));
      at = end;
    }
    assert.deepEqual(reading.told, expected, `pieces of at most ${most} bytes`);
  }
});

const WRONG: readonly [what: string, bytes: readonly number[], code: number][] = [
  ['a masked frame', [0x81, 0x81, 1, 2, 3, 4, 5], 1002],
  ['an extension', [0xc1, 0], 1002],
  ['an unknown opcode', [0x83, 0], 1002],
  ['an unknown control opcode', [0x8b, 0], 1002],
  ['a ping in fragments', [0x09, 0], 1002],
  ['a large ping', [0x89, 126, 0, 126], 1002],
  ['a continuation of nothing', [0x80, 0], 1002],
  ['a message within another', [0x01, 1, 0x61, 0x81, 0], 1002],
  ['a message that is too large', [0x82, 126, 0x04, 0x01], 1009],
  ['one of 2^63 bytes', [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], 1009],
  ['fragments that are too large together', [0x02, 1, 0x61, 0x00, 126, 0x04, 0x00], 1009],
  ['a text that is not UTF-8', [0x81, 1, 0xff], 1007],
  ['a close of one byte', [0x88, 1, 3], 1002],
  ['a close with 1005', [0x88, 2, 0x03, 0xed], 1002],
  ['a close with 999', [0x88, 2, 0x03, 0xe7], 1002],
  ['a reason that is not UTF-8', [0x88, 3, 0x03, 0xe8, 0xff], 1007],
];

test('what no server may send is refused with its code', () => {
  for (const [what, bytes, code] of WRONG) {
    const whole = new Reading(1024);
    const single = new Reading(1024);
    const refused = (error: unknown): boolean => error instanceof FrameError && error.code === code;
    assert.throws(() => whole.push(Buffer.from(bytes)), refused, what);
    const bytewise = (): void => {
      for (const byte of bytes) single.push(Buffer.of(byte));
    };
    assert.throws(bytewise, refused, `${what}, byte by byte`);
    assert.deepEqual([...whole.told, ...single.told], []);
  }
});

test('a million fragments of a byte are one message, and take no more than it', () => {
  const reading = new Reading(1 << 20);
  reading.push(frame(OPCODE.binary, 'x'));
  const block = Buffer.concat(Array.from({ length: 1000 }, () => frame(OPCODE.continuation, 'x')));
  for (let at = 0; at < 1000; at++) reading.push(block);
  reading.push(frame(0x80, 'x'));
  assert.equal(reading.told[0]?.[1], 'x'.repeat(1_000_002));
});
