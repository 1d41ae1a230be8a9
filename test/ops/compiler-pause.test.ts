import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CompilerPause, majorFaults } from '../../src/ops/compiler-pause.ts';

/** What `look` answers, second by second, for these numbers of faults in each second: - as before, | pauses, > goes on. */
function run(pause: CompilerPause, perSecond: readonly number[]): string {
  let faults = 1000;
  pause.look(faults, 1);
  return perSecond
    .map((more) => {
      faults += more;
      if (!pause.look(faults, 1)) return '-';
      return pause.paused ? '|' : '>';
    })
    .join('');
}

test('the compiler pauses when faults go on, and not for a single burst', () => {
  for (const [perSecond, expected] of [
    [[0, 0, 0, 0], '----'],
    [[5000, 0, 5000, 0], '----'],
    [[100, 100, 100, 100], '----'],
    [[101, 101, 101, 101], '-|--'],
    [[5000, 0, 5000, 5000], '---|'],
  ] as const)
    assert.equal(run(new CompilerPause(), perSecond), expected, String(perSecond));
});

test('it goes on after a minute of calm', () => {
  const calm = (seconds: number): number[] => Array.from({ length: seconds }, () => 3);
  const pause = new CompilerPause();
  assert.equal(run(pause, [500, 500, ...calm(59), 500, ...calm(60)]), `-|${'-'.repeat(59)}-${'-'.repeat(59)}>`);
  assert.equal(pause.paused, false);
});

test('faults before the first look count for nothing, and seconds may be parts', () => {
  const pause = new CompilerPause();
  assert.equal(pause.look(100_000, 0.5), false);
  assert.deepEqual(
    [1, 2, 3, 4].map((turn) => pause.look(100_000 + turn * 60, 0.5)),
    [false, false, false, true],
  );
});

test('major faults are read from the stat of a process, whatever its name', () => {
  assert.equal(majorFaults('7 (a) S (b) R 1 2 3 4 5 6 7 8 99 10 11 12\n'), 99);
  assert.ok(Number.isInteger(majorFaults(readFileSync('/proc/self/stat', 'latin1'))));
});
