/** A certificate with its chain and its private key, read from files and seen to belong together. */
import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { systemCode } from '../ops/system-errors.ts';
import { chainFor, isSelfSigned, parseCertificates } from './chain.ts';
import { alternativeNames, commonName, namesOf, titleOf } from './names.ts';
import { type Environment, type PassphraseSource, readPassphrase } from './passphrase.ts';
import { isPrivateKey, type PemBlock, pemBlocks } from './pem.ts';
import { readTlsFile, TlsError } from './tls-file.ts';

export interface IdentityFiles {
  readonly certificate: string;
  /** The same file when key and chain are in one. */
  readonly key: string;
  readonly passphrase: PassphraseSource | undefined;
  /** What was made in memory, in PEM: then there are no files, and the paths only stand for them in messages. */
  readonly made?: { readonly certificate: string; readonly key: string } | undefined;
}

export interface Identity {
  /** The certificate itself first, then its issuers; without the root. */
  readonly chain: readonly X509Certificate[];
  readonly leaf: X509Certificate;
  readonly key: KeyObject;
  /** DNS names and addresses that it is for, in lower case. */
  readonly names: readonly string[];
  /** What a person calls it. */
  readonly title: string;
}

/** Shorter ones are refused by every browser (CA/Browser Forum Baseline Requirements, section 6.1.5). */
const MIN_RSA_BITS = 2048;
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** Throws a `TlsError` that names the file and says what is wrong with it. The decrypted key never leaves memory. */
export function loadIdentity(files: IdentityFiles, environment: Environment): Identity {
  const { made } = files;
  if (made !== undefined) return parseIdentity(made.certificate, made.key, files, environment);
  const certificate = readTlsFile(files.certificate, 'certificate');
  return parseIdentity(certificate, readTlsFile(files.key, 'key'), files, environment);
}

/** The same for what was read already. */
export function parseIdentity(
  certificate: string,
  keyText: string,
  files: IdentityFiles,
  environment: Environment,
): Identity {
  const pool = parseCertificates(certificate, files.certificate, 'certificate');
  if (pool.length === 0)
    throw new TlsError(
      'certificate',
      pemBlocks(certificate).some(isPrivateKey)
        ? `there is no certificate in ${files.certificate}, but a private key: name the file of the certificate here`
        : `there is no certificate in ${files.certificate}: PEM begins with "-----BEGIN CERTIFICATE-----"`,
    );
  const key = parseKey(keyText, files, environment);
  const chain = chainFor(key, pool);
  const leaf = chain?.[0];
  if (chain === undefined || leaf === undefined) {
    const names = pool.map(titleOf).join(', ');
    throw new TlsError(
      'key',
      `the key in ${files.key} does not belong to the certificate in ${files.certificate} (${names})`,
    );
  }
  return { chain, leaf, key, names: namesOf(leaf), title: titleOf(leaf) };
}

function parseKey(text: string, files: IdentityFiles, environment: Environment): KeyObject {
  const blocks = pemBlocks(text).filter(isPrivateKey);
  const block = blocks[0];
  if (block === undefined) {
    const why =
      files.key === files.certificate && text.includes('-----BEGIN CERTIFICATE-----')
        ? ', but a certificate: name the file of the private key, too'
        : ': PEM begins with "-----BEGIN PRIVATE KEY-----"';
    throw new TlsError('key', `there is no private key in ${files.key}${why}`);
  }
  if (blocks.length > 1)
    throw new TlsError('key', `there are ${blocks.length} private keys in ${files.key}: one is needed`);
  const key = decode(block, files, environment);
  const type = key.asymmetricKeyType;
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  if ((type === 'rsa' || type === 'rsa-pss') && modulusLength < MIN_RSA_BITS)
    throw new TlsError(
      'key',
      `the RSA key in ${files.key} has ${modulusLength} bits: at least ${MIN_RSA_BITS} are needed`,
    );
  if (type === 'ec' && !CURVES.has(namedCurve))
    throw new TlsError('key', `the key in ${files.key} is on the curve ${namedCurve}: P-256 or P-384 are needed`);
  if (type !== 'rsa' && type !== 'rsa-pss' && type !== 'ec' && type !== 'ed25519')
    throw new TlsError('key', `the key in ${files.key} is of the type ${type}: RSA, ECDSA or Ed25519 is needed`);
  return key;
}

function decode(block: PemBlock, files: IdentityFiles, environment: Environment): KeyObject {
  const { key: path, passphrase: source } = files;
  if (block.encrypted && source === undefined)
    throw new TlsError(
      'key',
      `the key in ${path} is encrypted: set passphrase_file, passphrase_env or passphrase_credential`,
    );
  const passphrase = block.encrypted && source !== undefined ? readPassphrase(source, environment) : undefined;
  try {
    return createPrivateKey({ key: block.text, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    const code = systemCode(error) ?? '';
    if (code === 'ERR_OSSL_EVP_UNSUPPORTED' && passphrase === undefined)
      throw new TlsError('key', `the key in ${path} is damaged, or of a kind that OpenSSL does not know`, {
        cause: error,
      });
    if (code === 'ERR_OSSL_EVP_UNSUPPORTED')
      throw new TlsError(
        'key',
        `the key in ${path} is encrypted with a cipher that OpenSSL 3 does not support by default: convert it with "openssl pkcs8 -topk8 -provider legacy -provider default"`,
        { cause: error },
      );
    if (passphrase === undefined) throw new TlsError('key', `the key in ${path} is damaged`, { cause: error });
    throw new TlsError('passphrase', `the passphrase does not open the key in ${path}`, { cause: error });
  } finally {
    passphrase?.fill(0);
  }
}

/** The start and the end of a certificate's validity, milliseconds since 1970. */
export function validity(certificate: X509Certificate): { readonly from: number; readonly to: number } {
  return { from: Date.parse(certificate.validFrom), to: Date.parse(certificate.validTo) };
}

export function isValidAt(certificate: X509Certificate, now: number): boolean {
  const { from, to } = validity(certificate);
  return now >= from && now <= to;
}

/** The certificate of a chain that ends first, in words, and when. A chain is no better than that. */
export function firstToEnd({ chain, leaf, title }: Identity): { readonly what: string; readonly notAfter: number } {
  const first = chain.reduce((one, other) => (validity(other).to < validity(one).to ? other : one), leaf);
  return {
    what: first === leaf ? `the certificate for ${title}` : inChain(first, title),
    notAfter: validity(first).to,
  };
}

/** An intermediate certificate, in words. */
export function inChain(certificate: X509Certificate, title: string): string {
  return `the intermediate certificate "${titleOf(certificate)}" of the certificate for ${title}`;
}

/** What is odd about an identity without making it useless: whole sentences without their full stop. */
export function doubtsAbout(identity: Identity, now: number): readonly string[] {
  const { chain, leaf, key, names, title } = identity;
  const doubts: string[] = [];
  for (const certificate of chain) {
    const { from, to } = validity(certificate);
    const which =
      certificate === leaf ? `the certificate for ${title}` : `the intermediate certificate ${titleOf(certificate)}`;
    if (now > to) doubts.push(`${which} expired on ${day(to)}: clients will refuse it`);
    else if (now < from)
      doubts.push(`${which} is not valid before ${day(from)}: renew it, or set this machine's clock (${day(now)})`);
  }
  if (chain.length === 1 && !isSelfSigned(leaf) && leaf.infoAccess?.includes('CA Issuers') === true)
    doubts.push(
      `an intermediate certificate is missing: "${title}" was issued by "${commonName(leaf.issuer) ?? leaf.issuer}", which is not in the file; many clients will refuse it`,
    );
  if (leaf.ca && !isSelfSigned(leaf))
    doubts.push(`the certificate for ${title} is that of an authority, not of a server`);
  if (alternativeNames(leaf) === undefined)
    doubts.push(`the certificate for ${title} has no subject alternative names: browsers ignore the common name`);
  else if (names.length === 0) doubts.push(`the certificate ${title} is for no host name and no address`);
  if (key.asymmetricKeyType === 'ed25519')
    doubts.push('browsers do not accept certificates with an Ed25519 key; use a P-256 key');
  return doubts;
}

/** "2026-11-20". */
export function day(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 10);
}
