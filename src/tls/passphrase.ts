/** Where the passphrase of an encrypted key comes from. Never from the configuration itself or the command line. */
import { join } from 'node:path';
import { readTlsFile, TlsError } from './tls-file.ts';

export type PassphraseSource =
  | { readonly from: 'file'; readonly path: string }
  | { readonly from: 'environment'; readonly name: string }
  /** A file in the folder that systemd hands to the service (systemd.exec(5), "CREDENTIALS"). */
  | { readonly from: 'credential'; readonly name: string };

export type Environment = { readonly [name: string]: string | undefined };

/** The passphrase. Throws a `TlsError` that says where it was looked for. The line break at a file's end is not part of it. */
export function readPassphrase(source: PassphraseSource, environment: Environment): Buffer {
  const file = passphraseFile(source, environment);
  const text = file === undefined ? fromEnvironment(source, environment) : readTlsFile(file, 'passphrase');
  const secret = Buffer.from(text.replace(/\r?\n$/, ''), file === undefined ? 'utf8' : 'latin1');
  if (secret.length > 0) return secret;
  throw new TlsError('passphrase', `${file ?? 'the environment variable'} is empty: there is no passphrase in it`);
}

/** The file that it is in, to be watched; undefined when it is in none. */
export function passphraseFile(source: PassphraseSource, environment: Environment): string | undefined {
  if (source.from === 'file') return source.path;
  if (source.from === 'environment') return undefined;
  const folder = environment['CREDENTIALS_DIRECTORY'];
  if (folder !== undefined) return join(folder, source.name);
  throw new TlsError(
    'passphrase',
    `systemd gave this process no credentials (CREDENTIALS_DIRECTORY is not set): the unit needs LoadCredential=${source.name}:…`,
  );
}

function fromEnvironment(source: PassphraseSource, environment: Environment): string {
  const name = source.from === 'environment' ? source.name : '';
  const value = environment[name];
  if (value !== undefined) return value;
  throw new TlsError('passphrase', `the environment variable ${name} is not set`);
}
