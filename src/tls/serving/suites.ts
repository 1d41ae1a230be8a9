/**
 * Which versions and cipher suites are spoken: Mozilla's Server Side TLS guideline, version 5.7
 * (https://ssl-config.mozilla.org/guidelines/5.7.json).
 */
import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';

export type CipherPolicy = 'modern' | 'intermediate';
export type MinimumVersion = '1.2' | '1.3';

const TLS13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'] as const;

const TLS12 = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'DHE-RSA-AES128-GCM-SHA256',
  'DHE-RSA-AES256-GCM-SHA384',
  'DHE-RSA-CHACHA20-POLY1305',
] as const;

/** ffdhe2048 of RFC 7919, which the guideline asks for; only clients without elliptic curves need it. */
const DIFFIE_HELLMAN = `-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
`;

/** Whether TLS 1.2 is refused. */
export function only13(policy: CipherPolicy, minimum: MinimumVersion): boolean {
  return policy === 'modern' || minimum === '1.3';
}

/**
 * The policy as Node takes it. Other than in the guideline our order of preference holds, which testers insist on; but a client
 * that prefers ChaCha20, as phones without AES in hardware do, gets it.
 */
export function policyOptions(policy: CipherPolicy, minimum: MinimumVersion): SecureContextOptions {
  const no12 = only13(policy, minimum);
  return {
    minVersion: no12 ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: [...TLS13, ...(no12 ? [] : TLS12)].join(':'),
    ecdhCurve: 'X25519:prime256v1:secp384r1',
    honorCipherOrder: true,
    ...(no12 ? {} : { dhparam: DIFFIE_HELLMAN }),
    // A client can use renegotiation only to cost us processor time.
    secureOptions:
      constants.SSL_OP_NO_RENEGOTIATION |
      constants.SSL_OP_CIPHER_SERVER_PREFERENCE |
      constants.SSL_OP_PRIORITIZE_CHACHA,
  };
}
