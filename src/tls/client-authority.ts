/** Which client certificates are accepted: authorities and revocation lists, read and seen to be usable. */
import { parseCertificates } from './chain.ts';
import { elements, parseTime } from './der.ts';
import { day, isValidAt } from './identity.ts';
import { commonName } from './names.ts';
import { isRevocationList, pemBlocks, pemText } from './pem.ts';
import { readTlsFile, TlsError } from './tls-file.ts';

export interface ClientAuthorityFiles {
  /** Clients without an acceptable certificate are refused ("required"), or served as nobody ("optional"). */
  readonly mode: 'optional' | 'required';
  readonly ca: string;
  readonly crl: string | undefined;
}

export interface ClientAuthority {
  /** PEM. */
  readonly ca: readonly string[];
  readonly crl: readonly string[];
  /** What is odd about them: sentences without their full stop. */
  readonly doubts: readonly string[];
}

/** Throws a `TlsError`. */
export function loadClientAuthority(files: ClientAuthorityFiles, now: number): ClientAuthority {
  const certificates = parseCertificates(readTlsFile(files.ca, 'ca'), files.ca, 'ca');
  if (certificates.length === 0) throw new TlsError('ca', `there is no certificate in ${files.ca}`);
  const doubts = certificates.flatMap((certificate) => {
    const name = commonName(certificate.subject) ?? certificate.subject.replaceAll('\n', ', ');
    if (!certificate.ca)
      return [`${name} in ${files.ca} is not the certificate of an authority, so no client is accepted by it`];
    if (!isValidAt(certificate, now))
      return [`the authority ${name} is not valid now (until ${day(Date.parse(certificate.validTo))})`];
    return [];
  });
  const lists = files.crl === undefined ? [] : parseRevocationLists(readTlsFile(files.crl, 'crl'), files.crl);
  const late = lists.find((list) => list.nextUpdate !== undefined && list.nextUpdate < now);
  if (late?.nextUpdate !== undefined)
    doubts.push(
      `a revocation list in ${files.crl} expired on ${day(late.nextUpdate)}: every client is refused until you replace it`,
    );
  return { ca: certificates.map(String), crl: lists.map(({ pem }) => pem), doubts };
}

export interface RevocationList {
  readonly pem: string;
  /** Milliseconds since 1970; undefined when it does not say. */
  readonly nextUpdate: number | undefined;
}

/** Throws a `TlsError`. */
export function parseRevocationLists(text: string, path: string): readonly RevocationList[] {
  const blocks = pemBlocks(text).filter(isRevocationList);
  if (blocks.length === 0)
    throw new TlsError('crl', `there is no revocation list in ${path}: PEM begins with "-----BEGIN X509 CRL-----"`);
  return blocks.map(({ label, text: block }, index) => {
    const bytes = Buffer.from(block.replaceAll(/-----[^-]+-----/g, ''), 'base64');
    try {
      return { pem: pemText(label, bytes), nextUpdate: nextUpdate(bytes) };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new TlsError('crl', `revocation list ${index + 1} in ${path} is damaged`, { cause: error });
    }
  });
}

const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;

/** The second of the times in `TBSCertList` (RFC 5280 section 5.1.2.5). Throws a `RangeError` for what is none. */
function nextUpdate(bytes: Buffer): number | undefined {
  const [list] = elements(bytes);
  const [content] = elements(list?.content ?? Buffer.alloc(0));
  const times = elements(content?.content ?? Buffer.alloc(0)).filter(
    ({ tag }) => tag === UTC_TIME || tag === GENERALIZED_TIME,
  );
  if (times.length === 0) throw new RangeError('no time: this is not a revocation list');
  const [, second] = times;
  return second === undefined ? undefined : parseTime(second);
}
