/** What brings clients to another listener, mostly that with HTTPS, and keeps them there: a redirect on the one, a promise on the other. */
import type { HeaderList } from '../../engine/engine.ts';

import { HttpError } from '../../http/errors.ts';
import type { Handler } from '../../http/handler.ts';
import { textReply } from '../../http/reply.ts';
import type { Route } from '../../http/route.ts';
import { usualPort } from '../../net/origin.ts';
import { uriOf } from '../../routing/canonical-path.ts';
import { Router } from '../../routing/router.ts';

/** Where a redirect leads. */
export interface RedirectTarget {
  readonly scheme: 'https' | 'http';
  /** Asked for each request, because a port of the system's choosing is known late. */
  port(): number;
}

/** Sends every client of a plain listener to the same path of the target. */
function redirect({ scheme, port }: RedirectTarget): Handler {
  return {
    kind: 'redirect',
    methods: undefined,
    takesBody: false,
    crossSite: 'open',
    handle({ request, path, host }) {
      if (host === '') throw new HttpError(400, 'no Host field, so there is no address to redirect to');
      const name = host.includes(':') ? `[${host}]` : host;
      const at = port();
      const location = `${scheme}://${name}${at === usualPort(scheme) ? '' : `:${at}`}${request.prefix ?? ''}${uriOf(path, request.query)}`;
      // A form that is posted must stay a POST (RFC 9110 section 15.4.9); 301 is what the oldest clients know.
      const status = request.method === 'GET' || request.method === 'HEAD' ? 301 : 308;
      return textReply(status, `moved to ${location}\n`, [['location', location]]);
    },
    retire: () => undefined,
    close: () => Promise.resolve(),
  };
}

/** The routes of a plain listener that sends everybody somewhere else: `redirect` for everything. */
export function redirectRouter(
  target: RedirectTarget,
  policies: Omit<Route, 'key' | 'handler' | 'headers'>,
): Router<Route> {
  // Whether another site may send something is decided there.
  const route: Route = { ...policies, crossSite: 'allow', key: 'redirect', handler: redirect(target), headers: [] };
  return new Router([{ key: '/', value: route }]);
}

/** Strict-Transport-Security (RFC 6797). `maxAge` in milliseconds; undefined: no such promise. */
export function hstsFields(maxAge: number | undefined): HeaderList {
  return maxAge === undefined ? [] : [['strict-transport-security', `max-age=${Math.round(maxAge / 1000)}`]];
}
