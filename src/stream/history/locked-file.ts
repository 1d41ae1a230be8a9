/** The file that the configuration names: it says what it is, and whoever has it locked has the history. */
import { once } from 'node:events';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, realpath } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { RouteError } from '../../http/errors.ts';
import { reasonInWords, systemCode, thisUser } from '../../ops/system-errors.ts';
import { VERSION } from './records.ts';
import { FILE_MODE } from './segments.ts';

/** The first line of the file that the configuration names. */
const FIRST_LINE = /^runnel history (\d{1,9})\n/;
export const FIRST_LINE_BYTES = 64;

/** What is wrong with the beginning of a file that is to be a history's: it completes "X …". Undefined for one of ours, and for a new one. */
export function historyTrouble(head: Buffer): string | undefined {
  if (head.length === 0) return undefined;
  const version = FIRST_LINE.exec(head.toString('latin1'))?.[1];
  if (version === undefined) return 'is not a history of runnel';
  if (Number(version) > VERSION)
    return `was written by a newer version of runnel (format ${version}, this one knows ${VERSION})`;
  return undefined;
}

/** Milliseconds that the file may take to become free, and between two looks. */
const LOCK_TIME = 1000;
const LOCK_LOOK = 50;

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOCK_LOOK));
}

/** Lets go of what was taken. */
export type Release = () => void;

/** Takes the file for one history. Undefined: another has it. */
export type Lock = (handle: FileHandle) => Release | undefined | Promise<Release | undefined>;

/**
 * For where there is no flock(2): a socket without a file, named by the file's device and inode, which two processes cannot listen on. It ends
 * with its process, too; another network namespace does not see it. Rejects with what the system says.
 */
export async function lockBySocket(handle: FileHandle): Promise<Release | undefined> {
  const { dev, ino } = await handle.stat({ bigint: true });
  const server = createServer((socket) => socket.destroy());
  server.unref();
  try {
    server.listen(`\0runnel-history-${dev}-${ino}`);
    await once(server, 'listening');
  } catch (error) {
    if (systemCode(error) === 'EADDRINUSE') return undefined;
    throw error;
  }
  return () => server.close();
}

/** The file that says what it is, as long as it is ours. */
export interface LockedFile {
  /** Without links. */
  readonly path: string;
  /** Lets go of it. */
  close(): Promise<void>;
}

/** Opens it, makes it where there is none, and takes it. Rejects with a `RouteError`. */
export async function openLocked(path: string, lock: Lock): Promise<LockedFile> {
  let handle: FileHandle | undefined;
  let release: Release | undefined;
  try {
    const real = await withoutLinks(path);
    handle = await open(real, constants.O_RDWR | constants.O_CREAT, FILE_MODE);
    const stat = await handle.stat();
    if (!stat.isFile()) throw new RouteError(`the history ${path} is not a regular file`);
    for (const until = performance.now() + LOCK_TIME; ; await pause()) {
      release = await lock(handle);
      if (release !== undefined) break;
      // A gateway that was killed a moment ago may still be on its way out.
      if (performance.now() < until) continue;
      throw new RouteError(`the history ${path} is in use by another gateway, or by another stream`);
    }
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(FIRST_LINE_BYTES), 0, FIRST_LINE_BYTES, 0);
    const trouble = historyTrouble(buffer.subarray(0, bytesRead));
    if (trouble !== undefined) throw new RouteError(`the history ${path} ${trouble}`);
    if (bytesRead === 0) await handle.write(`runnel history ${VERSION}\n`, 0);
    const [opened, letGo] = [handle, release];
    return {
      path: real,
      close: async () => {
        letGo();
        await opened.close();
      },
    };
  } catch (error) {
    release?.();
    await handle?.close().catch(() => undefined);
    if (error instanceof RouteError) throw error;
    throw new RouteError(`the history ${path} ${inWords(error)}`);
  }
}

/** The file need not be there, but its folder. */
async function withoutLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    const link = await lstat(path).catch(() => undefined);
    if (link !== undefined)
      throw new RouteError(`the history ${path} is a symbolic link to a file that does not exist`);
    return join(await realpath(dirname(path)), basename(path));
  }
}

export function inWords(error: unknown): string {
  const code = systemCode(error);
  if (code === 'ENOENT') return 'cannot be made: its folder does not exist';
  if (code === 'EACCES' || code === 'EPERM') return `may not be written to by ${thisUser()}`;
  if (code === 'EROFS') return 'is on a file system that is read-only';
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'cannot be written: the disk is full';
  return code === undefined ? (error instanceof Error ? error.message : String(error)) : reasonInWords(code);
}
