/** Questions to /proc about processes that are not our own children. */
import { readdir, readFile } from 'node:fs/promises';

/** What proc_pid_stat(5) says of a process. */
export interface ProcessStat {
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
}

/** Reads the text of /proc/PID/stat. The name in parentheses may have spaces and parentheses of its own. */
export function parseStat(text: string): ProcessStat | undefined {
  const [state, parent, group, session] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (state === undefined || session === undefined) return undefined;
  return { state, parent: Number(parent), group: Number(group), session: Number(session) };
}

/** Whether everybody who is left in this group is dead and only waits to be reaped by whoever inherited it. */
export async function onlyZombies(group: number): Promise<boolean> {
  let names: string[];
  try {
    names = await readdir('/proc');
  } catch {
    // Without /proc nobody can tell; somebody may be alive.
    return false;
  }
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    // It may be gone by now, and then it does not count.
    const text = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
    const stat = parseStat(text);
    if (stat?.group === group && stat.state !== 'Z' && stat.state !== 'X') return false;
  }
  return true;
}
