/** What the kernel says of processes: the tests' way to prove that nothing is left. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
  readonly session: number;
  readonly command: string;
}

/** Every process that can be seen now. */
export function processes(): readonly ProcessFacts[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const command = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
      return [{ pid: Number(name), parent: Number(rest[1]), state: rest[0] ?? '?', session: Number(rest[3]), command }];
    } catch {
      return [];
    }
  });
}

/** The programs of the gateway `pid`, zombies too: its own children or those of its starter, without what it starts for itself and what programs have left behind. */
export function programsOf(pid: number): readonly ProcessFacts[] {
  const all = processes();
  const starter = all.find(({ parent, command }) => parent === pid && command === 'runnel-starter')?.pid;
  return all.filter(
    (one) => (one.parent === pid || one.parent === starter) && one.session === one.pid && !isOwn(one.command),
  );
}

function isOwn(command: string): boolean {
  return command === 'runnel-starter' || command.startsWith('runnel-watchdog');
}

/** How many descriptors `pid` has open, by what they are. */
export function descriptorsOf(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${name}`)];
    } catch {
      return [];
    }
  });
}

/** A figure of /proc/PID/status in KiB, such as VmRSS. */
export function memoryOf(pid: number, field: 'VmRSS' | 'RssAnon'): number {
  return Number(
    new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? Number.NaN,
  );
}

/** The TCP connections of IPv4 that `pid` has open, as "own port, other's port, state": tells whose a descriptor is that was left. */
export function connectionsOf(pid: number): readonly string[] {
  const sockets = new Set(descriptorsOf(pid).flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
  const port = (address = ''): number => Number.parseInt(address.slice(address.indexOf(':') + 1), 16);
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , , , , , , , inode = '']) => sockets.has(inode))
    .map(([, own, other, state = '']) => `${port(own)} ${port(other)} ${STATES.get(state) ?? state}`);
}

/** Of the kernel's numbers for the states of TCP, those that something left over is in. */
const STATES: ReadonlyMap<string, string> = new Map([
  ['01', 'established'],
  ['06', 'time-wait'],
  ['08', 'close-wait'],
  ['0A', 'listens'],
]);

/** Waits until something is so; fails with what it is called when it never becomes so. */
export async function until(
  what: string | (() => string),
  isSo: () => boolean | Promise<boolean>,
  milliseconds = 60_000,
): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`it did not come true: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
