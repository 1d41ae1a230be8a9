import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Passwords } from '../../../src/policy/auth/passwords.ts';

function trial() {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  const passwords = new Passwords((password, hash) => {
    asked.push(password);
    return new Promise((resolve) => answers.push(() => resolve(`hash of ${password}` === hash)));
  });
  const answer = async (): Promise<void> => {
    while (answers.length === 0) await new Promise(setImmediate);
    answers.shift()?.();
  };
  return { passwords, asked, answer };
}

describe('checking passwords', () => {
  test('fifty at once for one password are one check, and later ones none', async () => {
    const { passwords, asked, answer } = trial();
    const checks = Array.from({ length: 50 }, () => passwords.check('a', 'hash of a', 'here', () => 0));
    await answer();
    assert.deepEqual(new Set(await Promise.all(checks.map((check) => check?.right))), new Set([true]));
    assert.deepEqual(asked, ['a']);
    assert.equal(passwords.remembers('a', 'hash of a', 'here', false, 1000), true);
    assert.equal(passwords.remembers('b', 'hash of a', 'here', false, 1000), false);
    assert.equal(
      passwords.remembers('a', 'hash of b', 'here', false, 1000),
      false,
      'a new hash in the file is a new question',
    );
    assert.equal(passwords.remembers('a', 'hash of a', 'here', false, 6 * 60_000), false, 'not for ever');
  });
  test('for whoever may not guess any more only what was right from the same place', async () => {
    const { passwords, answer } = trial();
    const check = passwords.check('a', 'hash of a', 'here', () => 0);
    await answer();
    await check?.right;
    assert.equal(passwords.remembers('a', 'hash of a', 'here', true, 0), true);
    assert.equal(passwords.remembers('a', 'hash of a', 'there', true, 0), false);
    assert.equal(passwords.remembers('a', 'hash of a', 'there', false, 0), true);
    assert.equal(passwords.remembers('a', 'hash of a', 'there', true, 0), true, 'it has been right from there since');
    for (let at = 0; at < 64; at++) passwords.remembers('a', 'hash of a', `place ${at}`, false, 0);
    assert.equal(passwords.remembers('a', 'hash of a', 'here', true, 0), false, 'so many places and no more');
  });
  test('what was wrong is not remembered', async () => {
    const { passwords, answer } = trial();
    const check = passwords.check('x', 'hash of a', 'here', () => 0);
    await answer();
    assert.equal(await check?.right, false);
    assert.equal(passwords.remembers('x', 'hash of a', 'here', false, 0), false);
  });
  test('one at a time, and only so many wait', async () => {
    const { passwords, asked, answer } = trial();
    const checks = Array.from({ length: 30 }, (_, at) => passwords.check(`p${at}`, 'hash', 'here', () => 0));
    const taken = checks.filter((check) => check !== undefined);
    assert.equal(taken.length, 17);
    await new Promise(setImmediate);
    assert.equal(asked.length, 1);
    for (const _ of taken) await answer();
    await Promise.all(taken.map(({ right }) => right));
    assert.equal(asked.length, 17);
    assert.equal(passwords.pending, 0);
  });
  test('a check that fails does not block the next', async () => {
    let first = true;
    const passwords = new Passwords(async () => {
      if (!first) return true;
      first = false;
      throw new Error('no memory');
    });
    await assert.rejects(passwords.check('a', 'h', 'here', () => 0)?.right ?? Promise.resolve(), /no memory/);
    assert.equal(await passwords.check('b', 'h', 'here', () => 0)?.right, true);
  });
});
