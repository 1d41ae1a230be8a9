/** The steps of ending a program, over both spawners, with programs that obey at each of them or not at all. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Child, Exit, Spawner } from '../../../src/process/spawn.ts';
import {
  Termination,
  type TerminationResult,
  type TerminationStep,
  type TerminationTimes,
  within,
} from '../../../src/process/termination/termination.ts';
import { alive, firstLine, keepAlive, killQuietly, makeSpawner, readable, SPAWNERS, shell, until } from '../support.ts';

const SOON = 30;
/** Enough for a shell to end by itself, on a machine that does much else. */
const LATER = 2000;
/** So long that a step of this time is only over because the program is. */
const LONG = 3_600_000;

interface Case {
  readonly what: string;
  /** Prints one line when it is ready: the ids of everybody in its group who has to be gone. */
  readonly script: string;
  readonly step: TerminationStep;
  readonly exit: Exit;
  /** It ends with its stdin, and has the time for it before anything else happens: what stays is its child. */
  readonly endsFirst?: true;
}

const signal = (name: string): Exit => ({ code: undefined, signal: name });
const code = (number: number): Exit => ({ code: number, signal: undefined });

/** Comes first, so that a program that is ready does ignore them, and so do its children. */
const STUBBORN = 'trap "" INT TERM';
const STAY = 'while :; do sleep 1000; done';

const CASES: readonly Case[] = [
  { what: 'one that ends with its stdin', script: 'echo $$; cat; exit 3', step: 'stdin', exit: code(3) },
  { what: 'one that does not read', script: 'echo $$; exec sleep 1000', step: 'interrupt', exit: signal('SIGINT') },
  {
    what: 'one that cleans up at INT',
    script: 'trap "exit 5" INT; echo $$; sleep 1000',
    step: 'interrupt',
    exit: code(5),
  },
  {
    what: 'one that ignores INT',
    script: 'trap "" INT; echo $$; exec sleep 1000',
    step: 'terminate',
    exit: signal('SIGTERM'),
  },
  {
    what: 'one that ignores INT and TERM',
    script: `${STUBBORN}; echo $$; ${STAY}`,
    step: 'kill',
    exit: signal('SIGKILL'),
  },
  { what: 'one that is stopped', script: 'echo $$; kill -STOP $$', step: 'kill', exit: signal('SIGKILL') },
  {
    what: 'one with a child that ignores INT and TERM as it does',
    script: `${STUBBORN}; (${STAY}) & echo $$ $!; ${STAY}`,
    step: 'kill',
    exit: signal('SIGKILL'),
  },
  {
    what: 'one that ends with its stdin and leaves a child that ignores INT and TERM',
    script: `${STUBBORN}; (${STAY}) & echo $$ $!; cat; exit 0`,
    step: 'kill',
    exit: code(0),
    endsFirst: true,
  },
  {
    what: 'one that ends with its stdin and leaves a child that obeys TERM',
    script: 'trap "" INT; sleep 1000 & echo $$ $!; cat; exit 0',
    step: 'terminate',
    exit: code(0),
    endsFirst: true,
  },
];

/** Short before the step that is expected, long at it. */
function timesFor(step: TerminationStep): TerminationTimes {
  return {
    interruptAfter: step === 'stdin' ? LONG : SOON,
    terminateAfter: step === 'interrupt' ? LONG : SOON,
    killAfter: step === 'terminate' ? LONG : SOON,
  };
}

for (const name of SPAWNERS) {
  describe(`ending, ${name}`, { timeout: 120_000 }, () => {
    let spawner: Spawner;
    let release: () => void;
    before(() => {
      release = keepAlive();
      spawner = makeSpawner(name);
    });
    after(async () => {
      await spawner.close();
      release();
    });

    async function ready(script: string): Promise<{ child: Child; pids: readonly number[] }> {
      const child = await spawner.spawn(shell(script, { stderr: 'null' }));
      return { child, pids: (await firstLine(child.stdout)).split(' ').map(Number) };
    }

    for (const { what, script, step, exit, endsFirst } of CASES) {
      test(`${what}: ${step}`, async () => {
        const { child, pids } = await ready(script);
        const times = { ...timesFor(step), ...(endsFirst && { interruptAfter: LATER }) };
        const ended = await new Termination(child, times).done;
        assert.deepEqual(ended, { exit, step, complete: true } satisfies TerminationResult);
        assert.deepEqual(pids.filter(alive), []);
        child.stdout.destroy();
      });
    }

    test('one that has ended already', async () => {
      const child = await spawner.spawn(shell('exit 2', { stderr: 'null' }));
      await child.exited;
      const ended = await new Termination(child, { interruptAfter: 0, terminateAfter: 0, killAfter: 0 }).done;
      assert.deepEqual(ended, { exit: code(2), step: 'stdin', complete: true });
      child.stdout.destroy();
    });

    test('what was written before stdin is closed still arrives', async () => {
      const child = await spawner.spawn(shell('sleep 0.1; exec wc -c', { stderr: 'null' }));
      child.stdin?.write('x'.repeat(200_000));
      const answer = firstLine(child.stdout);
      await new Termination(child, timesFor('stdin')).done;
      assert.equal((await answer).trim(), '200000');
    });

    test('a full pipe that nobody reads does not keep a program', async () => {
      const child = await spawner.spawn(shell('exec yes', { stderr: 'null' }));
      readable(child.stdout).once('readable', () => undefined);
      const ended = await new Termination(child, timesFor('interrupt')).done;
      assert.deepEqual(ended, { exit: signal('SIGINT'), step: 'interrupt', complete: true });
      child.stdout.destroy();
    });

    test('it can be hastened, and leaves no timer', async () => {
      const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
      const { child, pids } = await ready(`${STUBBORN}; echo $$; ${STAY}`);
      const count = timers();
      const ending = new Termination(child, { interruptAfter: LONG, terminateAfter: LONG, killAfter: LONG });
      ending.hasten({ interruptAfter: 0, terminateAfter: SOON, killAfter: SOON });
      assert.equal((await ending.done).step, 'kill');
      assert.deepEqual(pids.filter(alive), []);
      await until('as many timers as before', () => timers() <= count);
      killQuietly(child);
    });
  });
}

describe('within', () => {
  const times = { interruptAfter: 1000, terminateAfter: 1000, killAfter: 2000 };
  const cases: readonly (readonly [what: string, milliseconds: number, expected: TerminationTimes])[] = [
    ['enough time changes nothing', 4000, times],
    ['half the time halves each', 2000, { interruptAfter: 500, terminateAfter: 500, killAfter: 1000 }],
    ['no time', 0, { interruptAfter: 0, terminateAfter: 0, killAfter: 0 }],
    ['a deadline that has passed', -5, { interruptAfter: 0, terminateAfter: 0, killAfter: 0 }],
  ];
  for (const [what, milliseconds, expected] of cases) {
    test(what, () => assert.deepEqual(within(times, milliseconds), expected));
  }
});
