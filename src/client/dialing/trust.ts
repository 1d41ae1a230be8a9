/** Who the server is: decided when the TLS handshake is over and before anything is sent. */
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { ConnectionError } from '../errors.ts';
import type { Tls } from '../options.ts';

const WORDS: ReadonlyMap<string, string> = new Map([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is self-signed'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'its certificate comes from an authority that is not trusted here'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'its certificate comes from an authority that is not trusted here'],
  ['UNABLE_TO_GET_ISSUER_CERT', 'its certificate comes from an authority that is not trusted here'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'its certificate comes from an authority that is not trusted here'],
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet: check the clock'],
]);

/** Where systems keep the authorities that they trust: Debian and Alpine, Fedora, SUSE, others. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** "sha256//…" of a certificate's public key. */
export function pinOf(certificate: X509Certificate): string {
  const key = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return `sha256//${createHash('sha256').update(key).digest('base64')}`;
}

/** Throws a `TypeError` for a pin that no key can have. */
export function pinsOf({ pin = [] }: Tls): readonly string[] {
  const pins = typeof pin === 'string' ? [pin] : pin;
  for (const one of pins)
    if (!/^sha256\/\/[A-Za-z0-9+/]{43}=$/.test(one))
      throw new TypeError(`a pin is "sha256//" and 44 characters of base64, not "${one}"`);
  return pins;
}

/** The authorities to trust. Undefined: those that Node brings along, because the system has none. */
export function authorities({ ca }: Tls): readonly (string | Buffer)[] | undefined {
  if (ca !== undefined) return typeof ca === 'string' || Buffer.isBuffer(ca) ? [ca] : ca;
  const named = process.env['SSL_CERT_FILE'];
  for (const file of named === undefined ? BUNDLES : [named]) {
    try {
      return [readFileSync(file)];
    } catch {
      // The next one.
    }
  }
  return undefined;
}

/**
 * @param problem what is wrong by the rules of certificates; undefined: nothing
 * Rejects with an `untrusted` error, which names the key that the server has shown.
 */
export async function judge(socket: TLSSocket, tls: Tls, problem: Error | undefined, server: string): Promise<void> {
  const chain = chainOf(socket.getPeerCertificate(true));
  const [own] = chain;
  if (own === undefined) throw new ConnectionError('untrusted', `${server} has shown no certificate`);
  const pin = pinOf(own);
  const refuse = (reason: string): never => {
    throw new ConnectionError('untrusted', `${server} is not trusted: ${reason}. The key that it has shown: ${pin}`);
  };
  if (tls.trust !== undefined) {
    if ((await tls.trust({ chain, problem })) !== true) refuse('the program that connects refuses it');
    return;
  }
  const pins = pinsOf(tls);
  if (pins.length > 0 && !pins.includes(pin)) refuse('its key is not one of the pinned keys');
  if (problem !== undefined && (pins.length === 0 || tls.ca !== undefined)) refuse(inWords(problem));
}

/** From the server's own certificate upwards. */
function chainOf(peer: PeerCertificate): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  const seen = new Set<string>();
  let next: (PeerCertificate & { readonly issuerCertificate?: PeerCertificate }) | undefined = peer;
  while (next?.raw !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256);
    chain.push(new X509Certificate(next.raw));
    next = next.issuerCertificate;
  }
  return chain;
}

function inWords(problem: Error): string {
  const code = 'code' in problem ? String(problem.code) : problem.message;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' && 'reason' in problem)
    return `its certificate is for another name (${String(problem.reason).replace(/\.$/, '')})`;
  return WORDS.get(code) ?? problem.message;
}
