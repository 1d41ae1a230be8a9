/** Whose address counts: the client's behind proxies that we trust, and which addresses are one and the same client. */
import { type AddressRange, addressBytes, inRange } from '../config/address-range.ts';
import { type HeaderList, headerValue } from '../engine/engine.ts';

/** Answers that an address set remembers: every request asks for its address. */
const MAX_REMEMBERED = 256;

export class AddressSet {
  private readonly known = new Map<string, boolean>();

  constructor(private readonly ranges: readonly AddressRange[]) {}

  /** `address` as engines write it; "" (a Unix socket) is in no set. */
  has(address: string): boolean {
    if (this.ranges.length === 0) return false;
    const known = this.known.get(address);
    if (known !== undefined) return known;
    const bytes = addressBytes(address);
    const isIn = bytes !== undefined && this.ranges.some((range) => inRange(bytes, range));
    if (this.known.size >= MAX_REMEMBERED) this.known.clear();
    this.known.set(address, isIn);
    return isIn;
  }
}

/** Under what name an address is counted: IPv4 as it is, IPv6 by its /64, of which one household has at least one. */
export function addressKey(address: string): string {
  if (!address.includes(':')) return address;
  const bytes = addressBytes(address);
  return bytes === undefined ? address : `${Buffer.from(bytes.slice(0, 8)).toString('hex')}/64`;
}

export interface Proxies {
  readonly trusted: AddressSet;
  readonly header: 'x-forwarded-for' | 'forwarded';
}

/** What a trusted proxy says of the client; undefined when the peer is none, or says nothing. */
export interface Forwarded {
  readonly address: string;
  /** Whether the client speaks TLS; undefined when the proxy does not say. */
  readonly secure: boolean | undefined;
}

/** A client can write anything into these fields, but a proxy adds what it sees at the end: so the list is read from there. */
export function forwarded(peer: string, headers: HeaderList, proxies: Proxies): Forwarded | undefined {
  if (!proxies.trusted.has(peer)) return undefined;
  const hops = proxies.header === 'forwarded' ? elements(headers) : addresses(headers);
  let best: Forwarded | undefined;
  for (const hop of hops.reverse()) {
    // "unknown", or a name that hides the address (RFC 7239 section 6): further left stands nothing that we could trust.
    if (addressBytes(hop.address) === undefined) break;
    best = hop;
    if (!proxies.trusted.has(hop.address)) break;
  }
  return best;
}

function addresses(headers: HeaderList): Forwarded[] {
  const proto = list(headers, 'x-forwarded-proto').at(-1)?.toLowerCase();
  const secure = proto === undefined ? undefined : proto === 'https' || proto === 'wss';
  return list(headers, 'x-forwarded-for').map((text) => ({ address: bare(text), secure }));
}

/** RFC 7239 section 4. */
function elements(headers: HeaderList): Forwarded[] {
  return list(headers, 'forwarded').map((element) => {
    const pairs = new Map<string, string>();
    for (const part of element.split(';')) {
      const at = part.indexOf('=');
      if (at > 0)
        pairs.set(
          part.slice(0, at).trim().toLowerCase(),
          part
            .slice(at + 1)
            .trim()
            .replace(/^"(.*)"$/, '$1'),
        );
    }
    const proto = pairs.get('proto')?.toLowerCase();
    return { address: bare(pairs.get('for') ?? ''), secure: proto === undefined ? undefined : proto === 'https' };
  });
}

function list(headers: HeaderList, name: string): string[] {
  if (headerValue(headers, name) === undefined) return [];
  return headers
    .filter(([field]) => field === name)
    .flatMap(([, value]) => value.split(','))
    .map((part) => part.trim());
}

/** Without brackets and port. */
function bare(text: string): string {
  const match = /^\[([^\]]+)\](?::\d+)?$/.exec(text) ?? /^(\d+\.\d+\.\d+\.\d+)(?::\d+)?$/.exec(text);
  const address = match?.[1] ?? text;
  return address.toLowerCase().startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
