/** What falls to the gateway when it is the first process of a container. Being a subreaper (prctl(2)) has the same effect. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { loadKoffi } from '../../../src/ops/addons/addon.ts';
import { openAssets } from '../../../src/ops/assets.ts';
import type { Spawner } from '../../../src/process/spawn.ts';
import { alive, firstLine, keepAlive, lines, makeSpawner, shell, statOf, until, zombies } from '../support.ts';

const PR_SET_CHILD_SUBREAPER = 36;

describe('orphans of programs', { timeout: 60_000 }, () => {
  let spawner: Spawner;
  let release: () => void;
  let subreaper: (on: number) => void;
  before(() => {
    release = keepAlive();
    spawner = makeSpawner('posix');
    const koffi = loadKoffi(openAssets()) as { load(name: string): { func(p: string): (...a: number[]) => number } };
    const prctl = koffi.load('libc.so.6').func('int prctl(int o, ulong a, ulong b, ulong c, ulong d)');
    subreaper = (on) => assert.equal(prctl(PR_SET_CHILD_SUBREAPER, on, 0, 0, 0), 0);
    subreaper(1);
  });
  after(async () => {
    subreaper(0);
    await spawner.close();
    release();
  });

  test('are reaped when they end, though no program is left', async () => {
    const child = await spawner.spawn(shell('sleep 1000 >/dev/null 2>&1 & echo $!', { stderr: 'null' }));
    const orphan = Number(await firstLine(child.stdout));
    await child.exited;
    await until('it is ours', () => statOf(orphan)?.parent === process.pid);
    assert.ok(alive(orphan));
    process.kill(orphan, 'SIGKILL');
    await until('it has been reaped', () => statOf(orphan) === undefined);
    assert.equal(zombies(), 0);
  });

  test('also one that has made a session of its own, and those behind it', async () => {
    const script =
      'for i in 1 2 3; do setsid sleep 1000 & echo $!; done; for i in 1 2 3; do sleep 1000 & echo $!; done';
    const child = await spawner.spawn(shell(`${script}; kill -9 $$`, { stderr: 'null' }));
    const orphans = (await lines(child.stdout, 6)).map(Number);
    assert.deepEqual(await child.exited, { code: undefined, signal: 'SIGKILL' });
    const leaders = () => orphans.filter((orphan) => statOf(orphan)?.session === orphan).length;
    await until('they are ours', () => orphans.every((orphan) => statOf(orphan)?.parent === process.pid));
    await until('three lead a session', () => leaders() === 3);
    for (const orphan of orphans) process.kill(orphan, 'SIGKILL');
    await until('all have been reaped', () => orphans.every((orphan) => statOf(orphan) === undefined));
    assert.equal(zombies(), 0);
    child.stdout.destroy();
  });

  test('while programs are being started all the time, which are told apart', async () => {
    const starting = async (): Promise<number> => {
      let failed = 0;
      for (let left = 40; left > 0; left--) {
        const child = await spawner.spawn(shell('setsid true & exit 7', { stderr: 'null' }));
        const exit = await child.exited;
        child.stdout.destroy();
        if (exit.code !== 7) failed++;
      }
      return failed;
    };
    assert.deepEqual(await Promise.all([starting(), starting(), starting(), starting()]), [0, 0, 0, 0]);
    await until('no zombie', () => zombies() === 0);
  });

  test('and children of node:child_process are left to it', async () => {
    const detached = spawn('/bin/sh', ['-c', 'exit 3'], { detached: true, stdio: 'ignore' });
    const detachedExit = once(detached, 'exit');
    const plain = new Promise((resolve) => execFile('/bin/sh', ['-c', 'exit 4'], (error) => resolve(error?.code)));
    const child = await spawner.spawn(shell('(exit 1) & (exit 2) & exit 5', { stderr: 'null' }));
    child.stdout.resume();
    assert.deepEqual(await child.exited, { code: 5, signal: undefined });
    assert.deepEqual(await detachedExit, [3, null]);
    assert.equal(await plain, 4);
    await until('no zombie', () => zombies() === 0);
  });
});
