/** What happens when the starter is killed, hangs or is not there, and when the gateway is killed after that. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadKoffi } from '../../../src/ops/addons/addon.ts';
import { openAssets } from '../../../src/ops/assets.ts';
import { posixParts } from '../../../src/process/posix/posix.ts';
import { SpawnError } from '../../../src/process/spawn.ts';
import { STARTER } from '../../../src/process/spawner.ts';
import { StarterSpawner, type StarterSpawnerOptions } from '../../../src/process/starter/spawner.ts';
import {
  alive,
  collect,
  descriptors,
  firstLine,
  HAS_STARTER,
  keepAlive,
  shell,
  statOf,
  until,
  zombies,
} from '../support.ts';

const LITTLE_GATEWAY = fileURLToPath(new URL('../little-gateway.js', import.meta.url));

const assets = openAssets();
const addon = loadKoffi(assets);

const skip = HAS_STARTER ? false : 'needs a C compiler at build time';

describe('a starter', { timeout: 120_000, skip }, () => {
  let release: () => void;
  before(() => {
    release = keepAlive();
  });
  after(() => release());

  function make(changes: Partial<StarterSpawnerOptions> = {}): { spawner: StarterSpawner; lost: string[] } {
    const lost: string[] = [];
    const program = (): Buffer => assets.read(STARTER);
    const options = { program, lost: (reason: string) => lost.push(reason), young: 0, ...changes };
    return { spawner: new StarterSpawner(posixParts(addon), options), lost };
  }

  function killStarter(spawner: StarterSpawner): number {
    const pid = spawner.guardPid;
    assert.ok(pid !== undefined);
    process.kill(pid, 'SIGKILL');
    return pid;
  }

  test('is there with the first program, and gone when it is closed', async () => {
    const { spawner } = make();
    assert.equal(spawner.guardPid, undefined);
    const child = await spawner.spawn(shell('exit 3'));
    assert.deepEqual([await collect(child.stdout), await child.exited], ['', { code: 3, signal: undefined }]);
    const pid = spawner.guardPid;
    assert.ok(pid !== undefined && alive(pid));
    await spawner.close();
    assert.equal(alive(pid), false);
    assert.equal(zombies(), 0);
  });

  test('has no descriptor of the gateway, and nobody of its user may trace it', async () => {
    const { spawner } = make();
    await spawner.prepare();
    const starter = statOf(spawner.guardPid ?? 0);
    assert.equal(starter?.session, spawner.guardPid);
    const { out } = await run(spawner, `ls /proc/${spawner.guardPid}/fd | wc -l`);
    // Socket, answers, its own code, /dev/null, signals. Root may look; another user sees none at all.
    assert.equal(Number(out), process.getuid?.() === 0 ? 5 : 0);
    await spawner.close();
  });

  async function run(spawner: StarterSpawner, script: string): Promise<{ out: string; code: number | undefined }> {
    const child = await spawner.spawn(shell(script, { stderr: 'null' }));
    child.stdin?.end();
    const [out, exit] = await Promise.all([collect(child.stdout), child.exited]);
    return { out, code: exit.code };
  }

  test('that is killed: programs go on and end as before, and another one starts the next', async () => {
    const { spawner, lost } = make();
    const child = await spawner.spawn(shell('echo on; read x; echo "got $x"; exit 5', { stderr: 'null' }));
    const signalled = await spawner.spawn(shell('echo on; exec sleep 1000', { stderr: 'null' }));
    const leaderless = await spawner.spawn(shell('sleep 1000 & echo $!', { stderr: 'null' }));
    const background = Number(await firstLine(leaderless.stdout));
    await leaderless.exited;
    assert.equal(await firstLine(child.stdout), 'on');
    const first = killStarter(spawner);
    await until('another one', () => spawner.guardPid !== undefined && spawner.guardPid !== first);
    assert.deepEqual(lost, [
      'the process that starts programs has died; programs continue, and another one is started',
    ]);
    child.stdin?.end('it\n');
    assert.equal(await collect(child.stdout), 'got it\n');
    assert.deepEqual(await child.exited, { code: 5, signal: undefined });
    assert.equal(signalled.signalGroup('SIGTERM'), true);
    assert.deepEqual(await signalled.exited, { code: undefined, signal: 'SIGTERM' });
    assert.equal(leaderless.signalGroup('SIGKILL'), true);
    await until('the background process is gone', () => !alive(background));
    assert.deepEqual(await run(spawner, 'echo next'), { out: 'next\n', code: 0 });
    for (const one of [signalled, leaderless]) one.stdout.destroy();
    await spawner.close();
    await until('no zombie', () => zombies() === 0);
  });

  test('that is killed in the midst of starts: every program is started once, and ends', async () => {
    const count = descriptors();
    const { spawner } = make();
    await spawner.prepare();
    for (let round = 0; round < 10; round++) {
      const before = spawner.guardPid;
      const brief = round % 2 === 0;
      const options = shell('echo $$; exit 9', { stderr: 'null', stdin: 'null', brief });
      const starts = Array.from({ length: 100 }, () => spawner.spawn(options));
      const killed = starts[round * 5]?.then(() => killStarter(spawner));
      const children = await Promise.all(starts);
      await killed;
      const ends = await Promise.all(children.map((child) => Promise.all([collect(child.stdout), child.exited])));
      for (const [index, [out, exit]] of ends.entries()) {
        assert.equal(out, `${children[index]?.pid}\n`);
        // One whose end was known to nobody but the killed one: it is said to be unknown.
        if (exit.signal !== 'unknown') assert.deepEqual(exit, { code: 9, signal: undefined });
      }
      await until('another one', () => spawner.guardPid !== undefined && spawner.guardPid !== before);
    }
    await spawner.close();
    await until('no zombie', () => zombies() === 0);
    await until('as many descriptors as before', () => descriptors() <= count);
  });

  test('that is stopped: who ends a program wakes it', async () => {
    const { spawner, lost } = make();
    const child = await spawner.spawn(
      shell("trap '' INT TERM; echo on; while :; do sleep 1000; done", { stderr: 'null' }),
    );
    assert.equal(await firstLine(child.stdout), 'on');
    const starter = spawner.guardPid ?? 0;
    process.kill(starter, 'SIGSTOP');
    await until('it has stopped', () => statOf(starter)?.state === 'T');
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) child.signalGroup(signal);
    assert.deepEqual(await child.exited, { code: undefined, signal: 'SIGKILL' });
    assert.equal(spawner.guardPid, starter);
    assert.deepEqual(lost, []);
    child.stdout.destroy();
    await spawner.close();
  });

  test('that is killed before it has passed a KILL on: the program is ended all the same', async () => {
    const { spawner } = make();
    for (let round = 0; round < 10; round++) {
      const child = await spawner.spawn(shell('trap "" TERM; echo on; sleep 1000; echo off', { stderr: 'null' }));
      assert.equal(await firstLine(child.stdout), 'on');
      const starter = spawner.guardPid;
      if (round % 2 === 0) {
        killStarter(spawner);
        child.signalGroup('SIGKILL');
      } else {
        child.signalGroup('SIGKILL');
        killStarter(spawner);
      }
      const { signal } = await child.exited;
      assert.ok(signal === 'SIGKILL' || signal === 'unknown', signal);
      child.stdout.destroy();
      await until('another one', () => spawner.guardPid !== undefined && spawner.guardPid !== starter);
    }
    await spawner.close();
    await until('no zombie', () => zombies() === 0);
  });

  test('that is killed young has no successor: posix_spawn does it', async () => {
    const { spawner, lost } = make({ young: 1e9 });
    assert.equal(spawner.guardsPrograms, true);
    const child = await spawner.spawn(shell('read x; exit 6'));
    killStarter(spawner);
    await until('it is known', () => !spawner.guardsPrograms);
    assert.match(lost[0] ?? '', /cannot be used.*has died/);
    assert.deepEqual(await run(spawner, 'echo next'), { out: 'next\n', code: 0 });
    child.stdin?.end('\n');
    assert.deepEqual(await child.exited, { code: 6, signal: undefined });
    child.stdout.destroy();
    await spawner.close();
  });

  test('that hangs is killed, and what waits for it is started by another', async () => {
    const { spawner, lost } = make({ silence: 200 });
    await spawner.prepare();
    process.kill(spawner.guardPid ?? 0, 'SIGSTOP');
    assert.deepEqual(await run(spawner, 'echo late'), { out: 'late\n', code: 0 });
    assert.equal(lost.length, 1);
    await spawner.close();
  });

  const broken: readonly (readonly [what: string, program: () => Buffer])[] = [
    ['is missing', () => assets.read('process/starter/no-starter')],
    ['is no program', () => Buffer.from('nothing')],
    ['ends at once', () => Buffer.from('#!/bin/true\n')],
  ];
  for (const [what, program] of broken)
    test(`that ${what}: posix_spawn does it`, async () => {
      const { spawner, lost } = make({ program });
      assert.deepEqual(await run(spawner, 'echo by the other'), { out: 'by the other\n', code: 0 });
      assert.equal(spawner.guardsPrograms, false);
      assert.equal(lost.length, 1);
      await assert.rejects(spawner.spawn({ ...shell(''), file: '/nowhere' }), SpawnError);
      await spawner.close();
    });

  test('more at once than can be under way: all are started', async () => {
    const { spawner } = make();
    const many = await Promise.all(Array.from({ length: 300 }, (_, n) => run(spawner, `echo ${n}`)));
    for (const [n, { out }] of many.entries()) assert.equal(out, `${n}\n`);
    await spawner.close();
  });

  test('arguments and variables that do not fit into a packet', async () => {
    const { spawner } = make();
    const env = new Map(Array.from({ length: 3000 }, (_, n) => [`N${n}`, 'ä'.repeat(100)] as const));
    const child = await spawner.spawn({ ...shell(''), file: '/usr/bin/env', argv: ['env'], env });
    const lines = (await collect(child.stdout)).trim().split('\n');
    assert.deepEqual(
      lines,
      [...env].map(([name, value]) => `${name}=${value}`),
    );
    await spawner.close();
  });

  test('a gateway that is killed after its starter was: nobody is left', async () => {
    const scripts = ['echo $$; exec sleep 1000', 'trap "" INT TERM; sleep 1000 & echo $! $$; wait'];
    const gateway = spawn(process.execPath, [LITTLE_GATEWAY, 'starter', '--kill', ...scripts], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { pids, watchdog } = JSON.parse(await firstLine(gateway.stdout)) as { pids: number[]; watchdog: number };
    assert.equal(pids.filter(alive).length, 3);
    assert.ok(alive(watchdog));
    gateway.kill('SIGKILL');
    await until('all are gone', () => ![...pids, watchdog].some(alive));
  });
});
