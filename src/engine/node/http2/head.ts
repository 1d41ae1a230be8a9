/** A request's head in HTTP/2, read into the form that HTTP/1 requests have. Pure. */
import { parseHost, sameHost } from '../../../net/host.ts';
import { usualPort } from '../../../net/origin.ts';
import type { HeaderList } from '../../engine.ts';
import { type HeadFacts, type Opening, readConnectOpening, readFacts, splitTarget } from '../../heads.ts';

export interface Head {
  readonly method: string;
  readonly path: string;
  readonly query: string | undefined;
  /** `host` first, whichever way it came. */
  readonly headers: HeaderList;
  readonly facts: HeadFacts;
  /** The client asks for a WebSocket (RFC 8441). */
  readonly opening: Opening | undefined;
}

/** Why a request is none. */
export interface BadHead {
  readonly status: number;
  readonly reason: string;
}

/** What a field takes on the wire of HTTP/1 beside name and value, by which both have one limit. */
const FIELD_OVERHEAD = 4;

/**
 * @param raw names and values in turn, as they came; what RFC 9113 section 8.3 says of pseudo-header fields has been checked
 * @param ended there is no body behind it
 */
export function readHead(raw: readonly string[], ended: boolean, maxBytes: number): Head | BadHead {
  const fields: [name: string, value: string][] = [];
  let method = '';
  let target = '';
  let authority: string | undefined;
  let host: string | undefined;
  let protocol: string | undefined;
  let cookie: [string, string] | undefined;
  let bytes = 0;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const value = raw[at + 1] ?? '';
    bytes += name.length + value.length + FIELD_OVERHEAD;
    if (name === ':method') method = value;
    else if (name === ':path') target = value;
    else if (name === ':authority') authority = value;
    else if (name === ':protocol') protocol = value;
    else if (name === 'host' && host === undefined) host = value;
    else if (name === 'cookie') {
      // They come in crumbs, and are one field for everybody behind us (RFC 9113 section 8.2.3).
      if (cookie === undefined) {
        cookie = [name, value];
        fields.push(cookie);
      } else cookie[1] += `; ${value}`;
    } else if (!name.startsWith(':')) fields.push([name, value]);
  }
  if (bytes > maxBytes) return { status: 431, reason: 'a head that is too large' };
  const named = host ?? authority;
  if (named !== undefined) fields.unshift(['host', named]);
  if (host !== undefined && authority !== undefined && !namesSame(authority, host))
    return { status: 421, reason: 'an :authority of another host than Host says' };
  if (method === 'CONNECT') {
    if (protocol === undefined) return { status: 405, reason: 'CONNECT' };
    if (protocol !== 'websocket') return { status: 501, reason: 'CONNECT for another protocol than websocket' };
    // For everybody behind us it is what the handshake is in HTTP/1.
    method = 'GET';
  }
  const parts = target.startsWith('/') || target === '*' ? splitTarget(target, method) : undefined;
  if (parts === undefined) return { status: 400, reason: 'a :path that is not a path' };
  const facts = readFacts(fields, '1.1');
  if (typeof facts === 'string') return { status: 400, reason: facts };
  const asksSocket = protocol !== undefined;
  return {
    method,
    path: parts.path,
    query: parts.query,
    headers: fields,
    // Its end is known by the frames. What follows an extended CONNECT is no body.
    facts: { ...facts, hasBody: !ended && !asksSocket && facts.contentLength !== 0, chunked: false },
    opening: asksSocket ? readConnectOpening(fields, ended) : undefined,
  };
}

export function isBadHead(head: Head | BadHead): head is BadHead {
  return 'status' in head;
}

function namesSame(authority: string, field: string): boolean {
  const [named, host] = [parseHost(authority), parseHost(field)];
  return named !== undefined && host !== undefined && sameHost(named, host, usualPort('https'));
}
