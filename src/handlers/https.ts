/** What brings clients to HTTPS and keeps them there: a redirect on the plain listener, a promise on the other. */
import type { HeaderList } from '../engine/engine.ts';

import { HttpError } from '../http/errors.ts';
import type { Handler } from '../http/handler.ts';
import { textReply } from '../http/reply.ts';

/**
 * Sends every client of a plain listener to the same path over HTTPS.
 * @param port where HTTPS is, asked for each request because a port of the system's choosing is known late
 */
export function httpsRedirect(port: () => number): Handler {
  return {
    kind: 'redirect',
    methods: undefined,
    takesBody: false,
    // Whether other sites may send this is for HTTPS to decide.
    crossSite: 'open',
    handle({ request, host }) {
      if (host === '') throw new HttpError(400, 'no Host field, so there is no address to be sent to');
      const name = host.includes(':') ? `[${host}]` : host;
      const at = port();
      const path = request.path.startsWith('/') ? request.path : '/';
      const query = request.query === undefined ? '' : `?${request.query}`;
      const location = `https://${name}${at === 443 ? '' : `:${at}`}${path}${query}`;
      // A form that is posted must stay a POST (RFC 9110 section 15.4.9); 301 is what the oldest clients know.
      const status = request.method === 'GET' || request.method === 'HEAD' ? 301 : 308;
      return textReply(status, `moved to ${location}\n`, [['location', location]]);
    },
    drain: () => undefined,
    close: () => Promise.resolve(),
  };
}

/** Strict-Transport-Security (RFC 6797). `maxAge` in milliseconds; undefined: no such promise. */
export function hstsFields(maxAge: number | undefined): HeaderList {
  return maxAge === undefined ? [] : [['strict-transport-security', `max-age=${Math.round(maxAge / 1000)}`]];
}
