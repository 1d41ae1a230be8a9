/** Whose address counts: the client's behind proxies that we trust, and which addresses are one and the same client. */
import type { ConnectionsConfig } from '../config/keys/policies.ts';
import { type HeaderList, headerValue, type Request } from '../engine/engine.ts';
import { addressBytes, readAddress, UNIX_PEER } from '../net/address.ts';
import { type AddressEntry, type AddressRange, inRange } from '../net/address-range.ts';

/** Answers that an address set remembers: every request asks for its address. */
const MAX_REMEMBERED = 256;

export class AddressSet {
  private readonly known = new Map<string, boolean>();
  private readonly ranges: readonly AddressRange[];
  private readonly hasUnix: boolean;

  constructor(entries: readonly AddressEntry[]) {
    this.ranges = entries.filter((entry): entry is AddressRange => entry !== UNIX_PEER);
    this.hasUnix = entries.includes(UNIX_PEER);
  }

  /** `address` in its one form; "" (nobody knows) is in no set. */
  has(address: string): boolean {
    if (address === UNIX_PEER) return this.hasUnix;
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

/** Under what name an address is counted: IPv4 as it is, IPv6 by its /64, of which one household has at least one; "unix" is one name. */
export function addressKey(address: string): string {
  if (!address.includes(':')) return address;
  const bytes = addressBytes(address);
  return bytes === undefined ? address : `${Buffer.from(bytes.slice(0, 8)).toString('hex')}/64`;
}

/** A request as its client has sent it, and what a trusted proxy in front of us adds to it. */
export interface ClientRequest extends Request {
  /** A proxy that we trust has passed it on, so what it says of the user may be believed, once it has proved itself. */
  readonly proxied?: boolean | undefined;
  /** Where the client sees our paths begin: "/board", or "" where the proxy says nothing. */
  readonly prefix?: string | undefined;
}

/** Fields in which proxies say where a server's paths begin: the usual one, and that of Home Assistant's ingress. */
const PREFIX_FIELDS = ['x-forwarded-prefix', 'x-ingress-path'] as const;
/** A path, in characters that stay what they are in a Location field (RFC 3986 section 3.3), and that no browser takes for another host. */
const PREFIX = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~!$&'()*+,;=:@%-]+)+$/;
const MAX_PREFIX = 512;

/** The proxies in front of us that are believed, and what they say of the clients behind them. */
export class TrustedProxies {
  private readonly proxies: Proxies;
  private readonly keepPrefix: boolean;

  constructor(config: Pick<ConnectionsConfig, 'trusted_proxies' | 'proxy_header' | 'proxy_prefix'>) {
    this.proxies = { trusted: new AddressSet(config.trusted_proxies), header: config.proxy_header };
    this.keepPrefix = config.proxy_prefix === 'kept';
  }

  has(address: string): boolean {
    return this.proxies.trusted.has(address);
  }

  /** The request as its client sent it to the proxy in front of us, if there is one that we trust. */
  asClient(request: Request): ClientRequest {
    // Whose words these are: the proxy has passed them on without reading them.
    if (request.anonymous === true || !this.has(request.remoteAddress)) return request;
    const client = forwarded(request.remoteAddress, request.headers, this.proxies);
    const { secure = request.listener.secure } = client ?? {};
    const listener = { ...request.listener, secure, secureUnknown: client?.secure === undefined };
    const prefix = prefixOf(request.headers);
    const isBelow = this.keepPrefix && prefix !== '' && request.path.startsWith(`${prefix}/`);
    const path = isBelow ? request.path.slice(prefix.length) : request.path;
    const known = { ...request, path, listener, proxied: true, prefix };
    return client?.address === undefined ? known : { ...known, remoteAddress: client.address, remotePort: undefined };
  }
}

/** Several are of several proxies, each of which has taken its own off: the client's is the first (nginx, Traefik and Caddy write only one). */
function prefixOf(headers: HeaderList): string {
  for (const name of PREFIX_FIELDS) {
    const said = headerValue(headers, name)?.split(',')[0]?.trim() ?? '';
    if (said === '') continue;
    const prefix = said.endsWith('/') ? said.slice(0, -1) : said;
    return prefix.length <= MAX_PREFIX && PREFIX.test(prefix) ? prefix : '';
  }
  return '';
}

export interface Proxies {
  readonly trusted: AddressSet;
  readonly header: 'x-forwarded-for' | 'forwarded';
}

/** What a trusted proxy says of the client; undefined when the peer is none, or says nothing. */
export interface ForwardedClient {
  /** Undefined where it names nobody. */
  readonly address: string | undefined;
  /** Whether the client speaks TLS; undefined when the proxy does not say. */
  readonly secure: boolean | undefined;
}

/** A client can write anything into these fields, but a proxy adds what it sees at the end: so the list is read from there. */
export function forwarded(peer: string, headers: HeaderList, proxies: Proxies): ForwardedClient | undefined {
  if (!proxies.trusted.has(peer)) return undefined;
  const hops = proxies.header === 'forwarded' ? elements(headers) : addresses(headers);
  let best: ForwardedClient | undefined;
  // Only as far as it is believed: each reading costs, and a client can write thousands.
  for (const read of hops.reverse()) {
    const hop = read();
    // The last one is always the proxy's own word. "unknown", or a name that hides the address (RFC 7239 section 6): further left stands
    // nothing that we could trust.
    if (best === undefined || hop.address !== undefined) best = hop;
    if (hop.address === undefined || !proxies.trusted.has(hop.address)) break;
  }
  return best;
}

function addresses(headers: HeaderList): (() => ForwardedClient)[] {
  const proto = list(headers, 'x-forwarded-proto').at(-1)?.toLowerCase();
  const secure = proto === undefined ? undefined : proto === 'https' || proto === 'wss';
  const hops = list(headers, 'x-forwarded-for').map((text) => () => ({ address: bare(text), secure }));
  return hops.length > 0 || proto === undefined ? hops : [() => ({ address: undefined, secure })];
}

/** RFC 7239 section 4. */
function elements(headers: HeaderList): (() => ForwardedClient)[] {
  return list(headers, 'forwarded').map((element) => () => {
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

/** An address that may have brackets and a port, which may also be a hidden one (RFC 7239 section 6.2). */
function bare(text: string): string | undefined {
  const match = /^\[([^\]]+)\](?::[\w.-]+)?$/.exec(text) ?? /^([\d.]+)(?::[\w.-]+)?$/.exec(text);
  return readAddress(match?.[1] ?? text);
}
