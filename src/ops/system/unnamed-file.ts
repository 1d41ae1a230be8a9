/** Files without a name: nobody can guess, replace or forget them; they are gone with their last descriptor or mapping. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, promises, unlinkSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../system-errors.ts';

/** open(2): not among Node's constants. It contains O_DIRECTORY, whose value differs between x64 and arm, as Node knows. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
const UNNAMED = O_TMPFILE | constants.O_RDWR;
/** Never a file that is there already, and never through a link. */
const NEW = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_RDWR;
const OWNER_ONLY = 0o600;

/** Opens a new unnamed file in `directory` for reading and writing. Throws the system's error. */
export function openUnnamedFileSync(directory: string): number {
  try {
    return openSync(directory, UNNAMED, OWNER_ONLY);
  } catch (error) {
    if (!lacksUnnamedFiles(error)) throw error;
  }
  const path = unguessable(directory);
  const descriptor = openSync(path, NEW, OWNER_ONLY);
  try {
    unlinkSync(path);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return descriptor;
}

/** The same, beside the event loop. */
export async function openUnnamedFile(directory: string): Promise<FileHandle> {
  try {
    return await promises.open(directory, UNNAMED, OWNER_ONLY);
  } catch (error) {
    if (!lacksUnnamedFiles(error)) throw error;
  }
  return await openAndUnlink(directory);
}

/** The older way: a name that cannot be guessed, and gone at once. */
export async function openAndUnlink(directory: string): Promise<FileHandle> {
  const path = unguessable(directory);
  const file = await promises.open(path, NEW, OWNER_ONLY);
  try {
    await promises.unlink(path);
  } catch (error) {
    await file.close();
    throw error;
  }
  return file;
}

/**
 * Whether the file system or the kernel knows no such files. ENOTSUP (the same number as EOPNOTSUPP, which libuv never says) comes from
 * file systems such as NFS, JFFS2 and overlays before Linux 6.1, EISDIR from kernels before 3.11, EINVAL from some emulated ones. Anything
 * else, no room or no permission, would be the same with a name.
 */
export function lacksUnnamedFiles(error: unknown): boolean {
  return ['ENOTSUP', 'EISDIR', 'EINVAL'].includes(systemCode(error) ?? '');
}

function unguessable(directory: string): string {
  return join(directory, `.runnel-${randomBytes(16).toString('hex')}`);
}
