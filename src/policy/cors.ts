/**
 * Cross-origin resource sharing by the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol), for one route. The lists
 * come from the configuration; of a request only its origin is ever repeated, and only one that is listed.
 */
import type { CorsConfig } from '../config/keys/policies.ts';
import { type HeaderList, headerValue, type Request } from '../engine/engine.ts';
import { type Origin, parseOrigin, usualPort } from '../net/origin.ts';

/** All that a reply may say about other origins: taken off what a program prints. */
const CORS_FIELD = /^access-control-/;
const STAR = '://*.';
const ANY_PORT = ':*';
const PREFLIGHT_VARY = ['Origin', 'Access-Control-Request-Method', 'Access-Control-Request-Headers'];

/** An entry that stands for many origins: all hosts below one, all ports, or both. */
interface Wildcard {
  readonly like: Origin;
  readonly below: boolean;
  readonly anyPort: boolean;
}

export class Cors {
  /** In their one form (`net/origin.ts`). */
  private readonly exact: ReadonlySet<string>;
  /** "https://*.example.org" without its star, and "http://example.org:*" without its port. */
  private readonly wildcards: readonly Wildcard[];
  private readonly everybody: boolean;
  private readonly allowHeaders: readonly string[];

  constructor(private readonly config: CorsConfig) {
    const { origins, headers } = config;
    this.everybody = origins.includes('*');
    this.exact = new Set(origins.filter((origin) => !origin.includes('*')));
    this.wildcards = origins.flatMap((origin) => {
      const anyPort = origin.endsWith(ANY_PORT);
      const like = parseOrigin((anyPort ? origin.slice(0, -ANY_PORT.length) : origin).replace(STAR, '://'));
      const below = origin.includes(STAR);
      return like === undefined || !(below || anyPort) ? [] : { like, below, anyPort };
    });
    const names = headers.map((name) => name.toLowerCase());
    // An EventSource may send it anyway; what reads event streams by fetch() has to ask.
    this.allowHeaders =
      names.includes('*') || names.includes('last-event-id') ? headers : [...headers, 'Last-Event-ID'];
  }

  /** Whether any origin is listed at all: without one the route says nothing about other origins. */
  get on(): boolean {
    return this.everybody || this.exact.size > 0 || this.wildcards.length > 0;
  }

  /**
   * Whether pages of this origin may do what only the same origin may otherwise: open a stream, send a form. "*" does not
   * mean those that have no name of their own ("null", "file://").
   */
  welcomes(origin: Origin): boolean {
    return this.lists(origin) || (this.everybody && usualPort(origin.scheme) !== undefined);
  }

  /** Whether this origin itself is listed, or one of its kind: "*" lists nobody. */
  lists({ scheme, host, text }: Origin): boolean {
    if (this.exact.has(text)) return true;
    if (host === undefined) return false;
    return this.wildcards.some(({ like, below, anyPort }) => {
      if (scheme !== like.scheme || (!anyPort && host.port !== like.host?.port)) return false;
      return below ? host.kind === 'name' && host.name.endsWith(`.${like.host?.name}`) : host.name === like.host?.name;
    });
  }

  /** The origin that a request names, where it is listed. */
  private listed(request: Request): string | undefined {
    const field = headerValue(request.headers, 'origin');
    const origin = field === undefined ? undefined : parseOrigin(field);
    return origin !== undefined && this.lists(origin) ? field : undefined;
  }

  /** Whether this is a preflight (CORS-preflight fetch) that this route has to answer. */
  isPreflight(request: Request): boolean {
    return (
      this.on &&
      request.method === 'OPTIONS' &&
      headerValue(request.headers, 'origin') !== undefined &&
      headerValue(request.headers, 'access-control-request-method') !== undefined
    );
  }

  /** Whether a preflight's origin may read answers at all. */
  answers(request: Request): boolean {
    return this.everybody || this.listed(request) !== undefined;
  }

  /** What a preflight of an allowed origin is told, beyond what every reply gets. */
  preflight(request: Request): HeaderList {
    const { methods, max_age, private_network } = this.config;
    const fields: (readonly [string, string])[] = [
      ['access-control-allow-methods', methods.join(', ')],
      ['access-control-max-age', String(Math.round(max_age / 1000))],
      ['vary', PREFLIGHT_VARY.join(', ')],
      ['access-control-allow-headers', this.allowHeaders.join(', ')],
    ];
    // Private Network Access, a draft of the WICG: asked for by pages of the public Internet.
    if (private_network && headerValue(request.headers, 'access-control-request-private-network') === 'true')
      fields.push(['access-control-allow-private-network', 'true']);
    return fields;
  }

  /** What `apply` depends on besides the fields: the same for two requests, the same result. Undefined where it cannot be told so. */
  answerDependsOn(request: Request): string | undefined {
    if (!this.on || (this.everybody && request.method !== 'OPTIONS')) return '';
    return request.method === 'OPTIONS' ? undefined : (this.listed(request) ?? '');
  }

  /** A reply's fields as this route has them: nothing that a program says about other origins, and what we say of `request`'s. */
  apply(fields: HeaderList, request: Request): HeaderList {
    if (!this.on) return fields;
    const preflight = this.isPreflight(request);
    const kept = preflight ? fields : fields.filter(([name]) => !CORS_FIELD.test(name));
    const { credentials, expose } = this.config;
    const origin = this.everybody ? undefined : this.listed(request);
    const ours: (readonly [string, string])[] = [];
    if (this.everybody) ours.push(['access-control-allow-origin', '*']);
    else if (origin !== undefined) {
      ours.push(['access-control-allow-origin', origin]);
      if (credentials) ours.push(['access-control-allow-credentials', 'true']);
    }
    if (ours.length > 0 && expose.length > 0 && !preflight)
      ours.push(['access-control-expose-headers', expose.join(', ')]);
    return this.everybody ? [...kept, ...ours] : [...varyByOrigin(kept), ...ours];
  }
}

/** The same fields with Origin in Vary, once: a cache must not give one origin's answer to another. */
export function varyByOrigin(fields: HeaderList): HeaderList {
  const members = fields
    .filter(([name]) => name === 'vary')
    .flatMap(([, value]) => value.split(','))
    .map((member) => member.trim())
    .filter((member) => member !== '');
  if (members.includes('*')) return fields;
  const has = members.some((member) => member.toLowerCase() === 'origin');
  if (!has) members.push('Origin');
  return [...fields.filter(([name]) => name !== 'vary'), ['vary', members.join(', ')]];
}
