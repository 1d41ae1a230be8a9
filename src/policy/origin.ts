/**
 * Whether a page may open a stream. A browser lets any page open a WebSocket to any host and sends its cookies along; only the
 * server can refuse (RFC 6455 section 10.2).
 */

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
