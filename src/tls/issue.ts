/** Makes certificates (RFC 5280): an authority of one's own, and what it vouches for. */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign, type X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as der from './der.ts';
import { pemText } from './pem.ts';

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  authorityInformationAccess: '1.3.6.1.5.5.7.1.1',
  caIssuers: '1.3.6.1.5.5.7.48.2',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

const DIGITAL_SIGNATURE = 0;
const KEY_ENCIPHERMENT = 2;
const KEY_CERT_SIGN = 5;
const CRL_SIGN = 6;

/** ub-common-name (RFC 5280 appendix A.1). The names that count are the alternative ones. */
const MAX_COMMON_NAME = 64;

export interface CertificateRequest {
  readonly commonName: string;
  /** The key that is certified, public or private. */
  readonly key: KeyObject;
  readonly from: Date;
  readonly to: Date;
  readonly use:
    | { readonly for: 'authority' }
    /** DNS names and IP addresses. */
    | {
        readonly for: 'server';
        readonly names: readonly string[];
        /** Where the issuer's own certificate can be fetched (section 4.2.2.1). */
        readonly issuerAddress?: string | undefined;
      }
    | { readonly for: 'client' };
}

export interface Issuer {
  readonly certificate: X509Certificate;
  /** Private: RSA or ECDSA P-256. */
  readonly key: KeyObject;
}

/** The certificate in PEM. Signed with SHA-256; without an issuer by its own key, which then must be private. */
export function issueCertificate(request: CertificateRequest, issuer?: Issuer): string {
  const signingKey = issuer?.key ?? request.key;
  const algorithm =
    signingKey.asymmetricKeyType === 'rsa'
      ? der.sequence(der.oid(OID.sha256WithRsa), Buffer.from([0x05, 0x00]))
      : der.sequence(der.oid(OID.ecdsaWithSha256));
  const content = der.sequence(
    der.explicit(0, der.positive(Buffer.from([2]))),
    // 127 random bits: unpredictable, positive and at most 20 bytes (section 4.1.2.2).
    der.positive(Buffer.concat([Buffer.from([0x40 | ((randomBytes(1)[0] ?? 0) & 0x3f)]), randomBytes(15)])),
    algorithm,
    issuer === undefined ? distinguishedName(request.commonName) : subjectOf(issuer.certificate),
    der.sequence(der.time(request.from), der.time(request.to)),
    distinguishedName(request.commonName),
    publicKeyInfo(request.key),
    der.explicit(3, der.sequence(...extensions(request, signingKey))),
  );
  const certificate = der.sequence(content, algorithm, der.bits(sign('sha256', content, signingKey)));
  return pemText('CERTIFICATE', certificate);
}

function distinguishedName(commonName: string): Buffer {
  return der.sequence(der.set(der.sequence(der.oid(OID.commonName), der.utf8(commonName.slice(0, MAX_COMMON_NAME)))));
}

/** The name in exactly the bytes that stand in the certificate, since that is what the two are compared by (section 7.1). */
function subjectOf(certificate: X509Certificate): Buffer {
  const [outer] = der.elements(certificate.raw);
  const [content] = der.elements(outer?.content ?? Buffer.alloc(0));
  // Version, serial number, algorithm, issuer, validity, subject.
  const subject = der.elements(content?.content ?? Buffer.alloc(0))[5];
  return der.sequence(subject?.content ?? Buffer.alloc(0));
}

function publicKeyInfo(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** Method 1 of section 4.2.1.2: SHA-1 of the key's bits. It names the key, nothing is secured by it. */
function keyIdentifier(key: KeyObject): Buffer {
  const info = der.elements(publicKeyInfo(key))[0]?.content ?? Buffer.alloc(0);
  const keyBits = der.elements(info)[1]?.content.subarray(1) ?? Buffer.alloc(0);
  return createHash('sha1').update(keyBits).digest();
}

function extensions({ key, use }: CertificateRequest, signingKey: KeyObject): readonly Buffer[] {
  const own = keyIdentifier(key);
  const identifiers = [
    extension(OID.subjectKeyIdentifier, false, der.octets(own)),
    extension(OID.authorityKeyIdentifier, false, der.sequence(der.implicit(0, keyIdentifier(signingKey)))),
  ];
  if (use.for === 'authority')
    return [
      ...identifiers,
      extension(OID.basicConstraints, true, der.sequence(der.boolean(true), der.positive(Buffer.from([0])))),
      extension(OID.keyUsage, true, der.flags(KEY_CERT_SIGN, CRL_SIGN)),
    ];
  const usage = key.asymmetricKeyType === 'rsa' ? [DIGITAL_SIGNATURE, KEY_ENCIPHERMENT] : [DIGITAL_SIGNATURE];
  const purpose = use.for === 'server' ? OID.serverAuth : OID.clientAuth;
  return [
    ...identifiers,
    extension(OID.basicConstraints, true, der.sequence()),
    extension(OID.keyUsage, true, der.flags(...usage)),
    extension(OID.extendedKeyUsage, false, der.sequence(der.oid(purpose))),
    ...(use.for === 'server' ? serverExtensions(use) : []),
  ];
}

function serverExtensions(use: CertificateRequest['use'] & { readonly for: 'server' }): readonly Buffer[] {
  const names = extension(OID.subjectAltName, false, der.sequence(...use.names.map((name) => generalName(name))));
  if (use.issuerAddress === undefined) return [names];
  // uniformResourceIdentifier is [6].
  const issuer = der.sequence(der.oid(OID.caIssuers), der.implicit(6, Buffer.from(use.issuerAddress, 'latin1')));
  return [names, extension(OID.authorityInformationAccess, false, der.sequence(issuer))];
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return der.sequence(der.oid(id), ...(critical ? [der.boolean(true)] : []), der.octets(value));
}

/** GeneralName (section 4.2.1.6): dNSName is [2], iPAddress is [7]. */
function generalName(name: string): Buffer {
  return isIP(name) === 0 ? der.implicit(2, Buffer.from(name, 'latin1')) : der.implicit(7, addressBytes(name));
}

/** 4 or 16 bytes. */
export function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  // The URL parser writes any spelling in the one short form, also the dotted end.
  const short = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = '', tail] = short.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const bytes = Buffer.alloc(16);
  for (const [at, group] of [...before, ...zeros, ...after].entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), at * 2);
  return bytes;
}
