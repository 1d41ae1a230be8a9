import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Held } from '../../src/ownership/held.ts';

for (const [what, act, ended, given] of [
  ['taken', (held) => [held.take()], 0, ['it']],
  ['given back', (held) => [held.giveBack()], 1, [undefined]],
  ['taken, then given back', (held) => [held.take(), held.giveBack()], 0, ['it', undefined]],
  ['given back, then taken', (held) => [held.giveBack(), held.take()], 1, [undefined, undefined]],
  ['taken twice', (held) => [held.take(), held.take()], 0, ['it', undefined]],
  ['given back twice', (held) => [held.giveBack(), held.giveBack()], 1, [undefined, undefined]],
  ['aborted', (_held, abort) => [abort()], 1, [undefined]],
  ['aborted, then taken', (held, abort) => [abort(), held.take()], 1, [undefined, undefined]],
  ['aborted, then given back', (held, abort) => [abort(), held.giveBack()], 1, [undefined, undefined]],
  ['taken, then aborted', (held, abort) => [held.take(), abort()], 0, ['it', undefined]],
] as const satisfies readonly (readonly [
  string,
  (held: Held<string>, abort: () => void) => unknown[],
  number,
  unknown,
])[]) {
  test(`what is held, ${what}: ended ${ended} times`, () => {
    const aborting = new AbortController();
    const ends: string[] = [];
    const held = new Held('it', (value) => ends.push(value), aborting.signal);
    assert.deepEqual(
      act(held, () => aborting.abort()),
      given,
    );
    assert.equal(ends.length, ended);
  });
}

test('what arrives when nobody waits any more is given back at once', () => {
  const ends: string[] = [];
  const held = new Held('it', (value) => ends.push(value), AbortSignal.abort());
  assert.deepEqual([ends, held.take()], [['it'], undefined]);
});
