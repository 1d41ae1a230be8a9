import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatHttpDate } from '../../../../src/files/http-date.ts';
import {
  asUtf8,
  conditions,
  judge,
  NOTHING_KNOWN,
  nextPoll,
  type PollMemory,
  type PollRules,
  retryAfter,
} from '../../../../src/stream/sources/poll/plan.ts';
import type { PollAnswer } from '../../../../src/stream/sources/poll/target.ts';

const NOW = Date.UTC(2026, 10, 20, 12);
const BODY: PollRules = { message: 'body', cursor: undefined, maxMessage: 100 };
const LINES: PollRules = { ...BODY, message: 'lines' };
const DIFF: PollRules = { ...BODY, message: 'json-diff' };
const CURSOR: PollRules = { ...BODY, cursor: { header: undefined, json: '/next', query: 'after' } };
const HEADER: PollRules = { ...BODY, cursor: { header: 'x-next', json: undefined, query: 'after' } };

function answer(body: string, headers: { [name: string]: string } = {}, status = 200): PollAnswer {
  return { status, headers: Object.entries(headers), body: Buffer.from(body) };
}

const JSON_TYPE = { 'content-type': 'application/json' };
const HTML_TYPE = { 'content-type': 'text/html; charset=utf-8' };

describe('what answers come to, one after the other', () => {
  const cases: readonly (readonly [
    string,
    PollRules,
    readonly PollAnswer[],
    readonly (readonly string[] | string)[],
  ])[] = [
    ['the same body forever', BODY, [answer('a'), answer('a'), answer('a')], [['a'], 'same', 'same']],
    ['a change, and back', BODY, [answer('a'), answer('b'), answer('a')], [['a'], ['b'], ['a']]],
    [
      'no news',
      BODY,
      [answer('', {}, 204), answer('a'), answer('', {}, 304), answer(''), answer('x', {}, 204), answer('a')],
      ['same', ['a'], 'same', 'same', 'same', 'same'],
    ],
    ['other good statuses', BODY, [answer('a', {}, 203)], [['a']]],
    [
      'errors change nothing',
      BODY,
      [answer('a'), answer('oops', {}, 500), answer('a')],
      [['a'], 'it answers with an error (500)', 'same'],
    ],
    ['not found', BODY, [answer('x', {}, 404)], ['it answers with an error (404)']],
    ['a redirect', BODY, [answer('', {}, 302)], ['it answers with a redirect (302), which is not followed']],
    ['too large', BODY, [answer('x'.repeat(101))], ['its response is too large: 101 bytes, max_message is 100']],
    [
      'HTML where there was JSON',
      BODY,
      [answer('{"a":1}', JSON_TYPE), answer('<html>oops</html>', HTML_TYPE), answer('{"a":2}', JSON_TYPE)],
      [['{"a":1}'], 'it answers with an HTML page instead of JSON', ['{"a":2}']],
    ],
    [
      'an HTML page that claims to be JSON',
      BODY,
      [answer(' {"a":1}'), answer('\n<!DOCTYPE html>', JSON_TYPE)],
      [[' {"a":1}'], 'it answers with an HTML page instead of JSON'],
    ],
    [
      'plain words that claim to be HTML, where there was JSON',
      BODY,
      [answer('{"a":1}'), answer('internal error', HTML_TYPE)],
      [['{"a":1}'], 'it answers with an HTML page instead of JSON'],
    ],
    [
      'JSON that always claims to be HTML, as old programs have it',
      BODY,
      [answer('{"a":1}', HTML_TYPE), answer('{"a":2}', HTML_TYPE)],
      [['{"a":1}'], ['{"a":2}']],
    ],
    ['HTML all along', BODY, [answer('<p>1', HTML_TYPE), answer('<p>2', HTML_TYPE)], [['<p>1'], ['<p>2']]],
    ['HTML first, then JSON', BODY, [answer('<p>', HTML_TYPE), answer('[1]', JSON_TYPE)], [['<p>'], ['[1]']]],
    [
      'lines',
      LINES,
      [answer('a\nb\n'), answer('a\nb\nc\n'), answer('b\nc\nd\n'), answer('b\nc\nd\n'), answer('x\n')],
      [['a', 'b'], ['c'], ['d'], 'same', ['x']],
    ],
    ['lines that went away only', LINES, [answer('a\nb\n'), answer('b\n')], [['a', 'b'], 'same']],
    [
      'merge patches',
      DIFF,
      [answer('{"a":1,"b":null}'), answer('{ "a": 1 }'), answer('{"a":1,"c":[1]}'), answer('{"c":[1,2]}')],
      [['{"a":1}'], 'same', ['{"c":[1]}'], ['{"a":null,"c":[1,2]}']],
    ],
    [
      'no JSON for a merge patch',
      DIFF,
      [answer('{"a":1}'), answer('{"a":'), answer('{"a":2}')],
      [['{"a":1}'], 'its response is not JSON', ['{"a":2}']],
    ],
    ['a byte order mark before JSON', DIFF, [answer('\ufeff{"a":1}')], [['{"a":1}']]],
    ['a cursor in what is no JSON', CURSOR, [answer('hello')], ['its response is not JSON']],
    [
      'an endless cursor',
      { ...HEADER, maxMessage: 1e6 },
      [answer('a', { 'x-next': 'x'.repeat(3000) })],
      ['its cursor has more than 2048 characters'],
    ],
  ];
  for (const [name, rules, answers, expected] of cases)
    test(name, () => {
      let memory: PollMemory = NOTHING_KNOWN;
      const got = answers.map((one) => {
        const verdict = judge(one, '', memory, rules, NOW);
        if (verdict.outcome === 'error') return verdict.why;
        memory = verdict.memory;
        return verdict.outcome === 'same' ? 'same' : verdict.messages.map(String);
      });
      assert.deepEqual(got, expected);
    });
});

describe('what is remembered', () => {
  const after = (rules: PollRules, ...answers: readonly PollAnswer[]): PollMemory =>
    answers.reduce<PollMemory>((memory, one) => {
      const verdict = judge(one, 'q', memory, rules, NOW);
      return verdict.outcome === 'error' ? memory : verdict.memory;
    }, NOTHING_KNOWN);

  const cursors: readonly (readonly [string, PollMemory, string | undefined])[] = [
    ['a number in JSON', after(CURSOR, answer('{"next":5}')), '5'],
    ['also of an equal body', after(HEADER, answer('a', { 'x-next': '1' }), answer('a', { 'x-next': '2' })), '2'],
    ['one that goes backwards', after(CURSOR, answer('{"next":5}'), answer('{"next":4}')), '4'],
    ['one that vanishes', after(CURSOR, answer('{"next":5}'), answer('{}')), undefined],
    ['kept by an answer without a body', after(CURSOR, answer('{"next":5}'), answer('', {}, 204)), '5'],
    ['kept by a 304', after(HEADER, answer('a', { 'x-next': '1' }), answer('', {}, 304)), '1'],
    [
      'new with an answer without a body',
      after(HEADER, answer('a', { 'x-next': '1' }), answer('', { 'x-next': '2' }, 204)),
      '2',
    ],
    ['kept by an error', after(CURSOR, answer('{"next":5}'), answer('{"next":6}', {}, 500)), '5'],
  ];
  for (const [name, memory, expected] of cursors) test(`cursor: ${name}`, () => assert.equal(memory.cursor, expected));

  test('validators make the next request for the same query conditional', () => {
    const memory = after(BODY, answer('a', { etag: 'W/"1"', 'last-modified': 'yesterday' }));
    assert.deepEqual(conditions(memory, 'q'), [
      ['if-none-match', 'W/"1"'],
      ['if-modified-since', 'yesterday'],
    ]);
    assert.deepEqual(conditions(memory, 'another'), []);
    assert.deepEqual(conditions(NOTHING_KNOWN, ''), []);
  });
  const fields = (headers: { [name: string]: string }): readonly string[] =>
    conditions(after(BODY, answer('a', headers)), 'q').map(([name]) => name);
  const ago = (milliseconds: number): string => formatHttpDate(NOW - milliseconds);
  const times: readonly (readonly [string, { [name: string]: string }, readonly string[]])[] = [
    ['settled when it was served', { 'last-modified': ago(3000), date: ago(1000) }, ['if-modified-since']],
    ['of the second in which it was served', { 'last-modified': ago(3000), date: ago(3000) }, []],
    ['of the second before', { 'last-modified': ago(4000), date: ago(3000) }, []],
    ['settled by our clock', { 'last-modified': ago(2000) }, ['if-modified-since']],
    ['young by our clock', { 'last-modified': ago(1000) }, []],
    ['of tomorrow', { 'last-modified': ago(-86_400_000) }, []],
    ['young, beside a tag', { 'last-modified': ago(0), etag: '"1"' }, ['if-none-match']],
  ];
  for (const [name, headers, expected] of times)
    test(`Last-Modified: ${name}`, () => assert.deepEqual(fields(headers), expected));

  test('validators stay with a 304 and go with an answer that has none', () => {
    const first = answer('a', { etag: '"1"' });
    assert.deepEqual(conditions(after(BODY, first, answer('', {}, 304)), 'q'), [['if-none-match', '"1"']]);
    assert.deepEqual(conditions(after(BODY, first, answer('', { etag: '"2"' }, 304)), 'q'), [['if-none-match', '"2"']]);
    assert.deepEqual(conditions(after(BODY, first, answer('b')), 'q'), []);
    assert.deepEqual(conditions(after(BODY, first, answer('b', { etag: '"x"' }, 500)), 'q'), [
      ['if-none-match', '"1"'],
    ]);
  });
});

describe('when it is asked again', () => {
  const times = { interval: 1000, most: 60_000 };
  const cases: readonly (readonly [string, Parameters<typeof nextPoll>, number])[] = [
    ['paced by the interval', [{ took: 0, backoff: undefined, retryAfter: undefined }, times, 0.5], 1000],
    ['counted from the last start', [{ took: 300, backoff: undefined, retryAfter: undefined }, times, 0.5], 700],
    [
      'at once after it has waited for news',
      [{ took: 30_000, backoff: undefined, retryAfter: undefined }, times, 0.5],
      0,
    ],
    ['a tenth sooner by chance', [{ took: 0, backoff: undefined, retryAfter: undefined }, times, 0], 900],
    ['a tenth later by chance', [{ took: 0, backoff: undefined, retryAfter: undefined }, times, 1], 1100],
    ['as it asks for', [{ took: 0, backoff: undefined, retryAfter: 5000 }, times, 0.5], 5000],
    ['never sooner than usual', [{ took: 0, backoff: undefined, retryAfter: 0 }, times, 0.5], 1000],
    ['after an error by the back-off', [{ took: 0, backoff: 8000, retryAfter: undefined }, times, 0.5], 8000],
    ['after an error not sooner than usual', [{ took: 0, backoff: 500, retryAfter: undefined }, times, 0.5], 1000],
    ['after an error that took long', [{ took: 90_000, backoff: 500, retryAfter: undefined }, times, 0.5], 500],
    [
      'after an error of what is asked once an hour',
      [{ took: 0, backoff: 500, retryAfter: undefined }, { interval: 3_600_000, most: 60_000 }, 0.5],
      60_000,
    ],
    ['after an error as it asks for', [{ took: 0, backoff: 500, retryAfter: 20_000 }, times, 0.5], 20_000],
  ];
  for (const [name, args, expected] of cases) test(name, () => assert.equal(Math.round(nextPoll(...args)), expected));

  test('Retry-After', () => {
    const now = Date.UTC(2026, 10, 20, 12);
    const read = (value: string): number | undefined => retryAfter([['retry-after', value]], now);
    assert.equal(read('3'), 3000);
    assert.equal(read(' 0 '), 0);
    assert.equal(read('999999999999'), 3_600_000);
    assert.equal(read(formatHttpDate(now + 5000)), 5000);
    assert.equal(read(formatHttpDate(now - 5000)), 0);
    assert.equal(read('soon'), undefined);
    assert.equal(read('-1'), undefined);
    assert.equal(retryAfter([], now), undefined);
  });
});

test('bodies in other character sets', () => {
  const latin = Buffer.from('gr\u00fcn', 'latin1');
  assert.equal(asUtf8(latin, 'text/plain; charset=ISO-8859-1').toString(), 'grün');
  assert.equal(asUtf8(latin, 'text/plain; charset="windows-1252"').toString(), 'grün');
  assert.deepEqual(asUtf8(latin, 'text/plain; charset=klingon'), latin);
  assert.deepEqual(asUtf8(latin, 'text/plain'), latin);
  assert.equal(asUtf8(Buffer.from('\ufeffgrün'), 'text/plain; charset=utf-8').toString(), 'grün');
});
