/** What checking a configuration asks of the file system. An interface, so that the checks can be tested without one. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export type Found = 'folder' | 'file' | 'other';

export interface Disk {
  /** What lies at an absolute path (links followed), or the system's name for why that cannot be said: "ENOENT", "EACCES" … */
  look(path: string): { readonly found: Found } | { readonly failed: string };
  /** The text of a file, or the system's name for why it cannot be read. */
  read(path: string): string | { readonly failed: string };
  /** Whether this user may execute the file. */
  executable(path: string): boolean;
  /** The folders of PATH. */
  readonly searchPath: readonly string[];
}

/** PATH when the gateway itself has none, as an init script may start it: the shell's own default, sbin included. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The real file system, with the PATH of this process unless another is given. */
export function realDisk(searchPath = process.env['PATH'] ?? DEFAULT_PATH): Disk {
  return {
    searchPath: searchPath.split(':').filter((folder) => folder !== ''),
    look(path) {
      try {
        const stat = statSync(path);
        return { found: stat.isDirectory() ? 'folder' : stat.isFile() ? 'file' : 'other' };
      } catch (error) {
        return { failed: errorCode(error) };
      }
    },
    read(path) {
      try {
        return readFileSync(path, 'utf8');
      } catch (error) {
        return { failed: errorCode(error) };
      }
    },
    executable(path) {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** The system's name of an error, such as "ENOENT"; its text when it has none. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return String(error);
}

const REASONS: { readonly [code: string]: string } = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist: a part of its path is not a folder',
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
  ELOOP: 'is a symbolic link that leads back to itself',
  EISDIR: 'is not a regular file',
  ENAMETOOLONG: 'does not exist: its name is too long',
};

/** Completes "X …" for the person who named X. */
export function reasonInWords(code: string): string {
  return REASONS[code] ?? `cannot be read (${code})`;
}

/** Why a folder cannot be used, as words that complete "X …"; undefined when it can. */
export function folderTrouble(disk: Disk, path: string): string | undefined {
  const seen = disk.look(path);
  if ('failed' in seen) return reasonInWords(seen.failed);
  return seen.found === 'folder' ? undefined : 'is not a folder';
}

/**
 * Why a program cannot be started, as words that complete "X …"; undefined when it can. A name without a slash is looked
 * up in PATH as execvp does: what is there but may not be executed is passed over.
 */
export function programTrouble(disk: Disk, program: string): string | undefined {
  if (program.includes('/')) return fileTrouble(disk, program);
  const troubles = disk.searchPath.map((folder) => fileTrouble(disk, join(folder, program)));
  if (troubles.includes(undefined)) return undefined;
  return (
    troubles.find((trouble) => trouble === NOT_EXECUTABLE) ??
    `is in none of the folders of PATH (${disk.searchPath.join(':')})`
  );
}

const NOT_EXECUTABLE = 'is not executable: try chmod +x';

function fileTrouble(disk: Disk, path: string): string | undefined {
  const seen = disk.look(path);
  if ('failed' in seen) return reasonInWords(seen.failed);
  if (seen.found !== 'file') return seen.found === 'folder' ? 'is a folder, not a program' : 'is not a regular file';
  return disk.executable(path) ? undefined : NOT_EXECUTABLE;
}
