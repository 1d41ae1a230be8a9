/** Certificates for a LAN, where no public authority can vouch: one's own authority, and what it vouches for. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { issueCertificate } from './issue.ts';

const DAY = 86_400_000;
/** Browsers refuse server certificates of more than 398 days, Apple's also from one's own authority those of more than 825. */
export const MAX_SERVER_DAYS = 397;
const AUTHORITY_DAYS = 3650;

export interface Pair {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS#8, not encrypted. */
  readonly key: string;
}

/** A new authority. Devices that are told to trust it trust whatever its key signs: keep that safe. */
export function makeAuthority(name: string, now: number): Pair {
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

/** A server's certificate for names and IP addresses, of `days` at most `MAX_SERVER_DAYS`, less what is left of the authority's. */
export function makeServer(names: readonly string[], authority: Pair, days: number, now: number): Pair {
  const issuer = new X509Certificate(authority.certificate);
  const issuerKey = createPrivateKey(authority.key);
  if (!issuer.checkPrivateKey(issuerKey)) throw new Error('the authority’s key does not belong to its certificate');
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const from = start(now);
  const to = new Date(Math.min(from.getTime() + days * DAY, Date.parse(issuer.validTo)));
  const certificate = issueCertificate(
    { commonName: names[0] ?? '', key, use: { for: 'server', names }, from, to },
    { certificate: issuer, key: issuerKey },
  );
  return { certificate, key: pem(key) };
}

/** A day before now: the clocks of devices in a LAN differ. To the second, as certificates count. */
function start(now: number): Date {
  return new Date(Math.floor((now - DAY) / 1000) * 1000);
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
