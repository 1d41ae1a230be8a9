/** What the tests of this folder share: spawners to run over, programs to start, and conditions to wait for. */
import { readdirSync, readFileSync } from 'node:fs';

import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { openAssets } from '../../src/ops/assets.ts';
import type { Child, Output, Spawner, SpawnOptions } from '../../src/process/spawn.ts';
import { chooseSpawner, STARTER } from '../../src/process/spawner.ts';
import { type ProcessStat, parseStat } from '../../src/process/termination/termination.ts';

export type SpawnerName = 'starter' | 'posix' | 'child_process';

/** Whether there is a starter: a clone without a C compiler has none. For continuous integration a missing one is a failure. */
export const HAS_STARTER = process.env['CI'] !== undefined || openAssets().has(STARTER);
export const SPAWNERS: readonly SpawnerName[] = [
  ...(HAS_STARTER ? (['starter'] as const) : []),
  'posix',
  'child_process',
];

/** Throws where it is not the one that was asked for: the tests must not pass for want of FFI. */
export function makeSpawner(name: SpawnerName): Spawner {
  const { spawner, reason } = chooseSpawner(openAssets(), name, () => undefined);
  if (spawner.name !== name) throw new Error(reason);
  return spawner;
}

export const PATH = '/usr/local/bin:/usr/bin:/bin';

/** A shell one-liner, with a pipe everywhere and PATH as its environment. */
export function shell(script: string, changes: Partial<SpawnOptions> = {}): SpawnOptions {
  return {
    file: '/bin/sh',
    argv: ['sh', '-c', script],
    env: new Map([['PATH', PATH]]),
    directory: undefined,
    stdin: 'pipe',
    stderr: 'pipe',
    ...changes,
  };
}

/** All that comes to the end of it. */
export function collect(output: Output | undefined): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const done = (): void => resolve(Buffer.concat(chunks).toString());
    if (output === undefined || output.closed) {
      done();
      return;
    }
    output.on('data', (chunk) => chunks.push(chunk));
    output.once('close', done);
    output.resume();
  });
}

/** The whole interface of what a program that is not brief writes. */
export function readable(output: Output): Readable {
  if (!(output instanceof Readable)) throw new TypeError('not a Readable');
  return output;
}

/** The first line that a program prints; the output stays open. */
export async function firstLine(output: Output): Promise<string> {
  const [line = ''] = await lines(output, 1);
  return line;
}

/** The first lines that a program prints; the output stays open. */
export function lines(output: Output, count: number): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onData = (chunk: Buffer) => {
      text += chunk.toString();
      const found = text.split('\n');
      if (found.length <= count) return;
      output.off('data', onData);
      resolve(found.slice(0, count));
    };
    output.on('data', onData);
    output.once('close', () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
  });
}

/** Generous: it is only there so that a broken test ends. */
const PATIENCE = 30_000;

export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never came: ${what}`);
    await delay(5);
  }
}

export function statOf(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** Alive, and not only waiting to be reaped by whoever inherited it. */
export function alive(pid: number): boolean {
  const state = statOf(pid)?.state;
  return state !== undefined && state !== 'Z' && state !== 'X';
}

export function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Children of this process that nobody has reaped. */
export function zombies(): number {
  const children = readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number),
  );
  return children.filter((pid) => statOf(pid)?.state === 'Z').length;
}

/** For a test that failed halfway: nothing that it started may stay. */
export function killQuietly(child: Child): void {
  child.signalGroup('SIGKILL');
  child.stdout.destroy();
  child.stderr?.destroy();
  child.stdin?.destroy();
}

/** Programs of `posix` do not keep Node's loop going by themselves; a gateway has listeners for that. */
export function keepAlive(): () => void {
  const timer = setInterval(() => undefined, 1000);
  return () => clearInterval(timer);
}
