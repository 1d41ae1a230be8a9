/** Reading the files that TLS is configured with, and what makes them unusable, in words for the person who configured them. */
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { reasonInWords, systemCode } from '../ops/system-errors.ts';

/** What a file, or an environment variable, is configured as. */
export type TlsSetting = 'certificate' | 'key' | 'passphrase' | 'ca' | 'crl';

/** The message completes "the file X …" or stands for itself; it never holds anything secret. */
export class TlsError extends Error {
  override readonly name = 'TlsError';

  constructor(
    readonly about: TlsSetting,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The largest bundle of authorities in use is a quarter of this; revocation lists are the largest. Bytes. */
const MAX_BYTES = 16 << 20;

/** The content as text. Throws a `TlsError`. Only a regular file is opened: a pipe could make the caller wait for ever. */
export function readTlsFile(path: string, about: TlsSetting): string {
  try {
    if (!statSync(path).isFile()) throw new TlsError(about, `${path} is not a regular file`);
    const descriptor = openSync(path, 'r');
    try {
      const { size } = fstatSync(descriptor);
      if (size > MAX_BYTES) throw new TlsError(about, `${path} is larger than 16 MiB`);
      return readFileSync(descriptor, 'latin1');
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (error instanceof TlsError) throw error;
    throw new TlsError(about, `${path} ${reasonInWords(systemCode(error) ?? String(error))}`, { cause: error });
  }
}
