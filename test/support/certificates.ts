/** Certificates for tests, made on the spot: an authority, and what it vouches for. */
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { type CertificateRequest, issueCertificate } from '../../src/tls/issue.ts';

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
