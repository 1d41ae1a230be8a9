/** `runnel tls self-signed`: certificates for a LAN, and how to make devices trust them. */
import { X509Certificate } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { thisUser } from '../../ops/system-errors.ts';
import { day, validity } from '../../tls/identity.ts';
import type { Issuer } from '../../tls/making/issue.ts';
import {
  type AuthorityFiles,
  type CertificatePair,
  MAX_SERVER_DAYS,
  makeAuthority,
  makeServer,
  openAuthority,
} from '../../tls/making/lan.ts';
import { readTlsFile, TlsError } from '../../tls/tls-file.ts';
import { type ServiceGroup, serviceGroup } from '../service-unit.ts';
import { EXIT, UsageError } from '../verb.ts';

export interface SelfSignedOptions {
  readonly out: string | undefined;
  readonly days: string | undefined;
}

/** Writes the files and says what to do with them. */
export function makeSelfSigned(words: readonly string[], options: SelfSignedOptions): number {
  try {
    return make(words, options);
  } catch (error) {
    const isOfTheSystem = error instanceof Error && 'syscall' in error;
    if (!(error instanceof TlsError || isOfTheSystem)) throw error;
    process.stderr.write(`${error.message}\n`);
    return error instanceof TlsError ? EXIT.config : EXIT.cannotCreate;
  }
}

function make(words: readonly string[], options: SelfSignedOptions): number {
  const names = words.map(checkedName);
  if (names.length === 0)
    throw new UsageError(
      'runnel tls self-signed needs names or addresses: runnel tls self-signed board.local 192.168.1.5',
    );
  const days = options.days === undefined ? MAX_SERVER_DAYS : Number(options.days);
  if (!Number.isInteger(days) || days < 1 || days > MAX_SERVER_DAYS)
    throw new UsageError(
      `--days must be from 1 to ${MAX_SERVER_DAYS}: browsers refuse certificates that are valid for longer`,
    );
  const folder = options.out ?? '.';
  const files = { certificate: join(folder, 'ca.pem'), key: join(folder, 'ca.key') };
  const now = Date.now();
  const known = knownAuthority(files);
  const pair = known ?? makeAuthority(`runnel on ${hostname()}, ${day(now)}`, now);
  const authority = openAuthority(pair, files, now);
  const server = makeServer(names, authority, days, now);
  makeFolder(folder);
  if (known === undefined) writePair(folder, 'ca', pair, undefined);
  const reader = process.geteuid?.() === 0 ? serviceGroup(folder) : undefined;
  writePair(folder, 'server', server, reader);
  process.stdout.write(advice(folder, authority, server, known !== undefined, reader));
  return EXIT.ok;
}

function checkedName(word: string): string {
  if (isIP(word) !== 0) return word;
  const name = word.toLowerCase();
  if (
    /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name) &&
    name.length < 254
  )
    return name;
  throw new UsageError(`"${word}" is neither a host name nor an IP address`);
}

/** Undefined where there is none yet. Half of one is not replaced: devices trust it already. */
function knownAuthority({ certificate, key }: AuthorityFiles): CertificatePair | undefined {
  const [hasCertificate, hasKey] = [certificate, key].map((file) => existsSync(file));
  if (hasCertificate === true && hasKey === true)
    return { certificate: readTlsFile(certificate, 'certificate'), key: readTlsFile(key, 'key') };
  if (hasCertificate === true)
    throw new TlsError(
      'key',
      `${certificate} exists, but its key ${key} is missing, and nothing can be signed without it. Copy the key there for the moment, or run this command where the key is kept and copy server.pem and server.key from there. To make a new authority, which every device must be told to trust, move ${certificate} away.`,
    );
  if (hasKey === true)
    throw new TlsError(
      'certificate',
      `${key} exists, but its certificate ${certificate} is missing. Copy it there. To make a new authority, which every device must be told to trust, move ${key} away.`,
    );
  return undefined;
}

/** Whoever serves has to come in, whatever the umask. What was there already stays as it is. */
function makeFolder(folder: string): void {
  const whole = resolve(folder);
  const first = mkdirSync(whole, { recursive: true });
  if (first === undefined) return;
  for (let made = whole; made.length >= first.length; made = dirname(made)) chmodSync(made, 0o755);
}

/** Each file appears whole: a gateway that runs may be reading them. The key is for its owner only, and for the group that serves. */
function writePair(
  folder: string,
  name: string,
  { certificate, key }: CertificatePair,
  reader: ServiceGroup | undefined,
): void {
  writeWhole(join(folder, `${name}.key`), key, reader === undefined ? 0o600 : 0o640, reader);
  writeWhole(join(folder, `${name}.pem`), certificate, 0o644);
}

function writeWhole(path: string, content: string, mode: number, group?: ServiceGroup): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  // Nobody else's for a moment, either.
  writeFileSync(temporary, content, { mode: 0o600, flag: 'wx' });
  if (group !== undefined) chownSync(temporary, 0, group.id);
  chmodSync(temporary, mode);
  renameSync(temporary, path);
}

function advice(
  folder: string,
  { certificate: ca }: Issuer,
  server: CertificatePair,
  known: boolean,
  reader: ServiceGroup | undefined,
): string {
  const leaf = new X509Certificate(server.certificate);
  const path = (name: string) => join(folder, name);
  return `${known ? 'used' : 'made'}  ${path('ca.pem')}, ${path('ca.key')}: your certificate authority, valid until ${day(validity(ca).to)}
made  ${path('server.pem')}, ${path('server.key')}: for ${leaf.subjectAltName ?? ''}, valid until ${day(validity(leaf).to)}
${readers(path('server.key'), reader)}
${ca.publicKey.asymmetricKeyType === 'ed25519' ? ED25519 : ''}
In the configuration:
  [[listen]]
  address = "[::]:443"
  tls = { certificate = "${resolve(path('server.pem'))}", key = "${resolve(path('server.key'))}" }

Before the certificate expires, run the same command again with ca.key in the same folder. The authority stays the same, and a
running gateway loads the new certificate by itself.

Devices trust the certificate once they trust the authority. Install ${path('ca.pem')} on them, never a .key file, and compare
the fingerprint:
  SHA-256 ${ca.fingerprint256}
  Debian, Ubuntu   copy it to /usr/local/share/ca-certificates/runnel.crt, then update-ca-certificates
  Firefox          Settings, Certificates, View Certificates, Authorities, Import
  Chrome on Linux  Settings, Privacy and security, Security, Manage certificates, Authorities, Import
  Windows          double-click, Install Certificate, Local Machine, Trusted Root Certification Authorities
  macOS            open it in Keychain Access, System, then Trust: Always Trust
  Android          Settings, Security, Encryption and credentials, Install a certificate, CA certificate
  iPhone, iPad     open it in Safari, install the profile, then Settings, General, About, Certificate Trust Settings
  curl             curl --cacert ${path('ca.pem')} https://…

Anyone who has ${path('ca.key')} can pose as any site to these devices. Keep it off the board if you can.
`;
}

const ED25519 = `The authority has an Ed25519 key. Browsers do not accept certificates that it signs; curl and OpenSSL do.
`;

function readers(key: string, reader: ServiceGroup | undefined): string {
  if (reader !== undefined) return `The group ${reader.name}, as which the service runs, may read ${key}.`;
  return `Only ${thisUser()} may read ${key}. If the gateway runs as another user: chgrp GROUP ${key} && chmod 640 ${key}`;
}
