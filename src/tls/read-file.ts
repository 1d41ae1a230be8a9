/** Reads the files that TLS is configured with. */
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { reasonInWords } from '../ops/file-reasons.ts';
import { TlsTrouble, type TroubleWith } from './trouble.ts';

/** The largest bundle of authorities in use is a quarter of this; revocation lists are the largest. Bytes. */
const MAX_BYTES = 16 << 20;

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
    throw new TlsTrouble(about, `${path} ${reasonInWords(code)}`, { cause: error });
  }
}
