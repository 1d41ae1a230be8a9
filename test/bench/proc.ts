/** What /proc says of processes: CPU time and memory. */
import { readdirSync, readFileSync } from 'node:fs';

/** Ticks of proc_pid_stat(5) a second: 100 on every Linux that Node runs on. */
const TICKS = 100;

/** Seconds of CPU time. */
export interface Cpu {
  /** Of the server's own processes. */
  readonly own: number;
  /** Of the programs that it started: those that it has reaped, and those that run. */
  readonly programs: number;
}

/** Bytes. */
export interface Memory {
  readonly rss: number;
  /** What is shared with other processes is divided among them. */
  readonly pss: number;
  readonly anonymous: number;
}

/** CPU time so far. `server` are the processes that make up the server; what is below them counts as programs. */
export function cpuOf(server: readonly number[]): Cpu {
  let own = 0;
  let programs = 0;
  const below: number[] = [];
  for (const pid of server) {
    const times = statTimes(pid);
    own += times.own;
    programs += times.reaped;
    below.push(...childrenOf(pid).filter((child) => !server.includes(child)));
  }
  for (let pid = below.pop(); pid !== undefined; pid = below.pop()) {
    const times = statTimes(pid);
    programs += times.own + times.reaped;
    below.push(...childrenOf(pid));
  }
  return { own, programs };
}

export function memoryOf(server: readonly number[]): Memory {
  let [rss, pss, anonymous] = [0, 0, 0];
  for (const pid of server) {
    const text = read(`/proc/${pid}/smaps_rollup`);
    const field = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
    rss += field('Rss');
    pss += field('Pss');
    anonymous += field('Anonymous');
  }
  return { rss, pss, anonymous };
}

/** Of all its threads. */
export function childrenOf(pid: number): number[] {
  return read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number).concat(otherThreads(pid));
}

/** The bench's own CPU time for children that it has waited for, in seconds. */
export function reapedCpu(): number {
  return statTimes(process.pid).reaped;
}

function otherThreads(pid: number): number[] {
  // A program can be the child of any thread (Go starts them from whichever is free).
  const threads = read(`/proc/${pid}/status`).match(/^Threads:\s+(\d+)/m)?.[1];
  if (threads === undefined || threads === '1') return [];
  return taskIds(pid)
    .filter((task) => task !== pid)
    .flatMap((task) => read(`/proc/${pid}/task/${task}/children`).split(' ').filter(Boolean).map(Number));
}

function taskIds(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}

function statTimes(pid: number): { readonly own: number; readonly reaped: number } {
  const text = read(`/proc/${pid}/stat`);
  // Behind the name in parentheses the fields begin with number 3.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const field = (number: number): number => fields[number - 3] ?? 0;
  return { own: (field(14) + field(15)) / TICKS, reaped: (field(16) + field(17)) / TICKS };
}

/** "" for a process that has gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
