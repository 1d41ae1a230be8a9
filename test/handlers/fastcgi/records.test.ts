/** FastCGI's records: what is sent byte by byte, what comes at every split, what is refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  abortRequest,
  beginRequest,
  RecordDecoder,
  RecordError,
  type RecordPiece,
  stdin,
} from '../../../src/handlers/fastcgi/records.ts';
import { endRecord, recordOf } from '../../support/fastcgi-application.ts';

/** Pieces with their bytes as text, neighbours of one kind joined. */
function decoded(chunks: readonly Buffer[]): readonly string[] {
  const decoder = new RecordDecoder();
  const said: [kind: string, text: string][] = [];
  const add = (piece: RecordPiece): void => {
    if (piece.kind === 'end') {
      said.push(['end', `${piece.appStatus} ${piece.protocolStatus}`]);
      return;
    }
    const last = said.at(-1);
    if (last?.[0] === piece.kind) last[1] += piece.bytes.toString('latin1');
    else said.push([piece.kind, piece.bytes.toString('latin1')]);
  };
  for (const chunk of chunks) for (const piece of decoder.feed(chunk)) add(piece);
  return said.map(([kind, text]) => `${kind}: ${text}`);
}

describe('what is sent', () => {
  test('the beginning: role, no keep-alive, the variables', () => {
    const bytes = beginRequest(new Map([['A', 'bc']]));
    const expected = [
      [1, 1, 0, 1, 0, 8, 0, 0, /* responder */ 0, 1, /* flags */ 0, 0, 0, 0, 0, 0],
      [1, 4, 0, 1, 0, 5, 0, 0, 1, 2, 65, 98, 99],
      [1, 4, 0, 1, 0, 0, 0, 0],
    ];
    assert.deepEqual([...bytes], expected.flat());
  });

  test('lengths of 127, 128 and beyond', () => {
    for (const length of [0, 127, 128, 300, 65_535, 70_000]) {
      const value = 'x'.repeat(length);
      const content = paramsOf(beginRequest(new Map([['N', value]])));
      const wide = length > 127;
      assert.equal(content[0], 1);
      assert.equal(wide ? content.readUInt32BE(1) & 0x7fffffff : content[1], length);
      assert.equal((content[1] ?? 0) >> 7, wide ? 1 : 0);
      assert.equal(content.toString('latin1', wide ? 5 : 2), `N${value}`);
    }
  });

  test('UTF-8 counts in bytes', () => {
    assert.deepEqual([...paramsOf(beginRequest(new Map([['ü', '€']])))].slice(0, 2), [2, 3]);
  });

  test('a body: in records of at most 65,535 bytes, and its end', () => {
    assert.deepEqual([...stdin(Buffer.from('ab'))], [1, 5, 0, 1, 0, 2, 0, 0, 97, 98]);
    assert.deepEqual([...stdin(Buffer.alloc(0))], [1, 5, 0, 1, 0, 0, 0, 0]);
    const large = stdin(Buffer.alloc(65_536, 1));
    assert.equal(large.length, 65_536 + 16);
    assert.deepEqual([...large.subarray(8 + 65_535, 8 + 65_535 + 9)], [1, 5, 0, 1, 0, 1, 0, 0, 1]);
  });

  test('giving up', () => assert.deepEqual([...abortRequest()], [1, 2, 0, 1, 0, 0, 0, 0]));
});

describe('what comes', () => {
  const whole = Buffer.concat([
    recordOf(6, 'Status: 200\n', 4),
    recordOf(7, 'a warning', 7),
    recordOf(6, '\nbody', 0),
    recordOf(6, '', 8),
    recordOf(7, '', 0),
    endRecord(3, 0, 2),
  ]);
  const expected = ['stdout: Status: 200\n', 'stderr: a warning', 'stdout: \nbody', 'end: 3 complete'];

  test('all at once, and byte by byte', () => {
    assert.deepEqual(decoded([whole]), expected);
    assert.deepEqual(decoded([...whole].map((byte) => Buffer.from([byte]))), expected);
  });

  test('at every split', () => {
    for (let at = 0; at <= whole.length; at++) {
      assert.deepEqual(decoded([whole.subarray(0, at), whole.subarray(at)]), expected, `split at ${at}`);
    }
  });

  test('every protocol status', () => {
    const statuses = ['complete', 'cannot-multiplex', 'overloaded', 'unknown-role'];
    for (const [number, name] of statuses.entries())
      assert.deepEqual(decoded([endRecord(0, number)]), [`end: 0 ${name}`]);
    assert.deepEqual(decoded([endRecord(0xffffffff, 0)]), ['end: 4294967295 complete']);
  });

  test('what follows the end is left out', () => {
    assert.deepEqual(decoded([endRecord(0, 0), Buffer.from('garbage')]), ['end: 0 complete']);
    assert.deepEqual(decoded([Buffer.concat([endRecord(0, 0), Buffer.from('garbage')])]), ['end: 0 complete']);
  });

  const wrong: readonly (readonly [name: string, bytes: Buffer, message: RegExp])[] = [
    ['another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n'), /not FastCGI: "HTTP\/1\.1"/],
    ['a type that an application must not send', recordOf(1, '12345678'), /type 1$/],
    ['a type that there is not', recordOf(99, ''), /type 99/],
    ['an answer for management', Buffer.from([1, 10, 0, 0, 0, 0, 0, 0]), /type 10/],
    ['another request', Buffer.from([1, 6, 0, 2, 0, 0, 0, 0]), /request 2/],
    ['a short end', recordOf(3, '1234'), /4 bytes instead of 8/],
    ['an unknown protocol status', endRecord(0, 4), /status 4/],
  ];
  for (const [name, bytes, message] of wrong) {
    test(`refused: ${name}`, () => {
      for (let at = 0; at < bytes.length; at++) {
        assert.throws(
          () => decoded([bytes.subarray(0, at), bytes.subarray(at)]),
          (error) => error instanceof RecordError && message.test(error.message),
        );
      }
    });
  }

  test('what was right before something wrong is handed out', () => {
    const decoder = new RecordDecoder();
    const pieces: string[] = [];
    assert.throws(() => {
      for (const piece of decoder.feed(Buffer.concat([recordOf(6, 'ok'), Buffer.alloc(8)]))) pieces.push(piece.kind);
    });
    assert.deepEqual(pieces, ['stdout']);
  });
});

/** What the records of type PARAMS carry together. */
function paramsOf(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 16; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at + 4);
    parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(parts);
}
