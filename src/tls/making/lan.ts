/** Certificates for a LAN, where no public authority can vouch: one's own authority, and what it vouches for. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { day, parseIdentity, validity } from '../identity.ts';
import { pemBlocks } from '../pem.ts';
import { TlsError } from '../tls-file.ts';
import { type Issuer, issueCertificate } from './issue.ts';

const DAY = 86_400_000;
/** Browsers refuse server certificates of more than 398 days, Apple's also from one's own authority those of more than 825. */
export const MAX_SERVER_DAYS = 397;
const AUTHORITY_DAYS = 3650;

export interface CertificatePair {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS#8, not encrypted. */
  readonly key: string;
}

/** A new authority. Devices that are told to trust it trust whatever its key signs: keep that safe. */
export function makeAuthority(name: string, now: number): CertificatePair {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const certificate = issueCertificate({
    commonName: name,
    key,
    use: { for: 'authority' },
    from: start(now),
    to: new Date(start(now).getTime() + AUTHORITY_DAYS * DAY),
  });
  return { certificate, key: pem(key) };
}

/** An authority that may have been made by anything, seen to be one that can sign. Throws a `TlsError`. */
export function openAuthority({ certificate, key }: CertificatePair, files: AuthorityFiles, now: number): Issuer {
  if (pemBlocks(key).some(({ encrypted }) => encrypted))
    throw new TlsError(
      'key',
      `the key in ${files.key} is encrypted: decrypt it for the moment (openssl pkey -in ${files.key} -out FILE)`,
    );
  const identity = parseIdentity(certificate, key, { ...files, passphrase: undefined }, {});
  const { to } = validity(identity.leaf);
  if (!identity.leaf.ca)
    throw new TlsError('certificate', `the certificate in ${files.certificate} is not that of an authority`);
  if (now > to)
    throw new TlsError(
      'certificate',
      `the authority in ${files.certificate} expired on ${day(to)}; to make a new one, which every device must be told to trust, move ${files.certificate} and ${files.key} away`,
    );
  if (identity.key.asymmetricKeyType === 'rsa-pss')
    throw new TlsError('key', `the key in ${files.key} is for RSA-PSS only: use one for RSA, ECDSA or Ed25519`);
  return { certificate: identity.leaf, key: identity.key };
}

/** What the files of an authority are called. */
export interface AuthorityFiles {
  readonly certificate: string;
  readonly key: string;
}

/** A server's certificate for names and IP addresses, of `days` at most `MAX_SERVER_DAYS`, less what is left of the authority's. */
export function makeServer(names: readonly string[], authority: Issuer, days: number, now: number): CertificatePair {
  const { certificate: issuer } = authority;
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const from = start(now);
  const to = new Date(Math.min(from.getTime() + days * DAY, Date.parse(issuer.validTo)));
  const certificate = issueCertificate(
    { commonName: names[0] ?? '', key, use: { for: 'server', names }, from, to },
    authority,
  );
  return { certificate, key: pem(key) };
}

/** The same without an authority: nobody can vouch for it, so its fingerprint has to be compared. */
export function makeSelfSignedServer(names: readonly string[], now: number): CertificatePair {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const from = start(now);
  const to = new Date(from.getTime() + MAX_SERVER_DAYS * DAY);
  const certificate = issueCertificate({ commonName: names[0] ?? '', key, use: { for: 'server', names }, from, to });
  return { certificate, key: pem(key) };
}

/** A day before now: the clocks of devices in a LAN differ. To the second, as certificates count. */
function start(now: number): Date {
  return new Date(Math.floor((now - DAY) / 1000) * 1000);
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
