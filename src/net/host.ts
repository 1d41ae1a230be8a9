/**
 * A host in its one form, whoever writes it: the Host field, a URL, an origin, a certificate's request, the configuration (RFC 3986 section
 * 3.2.2, RFC 9110 section 7.2). In lower case, without the last dot, an IPv6 address short and without its zone, and the port as a number.
 */
import { isIPv4 } from 'node:net';
import { addressBytes, addressFamily, shortIPv6 } from './address.ts';

export interface Host {
  /** "board.local", "192.168.1.7", "::1". */
  readonly name: string;
  readonly kind: 'name' | 'ipv4' | 'ipv6';
  /** Undefined where none is written. */
  readonly port: number | undefined;
}

/** Labels of letters, digits, "-" and "_", with one dot between them: what is more would have to be escaped in a link or a command. */
const NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;
const MAX_NAME = 253;
const PARTS = /^(?:\[([^[\]]*)\]|([^:[\]]*))(?::([0-9]{0,5}))?$/;

/** Undefined for what is no host, the empty string too. */
export function parseHost(text: string): Host | undefined {
  const match = PARTS.exec(text);
  if (match === null) return undefined;
  const [, literal, named = '', digits = ''] = match;
  const port = digits === '' ? undefined : Number(digits);
  if (port !== undefined && port > 65535) return undefined;
  if (literal !== undefined) {
    const name = readIPv6(literal);
    return name === undefined ? undefined : { name, kind: 'ipv6', port };
  }
  const name = named.toLowerCase().replace(/\.$/, '');
  if (name.length > MAX_NAME || !NAME.test(name)) return undefined;
  return { name, kind: isIPv4(name) ? 'ipv4' : 'name', port };
}

/** As it stands in a URL. */
export function hostText({ name, kind }: Pick<Host, 'name' | 'kind'>): string {
  return kind === 'ipv6' ? `[${name}]` : name;
}

/** Whether both are one host and port, where `usual` is the port that need not be written. */
export function sameHost(a: Host, b: Host, usual: number | undefined): boolean {
  return a.name === b.name && a.kind === b.kind && (a.port ?? usual) === (b.port ?? usual);
}

/** The zone of an address is the client's own business (RFC 6874 section 4), also where it has sent it. */
function readIPv6(text: string): string | undefined {
  const zone = text.indexOf('%');
  const plain = zone < 0 ? text : text.slice(0, zone);
  const bytes = addressFamily(plain) === 6 ? addressBytes(plain) : undefined;
  return bytes && shortIPv6(bytes);
}
