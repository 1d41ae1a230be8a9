import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHttpDate, parseHttpDate } from '../../src/files/http-date.ts';
import { type Conditions, conditionsOf, etagOf, precondition, rangeApplies } from '../../src/files/validators.ts';

const modified = Date.UTC(2024, 4, 6, 7, 8, 9);
const validators = { etag: '"tag"', modified };
const same = formatHttpDate(modified);
const earlier = formatHttpDate(modified - 1000);
const later = formatHttpDate(modified + 1000);

test('preconditions in the order of RFC 9110 section 13.2.2', async (t) => {
  const cases: readonly (readonly [name: string, conditions: Conditions, outcome: string])[] = [
    ['none', {}, 'proceed'],
    ['If-None-Match: the tag', { ifNoneMatch: '"tag"' }, 'not-modified'],
    ['If-None-Match: weakly the tag', { ifNoneMatch: 'W/"tag"' }, 'not-modified'],
    ['If-None-Match: another', { ifNoneMatch: '"other"' }, 'proceed'],
    ['If-None-Match: a list', { ifNoneMatch: '"a", W/"b" ,"tag"' }, 'not-modified'],
    ['If-None-Match: a list with a comma in a tag', { ifNoneMatch: '"a,b","tag"' }, 'not-modified'],
    ['If-None-Match: a list with empty members', { ifNoneMatch: ', ,"tag", ,' }, 'not-modified'],
    ['If-None-Match: the tag inside another', { ifNoneMatch: '"a,"tag"' }, 'proceed'],
    ['If-None-Match: *', { ifNoneMatch: ' * ' }, 'not-modified'],
    ['If-None-Match: without quotes', { ifNoneMatch: 'tag' }, 'proceed'],
    ['If-None-Match: empty', { ifNoneMatch: '' }, 'proceed'],
    ['If-Modified-Since: same second', { ifModifiedSince: same }, 'not-modified'],
    ['If-Modified-Since: later', { ifModifiedSince: later }, 'not-modified'],
    ['If-Modified-Since: earlier', { ifModifiedSince: earlier }, 'proceed'],
    ['If-Modified-Since: no date', { ifModifiedSince: 'yesterday' }, 'proceed'],
    ['If-None-Match outranks If-Modified-Since', { ifNoneMatch: '"other"', ifModifiedSince: later }, 'proceed'],
    ['If-None-Match with an older date', { ifNoneMatch: '"tag"', ifModifiedSince: earlier }, 'not-modified'],
    ['If-Match: the tag', { ifMatch: '"tag"' }, 'proceed'],
    ['If-Match: *', { ifMatch: '*' }, 'proceed'],
    ['If-Match: weakly the tag', { ifMatch: 'W/"tag"' }, 'precondition-failed'],
    ['If-Match: another', { ifMatch: '"other"' }, 'precondition-failed'],
    ['If-Match: rubbish', { ifMatch: 'tag' }, 'precondition-failed'],
    ['If-Match outranks If-Unmodified-Since', { ifMatch: '"tag"', ifUnmodifiedSince: earlier }, 'proceed'],
    ['If-Unmodified-Since: same', { ifUnmodifiedSince: same }, 'proceed'],
    ['If-Unmodified-Since: earlier', { ifUnmodifiedSince: earlier }, 'precondition-failed'],
    ['If-Unmodified-Since: no date', { ifUnmodifiedSince: '0' }, 'proceed'],
    ['If-Match holds, If-None-Match too', { ifMatch: '"tag"', ifNoneMatch: '"tag"' }, 'not-modified'],
    ['If-Match fails, If-None-Match holds', { ifMatch: '"x"', ifNoneMatch: '"tag"' }, 'precondition-failed'],
    ['Range alone is no precondition', { range: 'bytes=0-1', ifRange: '"x"' }, 'proceed'],
  ];
  for (const [name, conditions, outcome] of cases) {
    await t.test(name, () => assert.equal(precondition(conditions, validators), outcome));
  }
});

test('If-Range', () => {
  const now = modified + 3_600_000;
  const cases: readonly (readonly [string | undefined, boolean])[] = [
    [undefined, true],
    ['"tag"', true],
    ['"other"', false],
    ['W/"tag"', false],
    ['"tag", "other"', false],
    [same, true],
    [later, false],
    [earlier, false],
    ['rubbish', false],
  ];
  for (const [field, applies] of cases) assert.equal(rangeApplies(field, validators, now), applies, field);
  assert.equal(rangeApplies(same, validators, modified + 1000), false, 'a date that is too young is weak');
});

test('conditionsOf finds the fields and joins repeated ones', () => {
  assert.equal(
    conditionsOf([
      ['host', 'x'],
      ['referer', 'y'],
    ]),
    undefined,
  );
  assert.deepEqual(
    conditionsOf([
      ['if-none-match', '"a"'],
      ['range', 'bytes=0-'],
      ['if-none-match', '"b"'],
    ]),
    { ifNoneMatch: '"a", "b"', range: 'bytes=0-' },
  );
});

test('a tag is the same for the same size and time, and differs by a nanosecond', () => {
  assert.equal(etagOf(5, 1_700_000_000_123_456_789n), etagOf(5, 1_700_000_000_123_456_789n));
  assert.notEqual(etagOf(5, 1_700_000_000_123_456_789n), etagOf(5, 1_700_000_000_123_456_788n));
  assert.match(etagOf(0, 0n), /^"[\x21\x23-\x7e]+"$/);
});

test('dates in all three forms (RFC 9110 section 5.6.7)', () => {
  const time = Date.UTC(1994, 10, 6, 8, 49, 37);
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['Sun, 06 Nov 1994 08:49:37 GMT', time],
    ['Sunday, 06-Nov-94 08:49:37 GMT', time],
    ['Sun Nov  6 08:49:37 1994', time],
    ['Sun, 06 Nov 1994 08:49:37 UTC', undefined],
    ['Sun, 6 Nov 1994 08:49:37 GMT', undefined],
    ['sun, 06 nov 1994 08:49:37 gmt', undefined],
    ['Sun, 06 Nov 1994 25:49:37 GMT', undefined],
    ['Sun, 00 Nov 1994 08:49:37 GMT', undefined],
    ['1994-11-06T08:49:37Z', undefined],
    ['784111777', undefined],
    ['', undefined],
  ];
  for (const [text, expected] of cases) assert.equal(parseHttpDate(text), expected, text);
  assert.equal(formatHttpDate(time + 999), 'Sun, 06 Nov 1994 08:49:37 GMT');
});
