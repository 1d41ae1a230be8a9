/** Makes certificates (RFC 5280): an authority of one's own, and what it vouches for. */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign, type X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as der from '../der.ts';
import { pemText } from '../pem.ts';

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  ed25519: '1.3.101.112',
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
  /** Private: RSA, ECDSA on any curve, or Ed25519. */
  readonly key: KeyObject;
}

/** The certificate in PEM. Signed with SHA-256 (Ed25519 has its own way); without an issuer by its own key, which then must be private. */
export function issueCertificate(request: CertificateRequest, issuer?: Issuer): string {
  const signingKey = issuer?.key ?? request.key;
  const { algorithm, digest } = signatureBy(signingKey);
  const content = der.sequence(
    der.explicit(0, der.positive(Buffer.from([2]))),
    // 127 random bits: unpredictable, positive and at most 20 bytes (section 4.1.2.2).
    der.positive(Buffer.concat([Buffer.from([0x40 | ((randomBytes(1)[0] ?? 0) & 0x3f)]), randomBytes(15)])),
    algorithm,
    issuer === undefined ? distinguishedName(request.commonName) : subjectOf(issuer.certificate),
    der.sequence(der.time(request.from), der.time(request.to)),
    distinguishedName(request.commonName),
    publicKeyInfo(request.key),
    der.explicit(3, der.sequence(...extensions(request, issuer))),
  );
  const certificate = der.sequence(content, algorithm, der.bits(sign(digest, content, signingKey)));
  return pemText('CERTIFICATE', certificate);
}

/** How a key signs: RFC 4055 section 5, RFC 5758 section 3.2, RFC 8410 section 3. Throws a `RangeError` for one that cannot. */
function signatureBy({ asymmetricKeyType: type }: KeyObject): {
  readonly algorithm: Buffer;
  readonly digest: 'sha256' | null;
} {
  switch (type) {
    case 'rsa':
      return { algorithm: der.sequence(der.oid(OID.sha256WithRsa), Buffer.from([0x05, 0x00])), digest: 'sha256' };
    case 'ec':
      return { algorithm: der.sequence(der.oid(OID.ecdsaWithSha256)), digest: 'sha256' };
    case 'ed25519':
      return { algorithm: der.sequence(der.oid(OID.ed25519)), digest: null };
    default:
      throw new RangeError(`nothing is signed with a key of the type ${type}`);
  }
}

function distinguishedName(commonName: string): Buffer {
  return der.sequence(der.set(der.sequence(der.oid(OID.commonName), der.utf8(commonName.slice(0, MAX_COMMON_NAME)))));
}

/** The name in exactly the bytes that stand in the certificate, since that is what the two are compared by (section 7.1). */
function subjectOf(certificate: X509Certificate): Buffer {
  const parts = partsOf(certificate);
  // A version is there only in certificates of version 3 (and 2): serial number, algorithm, issuer, validity, subject.
  const subject = parts[parts[0]?.tag === 0xa0 ? 5 : 4];
  return der.sequence(subject?.content ?? Buffer.alloc(0));
}

/** The elements of `TBSCertificate` (section 4.1). */
function partsOf(certificate: X509Certificate): readonly der.Element[] {
  const [outer] = der.elements(certificate.raw);
  const [content] = der.elements(outer?.content ?? Buffer.alloc(0));
  return der.elements(content?.content ?? Buffer.alloc(0));
}

/** What a certificate calls its own key, however that was made up; undefined where it does not. */
export function subjectKeyIdentifier(certificate: X509Certificate): Buffer | undefined {
  const wrapped = partsOf(certificate).find(({ tag }) => tag === 0xa3)?.content ?? Buffer.alloc(0);
  const [list] = der.elements(wrapped);
  for (const { content } of der.elements(list?.content ?? Buffer.alloc(0))) {
    const [id, ...rest] = der.elements(content);
    const value = rest.at(-1);
    if (id === undefined || value === undefined || der.oidText(id.content) !== OID.subjectKeyIdentifier) continue;
    return der.elements(value.content)[0]?.content;
  }
  return undefined;
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

function extensions({ key, use }: CertificateRequest, issuer: Issuer | undefined): readonly Buffer[] {
  const own = keyIdentifier(key);
  // The issuer's own word for its key (section 4.2.1.1): OpenSSL does not find an issuer that calls it otherwise.
  const signer = issuer === undefined ? own : subjectKeyIdentifier(issuer.certificate);
  const identifiers = [
    extension(OID.subjectKeyIdentifier, false, der.octets(own)),
    ...(signer === undefined
      ? []
      : [extension(OID.authorityKeyIdentifier, false, der.sequence(der.implicit(0, signer)))]),
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
