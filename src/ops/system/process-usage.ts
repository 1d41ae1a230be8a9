/** What a process of this machine uses, from /proc. */
import { readFileSync } from 'node:fs';
import { statFields } from './proc.ts';

export interface ProcessUsage {
  /** Seconds of processor time, in user and in kernel mode, without its children. */
  readonly processor: number;
  /** Bytes of resident memory. */
  readonly resident: number;
}

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS = 100;
/** utime, stime and rss among the fields behind the name (proc_pid_stat(5): 14, 15 and 24, of which the state is 3). */
const [UTIME, STIME, RSS] = [11, 12, 21] as const;

/** Undefined where the process is gone, or /proc does not tell. */
export function processUsage(pid: number, pageSize: number): ProcessUsage | undefined {
  try {
    return parseUsage(readFileSync(`/proc/${pid}/stat`, 'latin1'), pageSize);
  } catch {
    return undefined;
  }
}

/** The same of the text of /proc/PID/stat. */
export function parseUsage(stat: string, pageSize: number): ProcessUsage | undefined {
  const fields = statFields(stat);
  const [user, system, pages] = [UTIME, STIME, RSS].map((at) => Number(fields[at]));
  if (user === undefined || system === undefined || pages === undefined) return undefined;
  if (!Number.isFinite(user + system + pages)) return undefined;
  return { processor: (user + system) / TICKS, resident: pages * pageSize };
}

/** The bytes of a page here: what Node says of our own memory, over what /proc does. */
export function ownPageSize(): number {
  try {
    const pages = Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[1]);
    const size = process.memoryUsage.rss() / pages;
    // The two are read one after the other; pages are 4, 16 or 64 KiB.
    return size > 32768 ? 65536 : size > 8192 ? 16384 : 4096;
  } catch {
    return 4096;
  }
}
