/**
 * Whether uWebSockets.js can be given a TLS connection. Only where it is certain to complete the handshake as the listener's policy wants:
 * what it refuses it closes without telling anybody.
 */
import type { KeyObject } from 'node:crypto';
import type { ServedIdentity } from '../../tls/serving/contexts.ts';
import type { ClientHello } from './client-hello.ts';

const TLS12 = 0x0303;
const TLS13 = 0x0304;

/** AES-128-GCM, AES-256-GCM, ChaCha20-Poly1305 (RFC 8446 section B.4). */
const SUITES13: readonly number[] = [0x1301, 0x1302, 0x1303];
/** The same with ECDHE for TLS 1.2 (RFC 5289, RFC 7905). */
const SUITES12_ECDSA: readonly number[] = [0xc02b, 0xc02c, 0xcca9];
const SUITES12_RSA: readonly number[] = [0xc02f, 0xc030, 0xcca8];
/** "I have tried with a newer version" (RFC 7507): refused where there is one. */
const FALLBACK = 0x5600;

/** P-256, P-384, X25519. */
const GROUPS: readonly number[] = [23, 24, 29];
const UNCOMPRESSED = 0;

const RSA_PSS: readonly number[] = [0x0804, 0x0805, 0x0806];
const RSA_PKCS1: readonly number[] = [0x0401, 0x0501, 0x0601];

/** session_ticket (RFC 5077). Without it BoringSSL would keep the session: 20,480 of them. */
const SESSION_TICKET = 35;
/** key_share (RFC 8446 section 4.2.8). Without it there is no TLS 1.3. */
const KEY_SHARE = 51;
/** max_fragment_length (RFC 6066 section 4): a small device with small buffers, which only OpenSSL heeds. */
const MAX_FRAGMENT_LENGTH = 1;

export function uwsCanServe(hello: ClientHello, identity: ServedIdentity): boolean {
  if (hello.protocols.length > 0 && !hello.protocols.includes('http/1.1')) return false;
  if (hello.extensions.has(MAX_FRAGMENT_LENGTH)) return false;
  if (!hello.groups.some((group) => GROUPS.includes(group))) return false;
  return hello.versions.includes(TLS13) ? canServe13(hello, identity) : canServe12(hello, identity);
}

/** A client that offers it gets it: there is no way back to 1.2. */
function canServe13({ suites, compressions, signatures, extensions }: ClientHello, { key }: ServedIdentity): boolean {
  if (compressions.length !== 1 || compressions[0] !== 0 || !extensions.has(KEY_SHARE)) return false;
  if (!suites.some((suite) => SUITES13.includes(suite))) return false;
  const fitting = schemesOf(key, RSA_PSS);
  return signatures.some((scheme) => fitting.includes(scheme));
}

function canServe12(hello: ClientHello, { key, only13 }: ServedIdentity): boolean {
  const { versions, suites, compressions, groups, signatures, pointFormats, extensions } = hello;
  if (only13 || !versions.includes(TLS12) || suites.includes(FALLBACK)) return false;
  if (!extensions.has(SESSION_TICKET)) return false;
  if (!compressions.includes(0) || !pointFormats.includes(UNCOMPRESSED)) return false;
  // RFC 8422 section 5.1: of the certificate's curve, too.
  const curve = curveOf(key);
  if (curve !== undefined && !groups.includes(curve.group)) return false;
  const wanted = key.asymmetricKeyType === 'rsa' ? SUITES12_RSA : SUITES12_ECDSA;
  if (!suites.some((suite) => wanted.includes(suite))) return false;
  const fitting = schemesOf(key, [...RSA_PSS, ...RSA_PKCS1]);
  return signatures.some((scheme) => fitting.includes(scheme));
}

/** IANA's numbers of a curve as a group, and of ECDSA with it. */
const CURVES: { readonly [name: string]: { readonly group: number; readonly scheme: number } } = {
  prime256v1: { group: 23, scheme: 0x0403 },
  secp384r1: { group: 24, scheme: 0x0503 },
  secp521r1: { group: 25, scheme: 0x0603 },
};

function curveOf(key: KeyObject): { readonly group: number; readonly scheme: number } | undefined {
  return CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
}

/** The signatures that BoringSSL makes with a key (RFC 8446 section 4.2.3). */
function schemesOf(key: KeyObject, rsa: readonly number[]): readonly number[] {
  if (key.asymmetricKeyType === 'rsa') return rsa;
  if (key.asymmetricKeyType === 'ed25519') return [0x0807];
  const curve = curveOf(key);
  // None for RSASSA-PSS only, which BoringSSL does not load.
  return curve === undefined ? [] : [curve.scheme];
}
