/**
 * Whether a page may make a browser send this request. A browser lets any page open a WebSocket to any host and post forms to
 * any host, and sends its cookies and passwords along; only the server can refuse (RFC 6455 section 10.2).
 */
import { headerValue, type Request } from '../engine/engine.ts';
import type { Cors } from './cors.ts';
import type { Refusal } from './refusal.ts';

/** Methods that change nothing (RFC 9110 section 9.2.1). */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

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
  const host = headerValue(request.headers, 'host');
  const origin = headerValue(request.headers, 'origin');
  if (origin !== undefined) {
    if (sameOrigin(origin, host) || cors.welcomes(origin)) return undefined;
    // A page that keeps its address to itself (Referrer-Policy: no-referrer) posts its own forms as "null"; this field it cannot set.
    if (origin === 'null' && headerValue(request.headers, 'sec-fetch-site') === 'same-origin') return undefined;
    return `a page of another origin (${origin.slice(0, 200)}); cors.origins does not list it`;
  }
  // Without an Origin: what is not a browser, and requests that browsers think harmless, such as that of an <img>.
  const site = headerValue(request.headers, 'sec-fetch-site');
  if (site !== undefined) {
    const navigation = kind === 'open' ? false : headerValue(request.headers, 'sec-fetch-mode') === 'navigate';
    return site === 'same-origin' || site === 'none' || navigation ? undefined : `Sec-Fetch-Site: ${site.slice(0, 40)}`;
  }
  const referer = headerValue(request.headers, 'referer');
  const from = referer === undefined ? undefined : /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(referer)?.[0];
  if (kind === 'same-origin' || from === undefined || sameOrigin(from, host) || cors.welcomes(from)) return undefined;
  return `a page of another site (Referer ${from.slice(0, 200)})`;
}

/**
 * Same origin by host and port. The scheme is not compared: behind a proxy that terminates TLS the gateway sees another one than
 * the browser. Without an Origin it is not a browser, and passes.
 *
 * @param origin the Origin field as sent, undefined for none
 * @param host the Host field as sent
 */
export function sameOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true;
  const match = /^(https?):\/\/([^/?#@\s]+)$/i.exec(origin);
  if (!match || host === undefined) return false;
  const [, scheme = '', authority = ''] = match;
  return withPort(authority, scheme) === withPort(host, scheme);
}

function withPort(authority: string, scheme: string): string {
  const lower = authority.toLowerCase();
  return /:\d+$/.test(lower) ? lower : `${lower}:${scheme.toLowerCase() === 'https' ? 443 : 80}`;
}
