/** The names that a certificate is for, and which certificate a client that names a host gets (RFC 6066 section 3, RFC 9525). */
import type { X509Certificate } from 'node:crypto';

/** DNS names in lower case and IP addresses, from the subject alternative names; the common name only where there are none. */
export function namesOf(certificate: X509Certificate): readonly string[] {
  const alternative = alternativeNames(certificate);
  if (alternative === undefined) {
    const common = commonName(certificate.subject);
    return common === undefined ? [] : [common.toLowerCase()];
  }
  // Values with commas or quotes come as JSON strings; no name of a host has any.
  return [...alternative.matchAll(/(?:^|, )(?:DNS|IP Address):([^",]+)/g)].map((match) =>
    (match[1] ?? '').toLowerCase(),
  );
}

/** As Node writes them; undefined when there are none, or (Node then says null) when they are damaged. */
export function alternativeNames(certificate: X509Certificate): string | undefined {
  const names: string | null | undefined = certificate.subjectAltName;
  return names ?? undefined;
}

/** The CN of a name as Node writes it: one attribute a line, some characters behind a backslash. */
export function commonName(name: string): string | undefined {
  return /^CN=(.*)$/m.exec(name)?.[1]?.replaceAll(/\\(.)/g, '$1');
}

/** What a person calls it: its first name, else whatever its subject begins with. */
export function titleOf(certificate: X509Certificate): string {
  const name = alternativeNames(certificate) === undefined ? undefined : namesOf(certificate)[0];
  return (
    name ?? commonName(certificate.subject) ?? certificate.subject.split('\n').at(-1) ?? 'a certificate without a name'
  );
}

/** Whether a certificate for `name` is one for `host`, in lower case: a "*" stands for exactly one label, the first. */
export function covers(name: string, host: string): boolean {
  if (name === host) return true;
  if (!name.startsWith('*.')) return false;
  const dot = host.indexOf('.');
  return dot > 0 && host.slice(dot) === name.slice(1);
}

/** The one form of a host's name that is compared: in lower case, without the dot of the root. */
export function comparedName(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}

/** The index of the entry for `host`: an exact name before a wildcard, the first of equals; undefined when there is none. */
export function findByName(entries: readonly (readonly string[])[], host: string): number | undefined {
  const wanted = comparedName(host);
  const exact = entries.findIndex((names) => names.includes(wanted));
  if (exact !== -1) return exact;
  const wild = entries.findIndex((names) => names.some((name) => covers(name, wanted)));
  return wild === -1 ? undefined : wild;
}
