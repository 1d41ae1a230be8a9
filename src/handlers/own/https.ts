/** What brings clients to HTTPS and keeps them there: a redirect on the plain listener, a promise on the other. */
import type { HeaderList } from '../../engine/engine.ts';

import { HttpError } from '../../http/errors.ts';
import type { Handler } from '../../http/handler.ts';
import { textReply } from '../../http/reply.ts';
import type { Route } from '../../http/route.ts';
import { uriOf } from '../../routing/canonical-path.ts';
import { Router } from '../../routing/router.ts';

/**
 * Sends every client of a plain listener to the same path over HTTPS.
 * @param port where HTTPS is, asked for each request because a port of the system's choosing is known late
 */
function httpsRedirect(port: () => number): Handler {
  return {
    kind: 'redirect',
    methods: undefined,
    takesBody: false,
    crossSite: 'open',
    handle({ request, path, host }) {
      if (host === '') throw new HttpError(400, 'no Host field, so there is no address to redirect to');
      const name = host.includes(':') ? `[${host}]` : host;
      const at = port();
      const location = `https://${name}${at === 443 ? '' : `:${at}`}${request.prefix ?? ''}${uriOf(path, request.query)}`;
      // A form that is posted must stay a POST (RFC 9110 section 15.4.9); 301 is what the oldest clients know.
      const status = request.method === 'GET' || request.method === 'HEAD' ? 301 : 308;
      return textReply(status, `moved to ${location}\n`, [['location', location]]);
    },
    retire: () => undefined,
    close: () => Promise.resolve(),
  };
}

/** The routes of a plain listener that sends everybody to HTTPS: `httpsRedirect` for everything. */
export function httpsRouter(port: () => number, policies: Omit<Route, 'key' | 'handler' | 'headers'>): Router<Route> {
  // Whether another site may send something is for HTTPS to decide.
  const route: Route = { ...policies, crossSite: 'allow', key: 'redirect', handler: httpsRedirect(port), headers: [] };
  return new Router([{ key: '/', value: route }]);
}

/** Strict-Transport-Security (RFC 6797). `maxAge` in milliseconds; undefined: no such promise. */
export function hstsFields(maxAge: number | undefined): HeaderList {
  return maxAge === undefined ? [] : [['strict-transport-security', `max-age=${Math.round(maxAge / 1000)}`]];
}
