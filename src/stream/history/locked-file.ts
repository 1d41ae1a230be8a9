/** The file that the configuration names: it says what it is, and whoever has it locked has the history. */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, realpath } from 'node:fs/promises';
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
  if (version === undefined) return 'is something else than a history of runnel';
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

/** Takes the file for this process. False: another process has it. */
export type Lock = (descriptor: number) => boolean;

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
  try {
    const real = await withoutLinks(path);
    handle = await open(real, constants.O_RDWR | constants.O_CREAT, FILE_MODE);
    const stat = await handle.stat();
    if (!stat.isFile()) throw new RouteError(`the history ${path} is not a regular file`);
    for (const until = performance.now() + LOCK_TIME; !lock(handle.fd); await pause()) {
      // A gateway that was killed a moment ago may still be on its way out.
      if (performance.now() < until) continue;
      throw new RouteError(`the history ${path} is in use by another gateway, or by another stream`);
    }
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(FIRST_LINE_BYTES), 0, FIRST_LINE_BYTES, 0);
    const trouble = historyTrouble(buffer.subarray(0, bytesRead));
    if (trouble !== undefined) throw new RouteError(`the history ${path} ${trouble}`);
    if (bytesRead === 0) await handle.write(`runnel history ${VERSION}\n`, 0);
    const opened = handle;
    return { path: real, close: () => opened.close() };
  } catch (error) {
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
