/** File systems as another user sees them: by owners and permissions, and from within a sandbox. */
import { realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Disk, type DiskFailure, errorCode, notExecutable, UNSEEN } from '../../config/disk/disk.ts';
import type { Account } from '../../process/confinement/accounts.ts';
import type { Sandbox } from '../service-unit.ts';

const READ = 4;
const WRITE = 2;
const EXECUTE = 1;

/** What `account` may, by the permissions of each file and of every folder above it. Access control lists are not looked at. */
export function modeDisk(disk: Disk, account: Account, groups: readonly number[]): Disk {
  const name = `the user ${account.name ?? account.id}`;
  const may = ({ uid, gid, mode }: Stats, right: number): boolean => {
    if (account.id === 0) return right !== EXECUTE || (mode & 0o111) !== 0;
    if (uid === account.id) return ((mode >> 6) & right) === right;
    return ((groups.includes(gid) ? mode >> 3 : mode) & right) === right;
  };
  /** What is at the path, if the account may enter the folders above it. */
  const reached = (path: string): Stats | DiskFailure => {
    for (const folder of foldersAbove(path)) {
      const stat = statOf(folder);
      if ('failed' in stat) return isRight(stat) ? unseen(folder) : stat;
      if (!may(stat, EXECUTE))
        return { failed: 'EACCES', because: `may not be read by ${name}, who may not enter ${folder}` };
    }
    const stat = statOf(path);
    return 'failed' in stat && isRight(stat) ? unseen(path) : stat;
  };
  const refused = (path: string, right: number, because: (mode: number) => string): DiskFailure | undefined => {
    const stat = reached(path);
    if ('failed' in stat) return stat;
    return may(stat, right) ? undefined : { failed: 'EACCES', because: because(stat.mode) };
  };
  const opened = <T>(path: string, read: (path: string) => T | DiskFailure): T | DiskFailure => {
    const trouble = refused(path, READ, () => `may not be read by ${name}`);
    if (trouble !== undefined) return trouble;
    const result = read(path);
    return isFailed(result) && isRight(result) ? unseen(path) : result;
  };
  return {
    searchPath: disk.searchPath,
    look(path) {
      const stat = reached(path);
      if ('failed' in stat) return stat;
      return { found: stat.isDirectory() ? 'folder' : stat.isFile() ? 'file' : 'other' };
    },
    read: (path) => opened(path, disk.read),
    head: (path) => opened(path, disk.head),
    names: (path) => opened(path, disk.names),
    whyNotExecutable: (path) => refused(path, EXECUTE, (mode) => notExecutable(mode, name)),
    isInMemory: (path) => disk.isInMemory(path),
    whyNotWritable: (path) => refused(path, WRITE | EXECUTE, () => `may not be written to by ${name}`),
    whyFileNotWritable: (path) => refused(path, WRITE, () => `may not be written to by ${name}`),
  };
}

/** A disk of which a sandbox hides or protects parts. */
export function sandboxedDisk(disk: Disk, sandbox: Sandbox): Disk {
  // The sandbox may hide a file behind its link, or the link.
  const hidden = (path: string): DiskFailure | undefined => sandbox.hides(path) ?? sandbox.hides(realPath(path));
  return {
    searchPath: disk.searchPath,
    look: (path) => hidden(path) ?? disk.look(path),
    read: (path) => hidden(path) ?? disk.read(path),
    head: (path) => hidden(path) ?? disk.head(path),
    names: (path) => hidden(path) ?? disk.names(path),
    whyNotExecutable: (path) => hidden(path) ?? disk.whyNotExecutable(path),
    isInMemory: (path) => disk.isInMemory(path),
    whyNotWritable: (path) => hidden(path) ?? sandbox.protects(realPath(path)) ?? disk.whyNotWritable(path),
    whyFileNotWritable: (path) => hidden(path) ?? sandbox.protects(realPath(path)) ?? disk.whyFileNotWritable(path),
  };
}

/** The folders above a path, the root first; of a link those above what it leads to, too. */
function foldersAbove(path: string): readonly string[] {
  const above: string[] = [];
  for (const start of new Set([path, realPath(path)]))
    for (let folder = dirname(start); !above.includes(folder); folder = dirname(folder)) above.push(folder);
  return above.sort((a, b) => a.length - b.length);
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function statOf(path: string): Stats | DiskFailure {
  try {
    return statSync(path);
  } catch (error) {
    return { failed: errorCode(error) };
  }
}

function isFailed(value: unknown): value is DiskFailure {
  return typeof value === 'object' && value !== null && 'failed' in value;
}

function isRight({ failed }: DiskFailure): boolean {
  return failed === 'EACCES' || failed === 'EPERM';
}

function unseen(path: string): DiskFailure {
  return { failed: UNSEEN, because: `was not checked, because you may not read ${path}; use "sudo runnel check"` };
}
