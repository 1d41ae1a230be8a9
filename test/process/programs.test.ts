/** Starting, counting and ending programs as the gateway does, over all spawners. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type ProgramEvents, Programs, type StartOptions, TooManyPrograms } from '../../src/process/programs.ts';
import {
  alive,
  collect,
  descriptors,
  firstLine,
  keepAlive,
  makeSpawner,
  SPAWNERS,
  shell,
  until,
  zombies,
} from './support.ts';

const LONG = 3_600_000;
const PATIENT = { interruptAfter: LONG, terminateAfter: LONG, killAfter: LONG };
const QUICK = { interruptAfter: 20, terminateAfter: 20, killAfter: 20 };

function program(script: string, changes: Partial<StartOptions> = {}): StartOptions {
  return { ...shell(script, { stderr: 'null' }), owner: '/live', termination: PATIENT, ...changes };
}

function recorder(): { readonly events: ProgramEvents; readonly log: string[] } {
  const log: string[] = [];
  return {
    log,
    events: {
      started: (owner) => log.push(`started ${owner}`),
      ended: (owner, reason, exit) => log.push(`ended ${owner} ${reason} ${exit.code ?? exit.signal}`),
      refused: (owner, code) => log.push(`refused ${owner} ${code}`),
      watchdogLost: (reason) => log.push(reason),
    },
  };
}

for (const name of SPAWNERS) {
  describe(`programs, ${name}`, { timeout: 120_000 }, () => {
    let release: () => void;
    before(() => {
      release = keepAlive();
    });
    after(() => release());

    function make(max = 10): { programs: Programs; log: string[] } {
      const { events, log } = recorder();
      return { programs: new Programs(makeSpawner(name), max, events), log };
    }

    const ends: readonly (readonly [what: string, script: string, said: string])[] = [
      ['status 0', 'exit 0', 'ok 0'],
      ['another status', 'exit 3', 'failed 3'],
      ['a signal', 'kill -SEGV $$', 'signal SIGSEGV'],
    ];
    for (const [what, script, said] of ends) {
      test(`one that ends by itself with ${what}`, async () => {
        const { programs, log } = make();
        const started = await programs.start(program(script));
        assert.equal(programs.size, 1);
        started.stdout.resume();
        await started.over;
        assert.equal(programs.size, 0);
        assert.deepEqual(log, ['started /live', `ended /live ${said}`]);
        await programs.closeAll(1000);
      });
    }

    test('it is over when its stdout has ended too, not before', async () => {
      const { programs, log } = make();
      const started = await programs.start(program('(read x; echo late) <&0 & exit 0', { stdin: 'pipe' }));
      const late = await programs.start(program('exec 3<&0; (read x; echo late) <&3 & exit 0'));
      started.stdout.resume();
      await Promise.all([started.over, late.exited]);
      assert.equal(programs.size, 1);
      late.stdin?.end('\n');
      assert.equal(await collect(late.stdout), 'late\n');
      await late.over;
      assert.deepEqual(log.slice(-1), ['ended /live ok 0']);
      await programs.closeAll(1000);
    });

    // The starter has no table that could be read from outside.
    if (name !== 'starter')
      test("a number that is free again is the watchdog's no more, though the program is not over", async () => {
        const { programs } = make();
        // It goes away into a session of its own, with the stdout.
        const started = await programs.start(program('setsid sleep 1000 & echo $!'));
        const background = Number(await firstLine(started.stdout));
        await started.exited;
        const table = `/proc/${programs.watchdogPid}/fd/3`;
        await until(
          'it is forgotten',
          () => !new RegExp(`^${started.pid} *$`, 'm').test(readFileSync(table, 'latin1')),
        );
        assert.equal(programs.size, 1);
        process.kill(background, 'SIGKILL');
        await started.over;
        await programs.closeAll(1000);
      });

    test('background processes without its stdout are left alone', async () => {
      const { programs } = make();
      const started = await programs.start(program('sleep 1000 >/dev/null 2>&1 & echo $!'));
      const background = Number(await firstLine(started.stdout));
      await started.over;
      await programs.closeAll(1000);
      assert.equal(alive(background), true);
      process.kill(background, 'SIGKILL');
    });

    test('one that is ended by us', async () => {
      const { programs, log } = make();
      const started = await programs.start(
        program('trap "" INT; echo $$; exec sleep 1000', {
          termination: { ...PATIENT, interruptAfter: 0, terminateAfter: 20 },
        }),
      );
      await firstLine(started.stdout);
      const ended = await programs.end(started);
      assert.deepEqual(ended, { exit: { code: undefined, signal: 'SIGTERM' }, step: 'terminate', complete: true });
      assert.deepEqual(log, ['started /live', 'ended /live ended SIGTERM']);
      assert.deepEqual(await programs.end(started), { exit: ended.exit, step: 'stdin', complete: true });
      await programs.closeAll(1000);
    });

    test('ending twice: the sooner times hold', async () => {
      const { programs, log } = make();
      const started = await programs.start(program('trap "" INT TERM; echo; while :; do sleep 1000; done'));
      await firstLine(started.stdout);
      const [first, second] = await Promise.all([programs.end(started), programs.end(started, QUICK)]);
      assert.equal(first.step, 'kill');
      assert.deepEqual(second, first);
      assert.equal(log.filter((line) => line.startsWith('ended')).length, 1);
      await programs.closeAll(1000);
    });

    test('no more than the maximum, those on their way included', async () => {
      const { programs, log } = make(2);
      const results = await Promise.allSettled(Array.from({ length: 5 }, () => programs.start(program('cat'))));
      const refused = results.filter((result) => result.status === 'rejected');
      assert.equal(refused.length, 3);
      for (const { reason } of refused) assert.ok(reason instanceof TooManyPrograms);
      assert.equal(log.filter((line) => line === 'refused /live max').length, 3);
      await programs.closeAll(1000);
      assert.equal(programs.size, 0);
    });

    test('one that cannot be started does not count', async () => {
      const { programs, log } = make(1);
      for (let n = 0; n < 3; n++) {
        await assert.rejects(programs.start(program('', { file: '/nowhere' })), { code: 'ENOENT' });
      }
      assert.deepEqual(log, Array(3).fill('refused /live ENOENT'));
      assert.equal(programs.size, 0);
      await programs.closeAll(1000);
    });

    test('closing ends all, those on their way too, and refuses new ones', async () => {
      const { programs } = make(20);
      const stubborn = program('trap "" INT TERM; echo; while :; do sleep 1000; done');
      const running = await Promise.all(Array.from({ length: 3 }, () => programs.start(stubborn)));
      await Promise.all(running.map((one) => firstLine(one.stdout)));
      const onTheWay = programs.start(stubborn);
      const closed = programs.closeAll(300);
      await assert.rejects(programs.start(stubborn), TooManyPrograms);
      running.push(await onTheWay);
      await closed;
      assert.deepEqual(
        running.filter((one) => alive(one.pid)),
        [],
      );
      assert.equal(programs.size, 0);
      assert.equal(programs.closeAll(300), programs.closeAll(0));
    });

    test('200 rounds of start, talk and end leave nothing behind', async () => {
      const warm = make();
      await (await warm.programs.start(program('true', { stdin: 'null' }))).exited;
      await warm.programs.closeAll(1000);
      const count = descriptors();
      const { programs } = make();
      let left = 200;
      const worker = async () => {
        while (left-- > 0) {
          const one = await programs.start(program('cat'));
          one.stdin?.write('hello\n');
          assert.equal(await firstLine(one.stdout), 'hello');
          await programs.end(one);
        }
      };
      await Promise.all(Array.from({ length: 8 }, worker));
      await programs.closeAll(1000);
      await until('as many descriptors as before', () => descriptors() === count);
      assert.equal(zombies(), 0);
    });
  });
}
