/** Which certificates OpenSSL takes for certain, so that it need not be loaded only to be asked. */
import type { KeyObject } from 'node:crypto';
import { elements, oidText } from '../der.ts';
import type { Identity } from '../identity.ts';

/** RSA and ECDSA with SHA-256, SHA-384 and SHA-512. */
const SIGNATURES: ReadonlySet<string> = new Set([
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
]);
const MIN_RSA_BITS = 2048;
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** Whether each certificate has a usual key and a usual signature. What is left, such as SHA-1, OpenSSL may refuse or not, by its version. */
export function isOrdinary({ chain }: Identity): boolean {
  return chain.every(({ publicKey, raw }) => isUsualKey(publicKey) && SIGNATURES.has(signatureOf(raw)));
}

function isUsualKey({ asymmetricKeyType, asymmetricKeyDetails: details }: KeyObject): boolean {
  if (asymmetricKeyType === 'rsa') return (details?.modulusLength ?? 0) >= MIN_RSA_BITS;
  return asymmetricKeyType === 'ec' && CURVES.has(details?.namedCurve ?? '');
}

/** The algorithm by which a certificate is signed (RFC 5280 section 4.1.1.2), dotted; empty for what is not read. */
function signatureOf(certificate: Buffer): string {
  const [whole] = elements(certificate);
  const [, algorithm] = whole === undefined ? [] : elements(whole.content);
  const [identifier] = algorithm === undefined ? [] : elements(algorithm.content);
  return identifier === undefined ? '' : oidText(identifier.content);
}
