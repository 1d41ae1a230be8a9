/** Which TCP ports of this machine something listens on, and what, as far as /proc tells this user. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface TakenPort {
  readonly port: number;
  /** The name of the program; undefined where another user's is not told. */
  readonly program: string | undefined;
}

/** proc_net_tcp(5): state 0A is listening; the inode is the tenth field. */
const LISTENING = /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:0000 0A (?:\S+\s+){5}(\d+)/;

/** Each port once, in order; empty without /proc. */
export function takenPorts(): readonly TakenPort[] {
  const sockets = new Map<number, string>();
  for (const file of ['/proc/self/net/tcp', '/proc/self/net/tcp6'])
    for (const line of lines(file)) {
      const match = LISTENING.exec(line);
      if (match !== null) sockets.set(Number.parseInt(match[1] ?? '', 16), match[2] ?? '');
    }
  const programs = ownersOf(new Set(sockets.values()));
  return [...sockets].map(([port, inode]) => ({ port, program: programs.get(inode) })).sort((a, b) => a.port - b.port);
}

/** The programs that have these sockets open, by inode. */
function ownersOf(inodes: ReadonlySet<string>): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const pid of entries('/proc').filter((name) => /^\d+$/.test(name)))
    for (const descriptor of entries(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(target(`/proc/${pid}/fd/${descriptor}`))?.[1];
      if (inode !== undefined && inodes.has(inode) && !found.has(inode))
        found.set(inode, lines(`/proc/${pid}/comm`)[0] ?? '');
    }
  return found;
}

function lines(file: string): readonly string[] {
  try {
    return readFileSync(file, 'latin1').split('\n');
  } catch {
    return [];
  }
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
