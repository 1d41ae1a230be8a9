/** A server under measurement: started with what it needs, waited for, ended with everything that it has started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf } from './proc.ts';

/** Milliseconds that a server has until it accepts, and until it has ended. */
const START_DEADLINE = 10_000;
const END_DEADLINE = 5000;

/**
 * Runnel hands the locale on to its programs and its peers do not, and a program that is linked dynamically reads the files of its locale at each
 * start, which makes a `cat` an eighth dearer.
 */
const NO_LOCALE = { LANG: undefined, LC_ALL: undefined };

export interface Service {
  readonly name: string;
  readonly port: number;
  /** The processes that make up the server, without the programs that it runs. */
  processes(): number[];
  stop(): Promise<void>;
}

export interface ServiceOptions {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly port: number;
  /** Where its output goes. */
  readonly folder: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Whether what it starts at once are its workers and not programs. */
  readonly workers?: boolean;
}

/** Resolves when it accepts connections. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const child = spawnGroup(options);
  const { pid } = child;
  const { name, port } = options;
  if (pid === undefined) throw new Error(`${name} cannot be started`);
  try {
    await accepting(port, child);
  } catch (error) {
    await endGroup(child);
    throw new Error(`${name} does not listen; it said: ${readFileSync(outputOf(options), 'utf8').slice(-500)}`, {
      cause: error,
    });
  }
  const processes = (): number[] => [pid, ...childrenOf(pid).filter((one) => options.workers || isStarter(one))];
  return { name, port, processes, stop: () => endGroup(child) };
}

/** What starts the programs of runnel is a part of it, and they are its children. */
function isStarter(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1') === 'runnel-starter\n';
  } catch {
    return false;
  }
}

/** Starts it in a process group of its own, so that it can be ended with its workers. */
export function spawnGroup(options: Omit<ServiceOptions, 'port' | 'workers'>): ChildProcess {
  const output = openSync(outputOf(options), 'a');
  const [program, ...rest] = options.command;
  return spawn(program, rest, {
    detached: true,
    stdio: ['ignore', output, output],
    cwd: options.folder,
    env: { ...process.env, ...NO_LOCALE, ...options.env },
  });
}

export async function endGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  signal(child.pid, 'SIGTERM');
  const timer = setTimeout(() => signal(child.pid, 'SIGKILL'), END_DEADLINE);
  await exited;
  clearTimeout(timer);
}

/** Waits until somebody accepts at `port`. */
export async function accepting(port: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_DEADLINE;
  while (!(await answers(port))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('it has ended');
    if (performance.now() > deadline) throw new Error(`nobody accepts at port ${port}`);
    await sleep(1);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function outputOf(options: { readonly folder: string; readonly name: string }): string {
  return join(options.folder, `${options.name.replaceAll(/[^a-z0-9]+/gi, '-')}.out`);
}

function signal(group: number | undefined, name: NodeJS.Signals): void {
  try {
    if (group !== undefined) process.kill(-group, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
