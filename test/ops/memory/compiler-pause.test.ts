import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CompilerPause, majorFaults } from '../../../src/ops/memory/compiler-pause.ts';

/** What `look` answers, half second by half second, for these numbers of faults in each: - as before, | pauses, > goes on. */
function run(pause: CompilerPause, each: readonly number[]): string {
  let faults = 1000;
  pause.look(faults, 0.5);
  return each
    .map((more) => {
      faults += more;
      if (!pause.look(faults, 0.5)) return '-';
      return pause.paused ? '|' : '>';
    })
    .join('');
}

test('the compiler pauses when faults go on, and not for a single burst', () => {
  for (const [each, expected] of [
    [[0, 0, 0, 0], '----'],
    [[50, 0, 50, 0], '----'],
    [[50, 50, 50, 50], '----'],
    [[51, 51, 51, 51], '-|--'],
    [[5000, 0, 5000, 5000], '---|'],
  ] as const)
    assert.equal(run(new CompilerPause(), each), expected, String(each));
});

test('it goes on after a minute of calm', () => {
  const calm = (times: number): number[] => Array.from({ length: times }, () => 3);
  const pause = new CompilerPause();
  assert.equal(run(pause, [500, 500, ...calm(119), 500, ...calm(120)]), `-|${'-'.repeat(119)}-${'-'.repeat(119)}>`);
  assert.equal(pause.paused, false);
});

test('faults before the first look count for nothing', () => {
  assert.equal(new CompilerPause().look(100_000, 2), false);
});

test('major faults are read from the stat of a process, whatever its name', () => {
  assert.equal(majorFaults('7 (a) S (b) R 1 2 3 4 5 6 7 8 99 10 11 12\n'), 99);
  assert.ok(Number.isInteger(majorFaults(readFileSync('/proc/self/stat', 'latin1'))));
});
