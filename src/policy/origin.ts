/**
 * Whether a page may make a browser send this request. A browser lets any page open a WebSocket to any host and post forms to
 * any host, and sends its cookies and passwords along; only the server can refuse (RFC 6455 section 10.2).
 */
import { headerValue, type Request } from '../engine/engine.ts';
import { type Host, parseHost, sameHost } from '../net/host.ts';
import type { HostPatterns } from '../net/host-patterns.ts';
import { type Origin, parseOrigin, usualPort } from '../net/origin.ts';
import type { Cors } from './cors.ts';
import type { Refusal } from './refusal.ts';

/**
 * Whether a listener answers for the host that a request names. A page can have its own name point at this machine (DNS rebinding): to a
 * browser it is then of the same origin, and only the Host field tells.
 *
 * @param host undefined where the request names none, which no browser does
 */
export function decideHost(host: Host | undefined, hosts: HostPatterns): Refusal | undefined {
  if (host === undefined || hosts.admits(host)) return undefined;
  const because = `the Host field is ${host.name}, which "hosts" of this listener does not list; to allow it, add it there`;
  return { status: 421, because, policy: 'host', headers: [] };
}

/** Methods that change nothing (RFC 9110 section 9.2.1). */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export function isSafe(method: string): boolean {
  return SAFE.has(method);
}

export interface OriginRules {
  readonly cors: Cors;
  /** Of the handler: "same-origin" for whatever is more than a document, such as a stream. */
  readonly crossSite: 'open' | 'same-origin';
  /** Of the route: whether other sites may send requests that change something. */
  readonly unsafe: 'allow' | 'refuse';
}

/**
 * Refuses what a page of another origin has caused, where that is not welcome: anything to a stream, every WebSocket, and with
 * `cross_site = "refuse"` what is not GET, HEAD or OPTIONS. An origin that `cors` lists is welcome.
 */
export function decideOrigin(request: Request, isUpgrade: boolean, rules: OriginRules): Refusal | undefined {
  const closed =
    isUpgrade || rules.crossSite === 'same-origin' || (rules.unsafe === 'refuse' && !SAFE.has(request.method));
  if (!closed) return undefined;
  const because = crossSite(request, rules);
  return because === undefined ? undefined : { status: 403, because, policy: 'origin', headers: [] };
}

/** Why this is a page's of another origin; undefined when it is not, or when it does not come from a browser. */
function crossSite(request: Request, { cors, crossSite: kind }: OriginRules): string | undefined {
  const field = headerValue(request.headers, 'origin');
  if (field !== undefined) {
    const origin = parseOrigin(field);
    if (origin !== undefined && (isSameOrigin(origin, request) || cors.welcomes(origin))) return undefined;
    // A page that keeps its address to itself (Referrer-Policy: no-referrer) posts its own forms as "null"; this field it cannot set.
    if (origin?.text === 'null' && headerValue(request.headers, 'sec-fetch-site') === 'same-origin') return undefined;
    return origin === undefined
      ? `the Origin field is not an origin (${field.slice(0, 200)})`
      : unwelcome(origin, request);
  }
  // Without an Origin: what is not a browser, and requests that browsers think harmless, such as that of an <img>.
  const site = headerValue(request.headers, 'sec-fetch-site');
  if (site !== undefined) {
    const navigation = kind !== 'open' && SAFE.has(request.method) && isNavigation(request);
    return site === 'same-origin' || site === 'none' || navigation ? undefined : `Sec-Fetch-Site: ${site.slice(0, 40)}`;
  }
  const referer = headerValue(request.headers, 'referer');
  const from = referer === undefined ? undefined : /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(referer)?.[0];
  if (kind === 'same-origin' || from === undefined) return undefined;
  const origin = parseOrigin(from);
  if (origin !== undefined && (isSameOrigin(origin, request) || cors.welcomes(origin))) return undefined;
  return `the request comes from a page of another site (Referer ${from.slice(0, 200)})`;
}

function isNavigation({ headers }: Request): boolean {
  return headerValue(headers, 'sec-fetch-mode') === 'navigate';
}

/** For the log: what was refused, and what to write where it should not have been. */
function unwelcome(origin: Origin, request: Request): string {
  const text = origin.text.slice(0, 200);
  const { secure } = request.listener;
  if (origin.scheme === 'https' && !secure && isSameOrigin(origin, withScheme(request, true)))
    return `the request comes from a page of ${text}, but it arrived over plain HTTP; a proxy that serves HTTPS for this gateway must be in connections.trusted_proxies and send X-Forwarded-Proto`;
  return `the request comes from a page of another origin (${text}), which cors.origins does not list; to allow it, set cors = { origins = ["${text}"] } for this route`;
}

/**
 * Whether a page is of the very origin that it has asked: scheme, host and port. A page that came over plain HTTP may have been written by
 * anybody on the way, so it is another origin than the same host's over HTTPS.
 */
export function isSameOrigin(origin: Origin, { headers, listener }: Pick<Request, 'headers' | 'listener'>): boolean {
  const usual = usualPort(origin.scheme);
  const host = parseHost(headerValue(headers, 'host') ?? '');
  if (usual === undefined || origin.host === undefined || host === undefined) return false;
  // Where a proxy does not say what its client speaks, the page's own word is all that there is.
  if (listener.secureUnknown !== true && origin.scheme !== (listener.secure ? 'https' : 'http')) return false;
  return sameHost(origin.host, host, usual);
}

function withScheme(request: Request, secure: boolean): Request {
  return { ...request, listener: { ...request.listener, secure } };
}
