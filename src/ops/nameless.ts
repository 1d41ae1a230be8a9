/** Files without a name: nobody can guess, replace or forget them; they are gone with their last descriptor or mapping. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/** open(2): not among Node's constants. It contains O_DIRECTORY, whose value differs between x64 and arm, as Node knows. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** Opens a new nameless file in `directory` for reading and writing. Throws the system's error. */
export function openNameless(directory: string): number {
  try {
    return openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600);
  } catch (error) {
    if (!isUnsupported(error)) throw error;
    return openAndUnlink(directory);
  }
}

/** EISDIR comes from kernels before 3.11, EOPNOTSUPP from file systems such as NFS, JFFS2 and overlays before Linux 6.1. */
function isUnsupported(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EISDIR' || error.code === 'EOPNOTSUPP');
}

/** The older way: a name that cannot be guessed, never an existing file (O_EXCL), and gone at once. */
function openAndUnlink(directory: string): number {
  const path = join(directory, `.runnel-${randomBytes(16).toString('hex')}`);
  const descriptor = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
  try {
    unlinkSync(path);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return descriptor;
}
