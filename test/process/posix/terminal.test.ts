/** Output through a pseudo-terminal: the bytes of a pipe, the back-pressure of a pipe, and nothing lost at the end. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Child, Spawner } from '../../../src/process/spawn.ts';
import {
  alive,
  collect,
  descriptors,
  firstLine,
  keepAlive,
  killQuietly,
  makeSpawner,
  readable,
  shell,
  statOf,
  until,
} from '../support.ts';

/** Field 7 of /proc/PID/stat: the controlling terminal, 0 for none. */
function controllingTerminal(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[4]);
}

describe('a terminal for stdout', { timeout: 60_000 }, () => {
  let spawner: Spawner;
  let release: () => void;
  before(() => {
    release = keepAlive();
    spawner = makeSpawner('posix');
  });
  after(async () => {
    await spawner.close();
    release();
  });
  const onTerminal = (script: string): Promise<Child> => spawner.spawn(shell(script, { stdout: 'terminal' }));

  test('posix has them, child_process has not', () => {
    const count = descriptors();
    assert.equal(spawner.terminals, true);
    assert.ok(descriptors() <= count);
    assert.equal(makeSpawner('child_process').terminals, false);
  });

  test('stdout is one, stdin and stderr are pipes', async () => {
    const child = await onTerminal('for n in 0 1 2; do test -t $n && echo $n; done; cat; echo problem >&2');
    child.stdin?.end('in');
    assert.equal(await collect(child.stdout), '1\nin');
    assert.equal(await collect(child.stderr), 'problem\n');
    assert.deepEqual(await child.exited, { code: 0, signal: undefined });
  });

  test('every byte comes out as it went in', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const child = await spawner.spawn({ ...shell('cat', { stdout: 'terminal' }) });
    child.stdin?.end(bytes);
    const chunks: Buffer[] = [];
    for await (const chunk of readable(child.stdout)) chunks.push(chunk as Buffer);
    assert.deepEqual(Buffer.concat(chunks), bytes);
  });

  test('it is not the controlling terminal, so its end sends no HUP', async () => {
    const child = await onTerminal('echo ready; cat >&2');
    assert.equal(await firstLine(child.stdout), 'ready');
    assert.equal(controllingTerminal(child.pid), 0);
    child.stdout.destroy();
    child.stdin?.end('alive\n');
    assert.equal(await collect(child.stderr), 'alive\n');
    assert.deepEqual(await child.exited, { code: 0, signal: undefined });
  });

  test('its window cuts no line', async () => {
    const child = await onTerminal(`: ${'x'.repeat(500)}; ps -o args= -p $$`);
    assert.ok((await collect(child.stdout)).trim().length > 500);
  });

  for (const size of [1, 3000, 100_000, 1_000_000])
    test(`${size} bytes before the exit, read after it`, async () => {
      const child = await onTerminal(`head -c ${size} /dev/zero`);
      // What the kernel does not hold keeps the program from ending.
      if (size <= 3000) await child.exited;
      for (let turns = 0; turns < 5; turns++) await turn();
      let length = 0;
      // Slowly: every chunk stops the reading and starts it again.
      for await (const chunk of readable(child.stdout)) {
        length += (chunk as Buffer).length;
        await turn();
      }
      assert.equal(length, size);
    });

  test('many short lives lose nothing and leave nothing', async () => {
    const count = descriptors();
    for (let round = 0; round < 100; round++) {
      const child = await onTerminal('printf %5000s end');
      assert.match(await collect(child.stdout), /^ {4997}end$/);
      await child.exited;
      child.stdin?.destroy();
      child.stderr?.destroy();
    }
    // What tests before this one left open may have been closed meanwhile; a hundred leaks would show.
    await until('no more descriptors than before', () => descriptors() <= count);
  });

  test('back-pressure: a program whose output is paused waits, and goes on after it', async (t) => {
    const child = await onTerminal('exec yes');
    t.after(() => killQuietly(child));
    child.stdout.pause();
    await until('yes is blocked in write', () => statOf(child.pid)?.state === 'S');
    assert.ok(readable(child.stdout).readableLength <= 128 << 10);
    let length = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length;
    });
    child.stdout.resume();
    await until('yes is written on', () => length > 1 << 20);
    killQuietly(child);
    await child.exited;
  });

  test('a grandchild that holds it keeps it open, as it does a pipe', async () => {
    const child = await onTerminal('exec 3<&0; { read x <&3; echo late; } & echo early; exit 3');
    assert.equal(await firstLine(child.stdout), 'early');
    assert.deepEqual(await child.exited, { code: 3, signal: undefined });
    child.stdin?.end('\n');
    assert.equal(await collect(child.stdout), 'late\n');
  });

  test('a program whose output nobody wants any more fails to write', async () => {
    const child = await onTerminal('exec yes');
    child.stdout.once('data', () => child.stdout.destroy());
    assert.deepEqual(await child.exited, { code: 1, signal: undefined });
    assert.equal(alive(child.pid), false);
    child.stderr?.destroy();
  });
});
