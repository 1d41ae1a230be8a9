/** What checking a configuration asks of the file system. An interface, so that the checks can be tested without one. */
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DEFAULT_PATH } from '../../ops/system/search-path.ts';
import { reasonInWords, systemCode, thisUser } from '../../ops/system-errors.ts';
import { type FileTrouble, HEAD_BYTES, programFileTrouble } from './program-file.ts';

export type FileType = 'folder' | 'file' | 'other';

/** Why something cannot be had. */
export interface DiskFailure {
  /** The system's name: "ENOENT", "EACCES" …; or `UNSEEN`. */
  readonly failed: string;
  /** Completes "X …" where there is more to say than the name does. */
  readonly because?: string | undefined;
}

/** Whoever is judged for may have it, but who asks may not look: nothing is wrong as far as that can be told. */
export const UNSEEN = 'UNSEEN';

export interface Disk {
  /** What lies at an absolute path (links followed). */
  look(path: string): { readonly found: FileType } | DiskFailure;
  /** The text of a file. */
  read(path: string): string | DiskFailure;
  /** The first bytes of a regular file: at most `HEAD_BYTES`. */
  head(path: string): Buffer | DiskFailure;
  /** The names in a folder. */
  names(path: string): readonly string[] | DiskFailure;
  /** Why this user may not execute a file; undefined when it may. */
  whyNotExecutable(path: string): DiskFailure | undefined;
  /** Why this user may not make files in a folder; undefined when it may. */
  whyNotWritable(path: string): DiskFailure | undefined;
  /** Why a file that exists cannot be written to. */
  whyFileNotWritable(path: string): DiskFailure | undefined;
  /** Whether a folder is on a file system that is in memory alone. */
  isInMemory(path: string): boolean;
  /** The folders of PATH. */
  readonly searchPath: readonly string[];
}

/** statfs(2): tmpfs and ramfs. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** The real file system, with the PATH of this process unless another is given. */
export function realDisk(searchPath = process.env['PATH'] ?? DEFAULT_PATH): Disk {
  return {
    searchPath: searchPath.split(':').filter((folder) => folder !== ''),
    look: (path) =>
      tried(path, () => {
        const stat = statSync(path);
        return { found: stat.isDirectory() ? 'folder' : stat.isFile() ? 'file' : 'other' } as const;
      }),
    read: (path) => tried(path, () => readFileSync(path, 'utf8')),
    head: (path) => tried(path, () => readHead(path)),
    names: (path) => tried(path, () => readdirSync(path)),
    isInMemory(path) {
      try {
        return IN_MEMORY.has(statfsSync(path).type);
      } catch {
        return false;
      }
    },
    whyNotExecutable: (path) => refusal(path, constants.X_OK, () => notExecutable(statSync(path).mode)),
    whyNotWritable: (path) =>
      refusal(path, constants.W_OK | constants.X_OK, () => `may not be written to by ${thisUser()}`),
    whyFileNotWritable: (path) => refusal(path, constants.W_OK, () => `may not be written to by ${thisUser()}`),
  };
}

/** `user` is who was refused. Root is refused only where there is no permission for anybody, or none on the whole file system. */
export function notExecutable(mode: number, user = thisUser()): string {
  if ((mode & 0o111) === 0) return 'is not executable: try chmod +x';
  return `may not be executed by ${user}: try chmod a+rx, and see that its file system is not mounted noexec`;
}

function tried<T>(path: string, action: () => T): T | DiskFailure {
  try {
    return action();
  } catch (error) {
    const failed = errorCode(error);
    const closed = failed === 'EACCES' ? closedFolder(path) : undefined;
    return closed === undefined
      ? { failed }
      : { failed, because: `${reasonInWords(failed)}, who may not enter ${closed}` };
  }
}

/** The first folder above a path into which this user may not go. */
function closedFolder(path: string): string | undefined {
  const above: string[] = [];
  for (let folder = dirname(path); !above.includes(folder); folder = dirname(folder)) above.unshift(folder);
  return above.find((folder) => {
    try {
      accessSync(folder, constants.X_OK);
      return false;
    } catch {
      return true;
    }
  });
}

function readHead(path: string): Buffer {
  const descriptor = openSync(path, 'r');
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(descriptor, head, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(descriptor);
  }
}

function refusal(path: string, mode: number, because: () => string): DiskFailure | undefined {
  try {
    accessSync(path, mode);
    return undefined;
  } catch (error) {
    const failed = errorCode(error);
    if (failed === 'EROFS') return { failed, because: 'is on a file system that is read-only' };
    return failed === 'EACCES' ? { failed, because: because() } : { failed };
  }
}

/** The system's name of an error, such as "ENOENT"; its text when it has none. */
export function errorCode(error: unknown): string {
  return systemCode(error) ?? String(error);
}

/** Completes "X …" for the person who named X. */
export function failureInWords({ failed, because }: DiskFailure): string {
  return because ?? reasonInWords(failed);
}

/** Why a folder cannot be used; undefined when it can. */
export function folderTrouble(disk: Disk, path: string): DiskFailure | undefined {
  const seen = disk.look(path);
  if ('failed' in seen) return seen;
  if (seen.found !== 'folder')
    return { failed: 'ENOTDIR', because: seen.found === 'file' ? 'is a file, not a folder' : 'is not a folder' };
  // Whoever may name a folder need not be allowed to go in.
  const inside = disk.look(`${path}/.`);
  return 'failed' in inside ? inside : undefined;
}

/**
 * Why a program cannot be started; undefined when it can. A name without a slash is looked up in PATH as execvp does: what is
 * there but may not be executed is passed over.
 */
export function programTrouble(disk: Disk, program: string): DiskFailure | undefined {
  const found = findProgram(disk, program);
  if (typeof found !== 'string') return found;
  const trouble = whyNotStarted(disk, found);
  return trouble?.certain === true ? { failed: 'ENOEXEC', because: trouble.sentence } : undefined;
}

/** What may keep a program from starting without doing so for certain, as words that complete "X …". */
export function programDoubt(disk: Disk, program: string): string | undefined {
  const found = findProgram(disk, program);
  const trouble = typeof found === 'string' ? whyNotStarted(disk, found) : undefined;
  return trouble?.certain === false ? trouble.sentence : undefined;
}

/** What the first bytes of a file say against starting it. */
export function whyNotStarted(disk: Disk, file: string): FileTrouble | undefined {
  const head = disk.head(file);
  if (!Buffer.isBuffer(head)) return undefined;
  return programFileTrouble(head, (name) => {
    const found = findProgram(disk, name);
    return typeof found === 'string' || found.failed === UNSEEN ? undefined : failureInWords(found);
  });
}

function findProgram(disk: Disk, program: string): string | DiskFailure {
  if (program.includes('/')) return fileTrouble(disk, program) ?? program;
  const files = disk.searchPath.map((folder) => join(folder, program)).filter((file) => 'found' in disk.look(file));
  const troubles = files.map((file) => fileTrouble(disk, file));
  return (
    files.find((_file, index) => troubles[index] === undefined) ??
    troubles.find((trouble) => trouble?.failed === 'EACCES') ?? {
      failed: 'ENOENT',
      because: `is not in any folder of PATH (${disk.searchPath.join(':')})`,
    }
  );
}

function fileTrouble(disk: Disk, path: string): DiskFailure | undefined {
  const seen = disk.look(path);
  if ('failed' in seen) return seen;
  if (seen.found === 'folder') return { failed: 'EISDIR', because: 'is a folder, not a program' };
  if (seen.found !== 'file') return { failed: 'EINVAL', because: 'is not a regular file' };
  return disk.whyNotExecutable(path);
}
