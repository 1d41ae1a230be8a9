/**
 * What a client gets of the head of an upstream's response. Pure. What names a place of the upstream's comes back as the place at which the
 * client finds it: always by its path alone, because only the client knows by which name and scheme it has reached this gateway.
 */
import type { HeaderList } from '../../engine/engine.ts';
import { CONNECTION_FIELDS } from '../../net/connection-fields.ts';
import { type Host, parseHost, sameHost } from '../../net/host.ts';
import { usualPort } from '../../net/origin.ts';
import { connectionNames } from './request-fields.ts';

/** By which names the upstream can call itself, and where its paths begin for the client. */
export interface Places {
  /** Without the last slash; "" where both have the same paths. */
  readonly prefix: string;
  /** What a proxy in front of us has said of where our own paths begin, in the same form; "" where there is none. */
  readonly outer: string;
  /** Its address. */
  readonly upstream: { readonly scheme: 'http' | 'https'; readonly host: Host };
  /** How the client has asked, and the upstream with it where Host is kept. Undefined where the client named no host. */
  readonly client: { readonly scheme: 'http' | 'https'; readonly host: Host | undefined };
}

const UPGRADE_REQUIRED = 426;

/** The engine writes the length, and what belongs to the connection. @param places asked where a field names a place, which few do */
export function responseFields(headers: HeaderList, status: number, places: () => Places): HeaderList {
  const named = connectionNames(headers);
  const fields: (readonly [string, string])[] = [];
  for (const field of headers) {
    const [name, value] = field;
    // What the 426 asks for must be named (RFC 9110 section 15.5.22).
    const isWanted = name === 'upgrade' && status === UPGRADE_REQUIRED;
    if (name === 'content-length' || ((CONNECTION_FIELDS.has(name) || named?.has(name) === true) && !isWanted))
      continue;
    if (name === 'location' || name === 'content-location') fields.push([name, referenceFor(value, places())]);
    else if (name === 'refresh') fields.push([name, refreshFor(value, places())]);
    else if (name === 'set-cookie') fields.push([name, cookieFor(value, places())]);
    else fields.push(field);
  }
  return fields;
}

/** A reference of the upstream's as the client must have it; one to somewhere else, and a relative one, as it is. */
export function referenceFor(reference: string, places: Places): string {
  if (/^\/(?![/\\])/.test(reference)) return pathFor(reference, places);
  const [, scheme, authority = '', rest = ''] = /^(?:(https?):)?\/\/([^/?#\\]*)(.*)$/i.exec(reference) ?? [];
  const host = parseHost(authority);
  if (host === undefined || !isUpstream(scheme?.toLowerCase(), host, places)) return reference;
  // "//" at the beginning would be the host of somebody else.
  return pathFor(`/${rest.replace(/^[/\\]+/, '')}`, places);
}

function isUpstream(scheme: string | undefined, host: Host, { upstream, client }: Places): boolean {
  if (scheme === undefined || scheme === upstream.scheme) {
    if (sameHost(host, upstream.host, usualPort(upstream.scheme))) return true;
  }
  if (client.host === undefined) return false;
  const asked = scheme ?? client.scheme;
  if (asked === client.scheme) return sameHost(host, client.host, usualPort(asked));
  // An upstream that does not know that there is TLS in front of it. The other way round it wants its client to come over TLS.
  return client.scheme === 'https' && sameHost({ ...host, port: host.port ?? client.host.port }, client.host, 443);
}

/** An application that knows its prefix, our part of it or all, has put it there already. */
function pathFor(path: string, { prefix, outer }: Places): string {
  if (outer !== '' && isBelow(path, outer + prefix)) return path;
  return outer + (isBelow(path, prefix) ? path : prefix + path);
}

function isBelow(path: string, prefix: string): boolean {
  const end = path[prefix.length];
  return prefix === '' || (path.startsWith(prefix) && (end === undefined || end === '/' || end === '?' || end === '#'));
}

/** `5; url=/x`, as browsers read it (HTML, "shared declarative refresh steps"). */
function refreshFor(value: string, places: Places): string {
  const [before = ''] = /^[ \t]*[\d.]+[ \t]*[;,][ \t]*(?:url[ \t]*=[ \t]*)?/i.exec(value) ?? [];
  const written = value.slice(before.length);
  if (before === '' || written === '') return value;
  const quote = written.startsWith('"') || written.startsWith("'") ? written[0] : '';
  const end = quote === '' ? -1 : written.indexOf(quote ?? '', 1);
  const reference = end < 0 ? written.slice(quote?.length) : written.slice(1, end);
  return before + referenceFor(reference.trim(), places);
}

/** A cookie's Path is where the client finds it, and its Domain is the client's host unless it is wider than the upstream's own (RFC 6265 section 5.3). */
function cookieFor(cookie: string, places: Places): string {
  const { upstream, client } = places;
  if (!cookie.includes(';')) return cookie;
  const [pair = '', ...attributes] = cookie.split(';');
  // Its name says that its Path is "/" (RFC 6265bis section 4.1.3.2).
  const isHosts = /^[ \t]*__host-/i.test(pair);
  const kept = attributes.flatMap((attribute) => {
    const equals = attribute.indexOf('=');
    const name = attribute
      .slice(0, equals < 0 ? undefined : equals)
      .trim()
      .toLowerCase();
    const value = equals < 0 ? '' : attribute.slice(equals + 1).trim();
    if (name === 'path' && value.startsWith('/') && !isHosts) return [` Path=${pathFor(value, places)}`];
    if (name !== 'domain') return [attribute];
    const domain = value.replace(/^\./, '').toLowerCase();
    return domain === upstream.host.name && domain !== client.host?.name ? [] : [attribute];
  });
  return [pair, ...kept].join(';');
}
