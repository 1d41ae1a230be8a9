/** The TLS settings of a listener: the keys, and what can be said of the files that they name before anything is served. */
import { join } from 'node:path';
import { parseCertificates } from '../../tls/chain.ts';
import { loadClientAuthority } from '../../tls/client-authority.ts';
import { doubtsAbout, type IdentityFiles, loadIdentity } from '../../tls/identity.ts';
import { namesOf } from '../../tls/names.ts';
import type { PassphraseSource } from '../../tls/passphrase.ts';
import type { TlsSettings } from '../../tls/serving/settings.ts';
import { readTlsFile, TlsError, type TlsSetting } from '../../tls/tls-file.ts';
import { realDisk, UNSEEN } from '../disk/disk.ts';
import { fileName, variableName } from '../values/names.ts';
import { file } from '../values/on-disk.ts';
import { choice, duration } from '../values/simple.ts';
import { atMostOne, listOf, table } from '../values/tables.ts';
import {
  type Fields,
  type KeyPath,
  optional,
  preset,
  type Reading,
  required,
  type Values,
  type ValueType,
} from '../values/value.ts';

const identityFields = {
  certificate: required(
    file,
    'The certificate and its intermediate certificates, in PEM, in any order. The key may be in the same file.',
  ),
  key: optional(
    file,
    'The private key, in PEM: RSA, ECDSA or Ed25519. Without this key it is read from `certificate`.',
  ),
  passphrase_file: optional(file, 'A file that holds the passphrase of an encrypted key.'),
  passphrase_env: optional(variableName, 'The environment variable that holds the passphrase of an encrypted key.'),
  passphrase_credential: optional(
    fileName,
    'The systemd credential (LoadCredential= of the unit) that holds the passphrase of an encrypted key.',
  ),
} as const;

const onePassphrase = atMostOne('passphrase_file', 'passphrase_env', 'passphrase_credential');

const further = table(identityFields, onePassphrase);

const client = table({
  mode: preset(
    choice('off', 'optional', 'required'),
    'required',
    '"required" answers clients without a certificate of `ca` with 403; "optional" serves them too; "off" asks for none.',
  ),
  ca: required(file, 'The certificates of the authorities that sign client certificates, in PEM.'),
  crl: optional(
    file,
    'The revocation lists of these authorities, in PEM: one for each authority. While a list is out of date, every client is refused.',
  ),
});

const settings = table(
  {
    ...identityFields,
    certificates: preset(
      listOf(further, 'tables with certificate and key'),
      [],
      'Further certificates. A client gets the certificate for the name that it asks for, otherwise the first.',
    ),
    minimum_version: preset(choice('1.2', '1.3'), '1.2', 'The oldest version of TLS that is accepted.'),
    ciphers: preset(
      choice('intermediate', 'modern'),
      'intermediate',
      'The cipher suites, after Mozilla\'s guideline 5.7. "modern" is TLS 1.3 only; "intermediate" serves old devices too.',
    ),
    hsts: optional(
      duration('0s', '730d'),
      'How long browsers use only HTTPS for this name (Strict-Transport-Security). Browsers remember it, so it is hard to undo.',
    ),
    client: optional(client, 'Client certificates: whether this listener asks for them, and which ones it accepts.'),
  },
  onePassphrase,
  'tls = { certificate = "FILE", key = "FILE" }; "runnel tls self-signed NAME" makes both files',
);

type Of<T> = T extends { readonly fields: infer F extends Fields } ? Values<F> : never;
type IdentityKeys = Of<typeof further>;
export type TlsConfig = Of<typeof settings> & {
  /** The names that each certificate is for, the first certificate's first. */
  readonly names: readonly (readonly string[])[];
  /** What a command has made in memory, instead of files. */
  readonly made?: IdentityFiles['made'];
};

/** The table, with its files read once to see that they can be used. */
export const tls: ValueType<TlsConfig> = {
  ...settings,
  read(value, at, reading) {
    const read = settings.read(value, at, reading);
    if (read === undefined) return undefined;
    const identities = [
      checkIdentity(read, at, reading),
      ...read.certificates.map((keys, index) => checkIdentity(keys, [...at, 'certificates', index], reading)),
    ].filter((names) => names !== undefined);
    const clientIsSound = checkClient(read, at, reading);
    if (identities.length <= read.certificates.length || !clientIsSound) return undefined;
    return { ...read, names: identities };
  },
};

/** The table of a listener whose certificate, in PEM, was made in memory. */
export function madeTls(made: NonNullable<IdentityFiles['made']>, names: readonly string[]): TlsConfig {
  return {
    ...{ certificate: 'the certificate in memory', key: 'the key in memory' },
    ...{ passphrase_file: undefined, passphrase_env: undefined, passphrase_credential: undefined },
    ...{ certificates: [], minimum_version: '1.2', ciphers: 'intermediate', hsts: undefined, client: undefined },
    names: [names],
    made,
  };
}

function checkClient(config: Of<typeof settings>, at: KeyPath, reading: Reading): boolean {
  const { client: authority } = tlsSettings(config);
  if (authority === undefined) return true;
  // That they were not looked at was told when their paths were read.
  if ([authority.ca, authority.crl].some((path) => path !== undefined && isUnseen(path, reading))) return true;
  try {
    const { doubts } = loadClientAuthority(authority, Date.now());
    for (const doubt of doubts) reading.doubt([...at, 'client', 'ca'], doubt);
    return true;
  } catch (error) {
    report(error, config, [...at, 'client'], reading);
    return false;
  }
}

/** The names that a certificate is for; undefined when it cannot be used. */
function checkIdentity(keys: IdentityKeys, at: KeyPath, reading: Reading): readonly string[] | undefined {
  const files = identityFiles(keys);
  try {
    if (isClosed(keys, at, reading)) return certificateNames(files.certificate, reading);
    const identity = loadIdentity(files, process.env);
    for (const doubt of doubtsAbout(identity, Date.now())) reading.doubt([...at, 'certificate'], doubt);
    return identity.names;
  } catch (error) {
    report(error, keys, at, reading);
    return undefined;
  }
}

/** Whether the key cannot be opened here although nothing speaks against it: it, or its passphrase, is for the service alone. */
function isClosed(keys: IdentityKeys, at: KeyPath, reading: Reading): boolean {
  const { service } = reading;
  const { passphrase_credential: credential, passphrase_env: variable } = keys;
  if (service !== undefined && credential !== undefined && !isHere(credential)) {
    const missing = service.hasCredential(credential)
      ? ''
      : `; and the unit has no LoadCredential=${credential}:… (systemctl edit runnel)`;
    reading.doubt(
      [...at, 'passphrase_credential'],
      `systemd gives it only to the service, so the key was not checked${missing}`,
    );
    return true;
  }
  if (service?.sameEnvironment === false && variable !== undefined && process.env[variable] === undefined) {
    reading.doubt(
      [...at, 'passphrase_env'],
      'is not set here, although it may be set for the service, so the key was not checked',
    );
    return true;
  }
  // That they were not looked at was told when their paths were read.
  return [keys.certificate, keys.key, keys.passphrase_file].some(
    (path) => path !== undefined && isUnseen(path, reading),
  );
}

/** Whether this process has the credential: what systemd starts for a reload has not. */
function isHere(credential: string): boolean {
  const folder = process.env['CREDENTIALS_DIRECTORY'];
  return folder !== undefined && Buffer.isBuffer(realDisk().head(join(folder, credential)));
}

function isUnseen(path: string, { disk }: Reading): boolean {
  const head = disk.head(path);
  return 'failed' in head && head.failed === UNSEEN;
}

function certificateNames(path: string, reading: Reading): readonly string[] {
  if (isUnseen(path, reading)) return [];
  const pool = parseCertificates(readTlsFile(path, 'certificate'), path, 'certificate');
  const leaf = pool.find((certificate) => !certificate.ca) ?? pool[0];
  return leaf === undefined ? [] : namesOf(leaf);
}

function report(error: unknown, keys: IdentityKeys, at: KeyPath, reading: Reading): void {
  if (!(error instanceof TlsError)) throw error;
  reading.problem([...at, keyOf(error.about, keys)], error.message);
}

/** The key of the table that a trouble is with. */
function keyOf(about: TlsSetting, keys: IdentityKeys): string {
  if (about === 'key') return keys.key === undefined ? 'certificate' : 'key';
  if (about !== 'passphrase') return about;
  return (
    (['passphrase_file', 'passphrase_env', 'passphrase_credential'] as const).find(
      (name) => keys[name] !== undefined,
    ) ?? 'key'
  );
}

function identityFiles(keys: IdentityKeys): IdentityFiles {
  return { certificate: keys.certificate, key: keys.key ?? keys.certificate, passphrase: passphraseSource(keys) };
}

function passphraseSource(keys: IdentityKeys): PassphraseSource | undefined {
  if (keys.passphrase_file !== undefined) return { from: 'file', path: keys.passphrase_file };
  if (keys.passphrase_env !== undefined) return { from: 'environment', name: keys.passphrase_env };
  if (keys.passphrase_credential !== undefined) return { from: 'credential', name: keys.passphrase_credential };
  return undefined;
}

/** The same as the TLS layer takes it. */
export function tlsSettings(config: Of<typeof settings> & Pick<TlsConfig, 'made'>): TlsSettings {
  const { client: asked, made } = config;
  return {
    identities: [{ ...identityFiles(config), made }, ...config.certificates.map(identityFiles)],
    minimumVersion: config.minimum_version,
    ciphers: config.ciphers,
    client:
      asked === undefined || asked.mode === 'off' ? undefined : { mode: asked.mode, ca: asked.ca, crl: asked.crl },
  };
}
