/** PEM files (RFC 7468, and the older form with headers of RFC 1421) taken apart into their blocks. */

export interface PemBlock {
  /** "CERTIFICATE", "PRIVATE KEY" … */
  readonly label: string;
  /** As it stands in the file, from BEGIN to END. */
  readonly text: string;
  /** Whether what it holds is encrypted. */
  readonly encrypted: boolean;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n[\s\S]*?-----END \1-----/g;

/** Every block, in the file's order. Text between them, as `openssl x509 -text` and certbot write it, is skipped. */
export function pemBlocks(text: string): readonly PemBlock[] {
  return [...text.matchAll(BLOCK)].map((match) => {
    const label = match[1] ?? '';
    const encrypted = label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type: *4, *ENCRYPTED/m.test(match[0]);
    return { label, text: `${match[0]}\n`, encrypted };
  });
}

export function isCertificate({ label }: PemBlock): boolean {
  return label === 'CERTIFICATE' || label === 'X509 CERTIFICATE' || label === 'TRUSTED CERTIFICATE';
}

export function isPrivateKey({ label }: PemBlock): boolean {
  return label.endsWith('PRIVATE KEY');
}

export function isRevocationList({ label }: PemBlock): boolean {
  return label === 'X509 CRL';
}

/** DER as PEM (RFC 7468 section 2). */
export function pemText(label: string, bytes: Uint8Array): string {
  const lines = Buffer.from(bytes).toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
