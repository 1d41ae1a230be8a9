/** A request's target, made canonical before anything decides on it: one spelling for the router, the policies and the handlers. */

const PLAIN = /^(?:\/[A-Za-z0-9\-_~!$&'()*+,;=:@][A-Za-z0-9\-._~!$&'()*+,;=:@]*)*\/?$/;
const UNRESERVED = /[A-Za-z0-9\-._~]/;

/**
 * The canonical spelling of a path (RFC 3986 section 6.2.2): escapes of unreserved characters decoded, other escapes in upper case,
 * dot segments removed, slashes merged. Other escapes stay, so decoding the result once gives what was asked for.
 *
 * Slashes are merged, as Apache and nginx do, because `//cgi-bin/x` must not be told apart from `/cgi-bin/x` by the
 * router only for the file system to find them the same.
 *
 * @returns undefined for a path that has no canonical spelling: a broken escape, an escaped NUL, or one that climbs above "/".
 */
export function canonicalPath(path: string): string | undefined {
  if (path !== '' && PLAIN.test(path)) return path;
  if (!path.startsWith('/') || /%(?![0-9A-Fa-f]{2})|%00|[\x00-\x20\x7f]/.test(path)) return undefined;
  const decoded = path.replaceAll(/%[0-9A-Fa-f]{2}/g, (triplet) => {
    const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
    return UNRESERVED.test(character) ? character : triplet.toUpperCase();
  });
  const kept: string[] = [];
  const segments = decoded.split('/').slice(1);
  for (const [at, segment] of segments.entries()) {
    const last = at === segments.length - 1;
    if (segment === '..') {
      if (kept.length === 0) return undefined;
      kept.pop();
    } else if (segment !== '.' && segment !== '') kept.push(segment);
    if (last && (segment === '' || segment === '.' || segment === '..')) kept.push('');
  }
  return `/${kept.join('/')}`;
}

/**
 * The host that a request names, in lower case and without port and brackets (RFC 9110 section 7.2); "" for none, undefined for
 * one that is not a host at all.
 */
export function requestHost(field: string | undefined): string | undefined {
  if (field === undefined || field === '') return '';
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._~!$&'()*+,;=%-]+))(?::\d*)?$/.exec(field);
  const host = match?.[1] ?? match?.[2];
  return host?.toLowerCase().replace(/\.$/, '');
}
