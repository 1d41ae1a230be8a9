/** `runnel tls self-signed`: certificates for a LAN, and how to make devices trust them. */
import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { day, validity } from '../tls/identity.ts';
import { MAX_SERVER_DAYS, makeAuthority, makeServer, type Pair } from '../tls/lan.ts';
import { EXIT } from './exit.ts';
import { UsageError } from './flags.ts';

export interface SelfSignedOptions {
  readonly out: string | undefined;
  readonly days: string | undefined;
}

/** Writes the files and says what to do with them. */
export function makeSelfSigned(words: readonly string[], options: SelfSignedOptions): number {
  const names = words.map(checkedName);
  if (names.length === 0)
    throw new UsageError(
      'runnel tls self-signed needs names or addresses: runnel tls self-signed board.local 192.168.1.5',
    );
  const days = options.days === undefined ? MAX_SERVER_DAYS : Number(options.days);
  if (!Number.isInteger(days) || days < 1 || days > MAX_SERVER_DAYS)
    throw new UsageError(`--days must be 1 to ${MAX_SERVER_DAYS}: browsers refuse longer ones`);
  const folder = options.out ?? '.';
  mkdirSync(folder, { recursive: true });
  const now = Date.now();
  const known = knownAuthority(folder);
  const authority = known ?? makeAuthority(`runnel on ${hostname()}, ${day(now)}`, now);
  if (known === undefined) writePair(folder, 'ca', authority);
  const server = makeServer(names, authority, days, now);
  writePair(folder, 'server', server);
  process.stdout.write(advice(folder, authority, server, known !== undefined));
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

function knownAuthority(folder: string): Pair | undefined {
  const [certificate, key] = ['ca.pem', 'ca.key'].map((name) => join(folder, name));
  if (certificate === undefined || key === undefined || !existsSync(certificate) || !existsSync(key)) return undefined;
  return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
}

/** Each file appears whole, the key for its owner only: a gateway that runs may be reading them. */
function writePair(folder: string, name: string, { certificate, key }: Pair): void {
  writeWhole(join(folder, `${name}.key`), key, 0o600);
  writeWhole(join(folder, `${name}.pem`), certificate, 0o644);
}

function writeWhole(path: string, content: string, mode: number): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, content, { mode });
  chmodSync(temporary, mode);
  renameSync(temporary, path);
}

function advice(folder: string, authority: Pair, server: Pair, known: boolean): string {
  const [ca, leaf] = [new X509Certificate(authority.certificate), new X509Certificate(server.certificate)];
  const path = (name: string) => join(folder, name);
  return `${known ? 'used' : 'made'}  ${path('ca.pem')}, ${path('ca.key')}: your authority, until ${day(validity(ca).to)}
made  ${path('server.pem')}, ${path('server.key')}: for ${leaf.subjectAltName ?? ''}, until ${day(validity(leaf).to)}

In the configuration:
  [[listen]]
  address = "[::]:443"
  tls = { certificate = "${path('server.pem')}", key = "${path('server.key')}" }

Run the same command again before it ends: the authority stays, and a gateway that runs takes the new certificate by itself.

Devices trust it once they trust the authority. Give them ${path('ca.pem')}, never a .key file. Compare the fingerprint:
  SHA-256 ${ca.fingerprint256}
  Debian, Ubuntu   copy it to /usr/local/share/ca-certificates/runnel.crt, then update-ca-certificates
  Firefox          Settings, Certificates, View Certificates, Authorities, Import
  Chrome on Linux  Settings, Privacy and security, Security, Manage certificates, Authorities, Import
  Windows          double-click, Install Certificate, Local Machine, Trusted Root Certification Authorities
  macOS            open it in Keychain Access, System, then Trust: Always Trust
  Android          Settings, Security, Encryption and credentials, Install a certificate, CA certificate
  iPhone, iPad     open it in Safari, install the profile, then Settings, General, About, Certificate Trust Settings
  curl             curl --cacert ${path('ca.pem')} https://…

Whoever has ${path('ca.key')} can pose as any site to these devices. Keep it off the board where you can.
`;
}
