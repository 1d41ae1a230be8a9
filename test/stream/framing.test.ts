import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FramingError, type FramingName, framing } from '../../src/stream/framing.ts';

interface Row {
  readonly name: string;
  readonly framing: FramingName;
  readonly max: number;
  readonly input: Buffer;
  /** The messages, or the error that ends them. */
  readonly expected: readonly string[];
  readonly fails?: RegExp;
}

const bytes = (...parts: (string | readonly number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));

const ROWS: readonly Row[] = [
  { name: 'nothing', framing: 'lines', max: 10, input: bytes(), expected: [] },
  { name: 'one line', framing: 'lines', max: 10, input: bytes('abc\n'), expected: ['abc'] },
  { name: 'empty lines', framing: 'lines', max: 10, input: bytes('\n\na\n\n'), expected: ['', '', 'a', ''] },
  { name: 'CRLF', framing: 'lines', max: 10, input: bytes('a\r\nb\r\n'), expected: ['a', 'b'] },
  { name: 'CR inside stays', framing: 'lines', max: 10, input: bytes('a\rb\nc\r\r\n'), expected: ['a\rb', 'c\r'] },
  { name: 'a last line without its end', framing: 'lines', max: 10, input: bytes('a\nlast'), expected: ['a', 'last'] },
  { name: 'a last line that ends in CR', framing: 'lines', max: 10, input: bytes('last\r'), expected: ['last'] },
  {
    name: 'characters of several bytes',
    framing: 'lines',
    max: 20,
    input: bytes('äö€\n😀x\n'),
    expected: ['äö€', '😀x'],
  },
  {
    name: 'a line of exactly the largest size',
    framing: 'lines',
    max: 5,
    input: bytes('12345\nab\n'),
    expected: ['12345', 'ab'],
  },
  { name: 'the same with CRLF', framing: 'lines', max: 5, input: bytes('12345\r\nab\n'), expected: ['12345', 'ab'] },
  {
    name: 'a line over the largest size',
    framing: 'lines',
    max: 5,
    input: bytes('ok\n123456\n'),
    expected: ['ok'],
    fails: /line over max_message \(5 bytes\)/,
  },
  {
    name: 'a line that never ends',
    framing: 'lines',
    max: 5,
    input: bytes('1234567890'),
    expected: [],
    fails: /line over max_message/,
  },
  { name: 'NUL is a byte like others', framing: 'lines', max: 10, input: bytes('a\0b\n'), expected: ['a\0b'] },

  { name: 'empty', framing: 'length-prefixed', max: 10, input: bytes(), expected: [] },
  { name: 'one message', framing: 'length-prefixed', max: 10, input: bytes([0, 0, 0, 3], 'abc'), expected: ['abc'] },
  {
    name: 'length zero',
    framing: 'length-prefixed',
    max: 10,
    input: bytes([0, 0, 0, 0], [0, 0, 0, 1], 'x'),
    expected: ['', 'x'],
  },
  {
    name: 'a newline inside',
    framing: 'length-prefixed',
    max: 10,
    input: bytes([0, 0, 0, 2], '\n\n'),
    expected: ['\n\n'],
  },
  {
    name: 'a length of 4 GiB less one',
    framing: 'length-prefixed',
    max: 10,
    input: bytes([255, 255, 255, 255]),
    expected: [],
    fails: /message of 4294967295 bytes over/,
  },
  {
    name: 'a length of one too many',
    framing: 'length-prefixed',
    max: 2,
    input: bytes([0, 0, 0, 1], 'x', [0, 0, 0, 3], 'abc'),
    expected: ['x'],
    fails: /of 3 bytes over/,
  },
  {
    name: 'the end inside a message',
    framing: 'length-prefixed',
    max: 10,
    input: bytes([0, 0, 0, 3], 'ab'),
    expected: [],
    fails: /ended inside a message/,
  },
  {
    name: 'the end inside a prefix',
    framing: 'length-prefixed',
    max: 10,
    input: bytes([0, 0, 0, 1], 'x', [0, 0]),
    expected: ['x'],
    fails: /ended inside a message/,
  },
];

test('a line that is overwritten may be longer than the largest message: what is visible counts', () => {
  const decoder = framing('lines').decoder(8, true);
  assert.deepEqual(decoder.push(Buffer.from('ready\n 1 %\r 2 %')), [Buffer.from('ready')]);
  assert.equal(decoder.rest?.toString(), ' 1 %\r 2 %');
  assert.deepEqual(decoder.push(Buffer.from('\r 3 %')), []);
  assert.equal(decoder.rest?.toString(), ' 3 %');
  assert.deepEqual(decoder.push(Buffer.from('\r100 %\r\n12345\r67890\r\n')).map(String), ['100 %', '67890']);
  assert.throws(() => decoder.push(Buffer.from('1234567890')), FramingError);
  assert.throws(() => framing('lines').decoder(8).push(Buffer.from('1234\r5678901')), FramingError);
});

/** Feeds the pieces to a new decoder. */
function decode(row: Row, pieces: readonly Buffer[]): { messages: string[]; error: FramingError | undefined } {
  const decoder = framing(row.framing).decoder(row.max);
  const messages: string[] = [];
  try {
    for (const piece of pieces) messages.push(...decoder.push(piece).map(String));
    messages.push(...decoder.end().map(String));
  } catch (error) {
    if (!(error instanceof FramingError)) throw error;
    return { messages, error };
  }
  return { messages, error: undefined };
}

/** The input in one piece, at every split into two and three, and byte by byte. */
function* splits(input: Buffer): IterableIterator<readonly Buffer[]> {
  yield [input];
  for (let a = 0; a <= input.length; a++) {
    for (let b = a; b <= input.length; b++) yield [input.subarray(0, a), input.subarray(a, b), input.subarray(b)];
  }
  yield [...input].map((byte) => Buffer.from([byte]));
}

for (const row of ROWS) {
  test(`${row.framing}: ${row.name}, at every split`, () => {
    for (const pieces of splits(row.input)) {
      const { messages, error } = decode(row, pieces);
      if (row.fails === undefined) {
        assert.equal(error, undefined);
        assert.deepEqual(messages, row.expected);
      } else {
        assert.match(error?.message ?? '', row.fails);
        // How much came before the error depends on the split; nothing wrong may have.
        assert.deepEqual(messages, row.expected.slice(0, messages.length));
      }
    }
  });
}

test('lines: what is kept does not hold the read buffer', () => {
  const decoder = framing('lines').decoder(100);
  const chunk = Buffer.from('a\nrest');
  decoder.push(chunk);
  chunk.fill('X');
  assert.deepEqual(decoder.push(Buffer.from('!\n')).map(String), ['rest!']);
});

test('raw: chunks as they come, larger ones cut, empty ones dropped', () => {
  const decoder = framing('raw').decoder(4);
  assert.deepEqual(decoder.push(Buffer.from('abc')).map(String), ['abc']);
  assert.deepEqual(decoder.push(Buffer.from('123456789')).map(String), ['1234', '5678', '9']);
  assert.deepEqual(decoder.push(Buffer.alloc(0)), []);
  assert.deepEqual(decoder.end(), []);
});

const ENCODED: readonly [FramingName, string, string][] = [
  ['lines', 'abc', 'abc\n'],
  ['lines', 'abc\n', 'abc\n'],
  ['lines', '', '\n'],
  ['lines', 'a\nb', 'a\nb\n'],
  ['raw', 'abc', 'abc'],
  ['raw', '', ''],
  ['length-prefixed', 'abc', '\0\0\0\x03abc'],
  ['length-prefixed', '', '\0\0\0\0'],
];

for (const [name, message, expected] of ENCODED) {
  test(`${name}: encodes ${JSON.stringify(message)}`, () => {
    assert.equal(Buffer.concat([...framing(name).encode(Buffer.from(message))]).toString('latin1'), expected);
  });
}
