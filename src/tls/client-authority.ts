/** Which client certificates are accepted: authorities and revocation lists, read and seen to be usable. */
import { parseCertificates } from './chain.ts';
import { day, isValidAt } from './identity.ts';
import { commonName } from './names.ts';
import { isRevocationList, pemBlocks } from './pem.ts';
import { readTlsFile } from './read-file.ts';
import { TlsTrouble } from './trouble.ts';

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

/** Throws a `TlsTrouble`. */
export function loadClientAuthority(files: ClientAuthorityFiles, now: number): ClientAuthority {
  const certificates = parseCertificates(readTlsFile(files.ca, 'ca'), files.ca, 'ca');
  if (certificates.length === 0) throw new TlsTrouble('ca', `there is no certificate in ${files.ca}`);
  const doubts = certificates.flatMap((certificate) => {
    const name = commonName(certificate.subject) ?? certificate.subject.replaceAll('\n', ', ');
    if (!certificate.ca)
      return [`${name} in ${files.ca} is not the certificate of an authority: it vouches for nobody`];
    if (!isValidAt(certificate, now))
      return [`the authority ${name} is not valid now (until ${day(Date.parse(certificate.validTo))})`];
    return [];
  });
  const crl = files.crl === undefined ? [] : revocationLists(files.crl);
  return { ca: certificates.map(String), crl, doubts };
}

function revocationLists(path: string): readonly string[] {
  const lists = pemBlocks(readTlsFile(path, 'crl')).filter(isRevocationList);
  if (lists.length === 0)
    throw new TlsTrouble('crl', `there is no revocation list in ${path}: PEM begins with "-----BEGIN X509 CRL-----"`);
  return lists.map(({ text }) => text);
}
