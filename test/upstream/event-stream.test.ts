/** Event streams as servers write them, at every split. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventStreamReader, type ServerEvent } from '../../src/upstream/event-stream.ts';

const event = (data: string, name = 'message', id?: string): ServerEvent => ({ name, id, data });

const CASES: readonly (readonly [name: string, text: string, events: readonly ServerEvent[]])[] = [
  ['data', 'data: a\n\ndata:b\n\ndata\n\n', [event('a'), event('b'), event('')]],
  ['several lines', 'data: a\ndata: b\ndata:\n\n', [event('a\nb\n')]],
  ['one space is taken off', 'data:  a \n\n', [event(' a ')]],
  ['names and ids', 'event: state\nid: 7\ndata: a\n\n', [event('a', 'state', '7')]],
  ['a name is that of one event', 'event: state\ndata: a\n\ndata: b\n\n', [event('a', 'state'), event('b')]],
  ['comments and unknown fields', ': hello\ndata: a\n:\nwhat: ever\nlone\n\n', [event('a')]],
  ['CRLF', 'event: x\r\ndata: a\r\ndata: b\r\n\r\n', [event('a\nb', 'x')]],
  ['CR', 'event: x\rdata: a\rdata: b\r\r', [event('a\nb', 'x')]],
  ['mixed', 'data: a\r\n\ndata: b\n\r\ndata: c\r\r\n', [event('a'), event('b'), event('c')]],
  ['a byte order mark', '\ufeffdata: a\n\n', [event('a')]],
  ['only the first one is one', '\ufeff\ufeffdata: a\n\ndata: b\n\n', [event('b')]],
  ['UTF-8', 'data: grün 🌱 ñ\n\n', [event('grün 🌱 ñ')]],
  ['no data', 'event: x\nid: 3\n\ndata: a\n\n', [event('a')]],
  ['an id with NUL', 'id: a\0b\ndata: a\n\n', [event('a')]],
  ['an empty id', 'id\ndata: a\n\n', [event('a', 'message', '')]],
  ['what is not finished', 'data: a\n\ndata: b\n', [event('a')]],
];

function read(pieces: readonly Buffer[], max = 100): { events: ServerEvent[]; reader: EventStreamReader } {
  const reader = new EventStreamReader(max);
  return { events: pieces.flatMap((piece) => reader.push(piece)), reader };
}

for (const [name, text, expected] of CASES)
  test(`an event stream: ${name}`, () => {
    const bytes = Buffer.from(text);
    assert.deepEqual(read([bytes]).events, expected);
    for (let at = 1; at < bytes.length; at++)
      assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]).events, expected, `split at ${at}`);
    assert.deepEqual(read([...bytes].map((byte) => Buffer.from([byte]))).events, expected, 'byte by byte');
  });

test('ids of events without data count, and retry is a number or nothing', () => {
  const { reader } = read([Buffer.from('id: 1\ndata: a\n\nid: 2\n\nretry: 30x\nretry: 1500\ndata: b\n\n')]);
  assert.equal(reader.lastEventId, '2');
  assert.equal(reader.retry, 1500);
  // Half an event has no id.
  reader.push(Buffer.from('id: 3\ndata: c\n'));
  assert.equal(reader.lastEventId, '2');
  reader.push(Buffer.from(`id: ${'9'.repeat(4000)}\ndata: c\n\n`));
  assert.equal(reader.lastEventId, '3');
});

test('an event that is too large is left out, and nothing of it is kept', () => {
  const large = 'x'.repeat(50_000);
  for (const text of [
    `data: a\n\nid: 5\ndata: ${large}\n\ndata: b\n\n`,
    `data: a\n\nid: 5\n${`data: ${large.slice(0, 90)}\n`.repeat(500)}\ndata: b\n\n`,
    `data: a\n\nid: 5\nwhat: ${large}\ndata: x\n\ndata: b\n\n`,
  ])
    for (const size of [1, 7, 1024, 1_000_000]) {
      const bytes = Buffer.from(text);
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
      const { events, reader } = read(pieces);
      const [first, ...others] = events.map(({ data }) => data);
      assert.equal(first, 'a');
      assert.equal(others.at(-1), 'b');
      assert.ok(events.every(({ data }) => data.length <= 100));
      assert.equal(reader.lastEventId, '5');
      if (!text.includes('what')) assert.equal(reader.oversized, 1);
    }
  // A comment may be of any length.
  const { events, reader } = read([Buffer.from(`:${large}`), Buffer.from(`${large}\ndata: a\n\n`)]);
  assert.deepEqual(events, [event('a')]);
  assert.equal(reader.oversized, 0);
});

test('another charset is read where the server says so', () => {
  const reader = new EventStreamReader(100, 'iso-8859-1');
  assert.deepEqual(reader.push(Buffer.from('data: grün\n\n', 'latin1')), [event('grün')]);
  assert.deepEqual(new EventStreamReader(100, 'x-unknown').push(Buffer.from('data: grün\n\n')), [event('grün')]);
});
