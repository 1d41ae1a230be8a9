/** Certificates put into the order in which TLS sends them. */
import { type KeyObject, X509Certificate } from 'node:crypto';
import { isCertificate, pemBlocks } from './pem.ts';
import { TlsError, type TlsSetting } from './tls-file.ts';

/** Every certificate of a PEM text. Throws a `TlsError` for one that is damaged. */
export function parseCertificates(text: string, path: string, about: TlsSetting): readonly X509Certificate[] {
  return pemBlocks(text)
    .filter(isCertificate)
    .map(({ text: block }, index) => {
      try {
        return new X509Certificate(block);
      } catch (error) {
        throw new TlsError(about, `certificate ${index + 1} in ${path} is damaged`, { cause: error });
      }
    });
}

/**
 * The chain of the certificate that `key` belongs to: that one first, then each one's issuer, as far as they are among `pool`
 * (RFC 8446 section 4.4.2). The root itself is left out, because who trusts it has it. Undefined when none belongs to the key.
 */
export function chainFor(key: KeyObject, pool: readonly X509Certificate[]): readonly X509Certificate[] | undefined {
  const leaf = pool.find((certificate) => certificate.checkPrivateKey(key));
  return leaf === undefined ? undefined : chainFrom(leaf, pool);
}

/** The same from a certificate that is known to be the first. */
export function chainFrom(leaf: X509Certificate, pool: readonly X509Certificate[]): readonly X509Certificate[] {
  const chain = [leaf];
  for (;;) {
    const last = chain[chain.length - 1];
    if (last === undefined || isSelfSigned(last)) return chain;
    const next = pool.find(
      (candidate) => !chain.includes(candidate) && !isSelfSigned(candidate) && issued(candidate, last),
    );
    if (next === undefined) return chain;
    chain.push(next);
  }
}

export function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && issued(certificate, certificate);
}

/** Whether `issuer` has signed `certificate`. */
export function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
