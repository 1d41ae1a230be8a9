/** Certificates for tests, made on the spot: an authority, and what it vouches for. */
import { generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto';
import * as der from '../../src/tls/der.ts';
import { type CertificateRequest, issueCertificate } from '../../src/tls/making/issue.ts';
import { pemText } from '../../src/tls/pem.ts';

const DAY = 86_400_000;

export interface Made {
  readonly certificate: string;
  readonly key: KeyObject;
  /** PKCS#8, not encrypted. */
  readonly pem: string;
}

export interface Wish {
  readonly key?: KeyObject;
  /** Days from now. */
  readonly from?: number;
  readonly to?: number;
  /** Where a server's certificate says that its issuer's can be fetched, as those of public authorities do. */
  readonly issuerAddress?: string;
}

export function ecKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

export class Authority implements Made {
  readonly key: KeyObject;
  readonly certificate: string;

  constructor(
    readonly name = 'Test authority',
    issuer?: Authority,
    wish: Wish = {},
  ) {
    this.key = wish.key ?? ecKey();
    this.certificate = issue(
      { commonName: name, use: { for: 'authority' } },
      { ...wish, key: this.key },
      issuer,
    ).certificate;
  }

  get pem(): string {
    return pemOf(this.key);
  }

  server(names: readonly string[], wish: Wish = {}): Made {
    return issue(
      { commonName: names[0] ?? 'server', use: { for: 'server', names, issuerAddress: wish.issuerAddress } },
      wish,
      this,
    );
  }

  client(name: string, wish: Wish = {}): Made {
    return issue({ commonName: name, use: { for: 'client' } }, wish, this);
  }
}

function issue(request: Pick<CertificateRequest, 'commonName' | 'use'>, wish: Wish, issuer: Made | undefined): Made {
  const key = wish.key ?? ecKey();
  const from = new Date(Date.now() + (wish.from ?? -1) * DAY);
  const to = new Date(Date.now() + (wish.to ?? 90) * DAY);
  const signer = issuer && { certificate: new X509Certificate(issuer.certificate), key: issuer.key };
  return { certificate: issueCertificate({ ...request, key, from, to }, signer), key, pem: pemOf(key) };
}

export function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** A revocation list of `authority` (RFC 5280 section 5) with these certificates, in PEM. */
export function revocationList(authority: Authority, revoked: readonly Made[], days = 1): string {
  const certificate = new X509Certificate(authority.certificate);
  const now = Date.now();
  const algorithm = der.sequence(der.oid('1.2.840.10045.4.3.2'));
  const entries = revoked.map((made) => {
    const serial = Buffer.from(new X509Certificate(made.certificate).serialNumber, 'hex');
    return der.sequence(der.positive(serial), der.time(new Date(now - DAY)));
  });
  const content = der.sequence(
    der.positive(Buffer.from([1])),
    algorithm,
    issuerName(certificate),
    der.time(new Date(now - 10 * DAY)),
    der.time(new Date(now + days * DAY)),
    ...(entries.length === 0 ? [] : [der.sequence(...entries)]),
  );
  const list = der.sequence(content, algorithm, der.bits(sign('sha256', content, authority.key)));
  return pemText('X509 CRL', list);
}

function issuerName(certificate: X509Certificate): Buffer {
  const [outer] = der.elements(certificate.raw);
  const [content] = der.elements(outer?.content ?? Buffer.alloc(0));
  return der.sequence(der.elements(content?.content ?? Buffer.alloc(0))[5]?.content ?? Buffer.alloc(0));
}
