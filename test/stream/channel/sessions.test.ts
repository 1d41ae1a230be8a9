import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Sessions } from '../../../src/stream/channel/sessions.ts';

const ALICE = { type: 'Bearer', name: 'alice' } as const;

describe('sessions', () => {
  const sessions = new Sessions();
  const session = sessions.issue(7, ALICE);
  const flipped = (at: number): string =>
    session.slice(0, at) + (session[at] === '0' ? '1' : '0') + session.slice(at + 1);

  test('the client that it was told to', () => {
    assert.equal(sessions.numberOf(session, ALICE), 7);
    assert.equal(sessions.numberOf(sessions.issue(123_456, undefined), undefined), 123_456);
  });

  const strangers: readonly (readonly [
    what: string,
    session: string,
    user: { type: string; name: string } | undefined,
  ])[] = [
    ['nobody in particular', session, undefined],
    ['another user', session, { type: 'Bearer', name: 'bob' }],
    ['a user of the same name by another way', session, { type: 'Basic', name: 'alice' }],
    ['another number', `${session.slice(0, -1)}8`, ALICE],
    ['the number only', '7', ALICE],
    ['a name', 'c7', ALICE],
    ['nothing', '', ALICE],
    ['another proof', flipped(0), ALICE],
    ['another end of the proof', flipped(17), ALICE],
    ['the number written otherwise', `${session.slice(0, 18)}0000007`, ALICE],
    ['another form', session.toUpperCase(), ALICE],
    ['too much', session.repeat(10), ALICE],
    ['a session of another stream', new Sessions().issue(7, ALICE), ALICE],
  ];
  for (const [what, shown, user] of strangers)
    test(`not ${what}`, () => assert.equal(sessions.numberOf(shown, user), undefined));
});
