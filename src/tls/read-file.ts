/** Reads the files that TLS is configured with. */
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { TlsTrouble, type TroubleWith } from './trouble.ts';

/** The largest bundle of authorities in use is a quarter of this; revocation lists are the largest. Bytes. */
const MAX_BYTES = 16 << 20;

const REASONS: { readonly [code: string]: string } = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist: a part of its path is not a folder',
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
  ELOOP: 'is a symbolic link that leads back to itself',
};

/** The content as text. Throws a `TlsTrouble`. Only a regular file is opened: a pipe could make the caller wait for ever. */
export function readTlsFile(path: string, about: TroubleWith): string {
  try {
    if (!statSync(path).isFile()) throw new TlsTrouble(about, `${path} is not a regular file`);
    const descriptor = openSync(path, 'r');
    try {
      const { size } = fstatSync(descriptor);
      if (size > MAX_BYTES) throw new TlsTrouble(about, `${path} is larger than 16 MiB`);
      return readFileSync(descriptor, 'latin1');
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (error instanceof TlsTrouble) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new TlsTrouble(about, `${path} ${REASONS[code] ?? `cannot be read (${code})`}`, { cause: error });
  }
}
