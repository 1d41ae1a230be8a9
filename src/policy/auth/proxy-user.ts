/**
 * Who a trusted proxy says that the user is: a field with a name, and another one with a token, by which the proxy proves that it is one. The address of a
 * proxy alone proves little: whatever runs beside it on the same machine has the same.
 */
import { createHash } from 'node:crypto';
import { type HeaderList, headerValue } from '../../engine/engine.ts';
import type { ClientRequest } from '../addresses.ts';

export const SECRET_FIELD = 'x-proxy-secret';
/** A longer name is none. */
const MAX_NAME = 256;

/** What a request says of its user. "none": nothing. "forged": it names one, and nobody has proved that he may. "wrong": with a token that nobody has. */
export type NamedUser = { readonly name: string } | 'none' | 'forged' | 'wrong';

/**
 * @param field in lower case
 * @param proxies names of proxies by the SHA-256 of their tokens, in hexadecimal
 */
export function proxyUser(
  { headers, proxied }: ClientRequest,
  field: string,
  proxies: () => ReadonlyMap<string, string>,
): NamedUser {
  const names = headers.filter(([name]) => isField(name, field));
  if (names.length === 0) return 'none';
  const secrets = headers.filter(([name]) => isField(name, SECRET_FIELD));
  if (proxied !== true || secrets.length === 0) return 'forged';
  // Looked up and not compared: see `Auth.token`. Several of either may be a client's beside the proxy's.
  const digest = createHash('sha256')
    .update(secrets[0]?.[1] ?? '', 'latin1')
    .digest('hex');
  if (secrets.length > 1 || !proxies().has(digest)) return 'wrong';
  const name = headerValue(names, field) ?? '';
  return names.length === 1 && name !== '' && name.length <= MAX_NAME ? { name } : 'forged';
}

/** The fields without those that say or prove it: a program is told by REMOTE_USER, and only what is true. */
export function withoutProxyUser(headers: HeaderList, field: string): HeaderList {
  const isOne = (name: string): boolean => isField(name, field) || isField(name, SECRET_FIELD);
  return headers.some(([name]) => isOne(name)) ? headers.filter(([name]) => !isOne(name)) : headers;
}

/** Programs cannot tell "-" and "_" apart in what a field has become (RFC 3875 section 4.1.18). */
function isField(name: string, field: string): boolean {
  return name === field || (name.length === field.length && name.replaceAll('_', '-') === field.replaceAll('_', '-'));
}
