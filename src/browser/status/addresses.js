// Where a stream is, for whoever looks at this page.

const LOOPBACK = /^(localhost|127\..*|\[::1\])$/;

/**
 * @param key the stream's key, a path with or without a host in front
 * @param at the address of this page
 * @param listeners of the status
 * @param pages keys of the routes that have this page
 * @returns a URL; undefined where this page cannot know one
 */
export function streamUrl(key, at, listeners, pages) {
  const begin = key.indexOf('/');
  const host = key.slice(0, begin);
  const path = key.slice(begin).replace(/[?#]/g, encodeURIComponent);
  if (host.includes('*')) return undefined;
  const base = baseOf(at, listeners, pages);
  if (base === undefined) return undefined;
  if (host !== '') base.host = base.port === '' ? host : `${host}:${base.port}`;
  base.pathname = base.pathname.slice(0, -1) + path;
  return base.href;
}

function baseOf(at, listeners, pages) {
  const isOperators = listeners.some(({ admin, url }) => admin && URL.canParse(url) && new URL(url).port === at.port);
  const page = pages
    .map((key) => key.slice(key.indexOf('/')))
    .sort((a, b) => b.length - a.length)
    .find((path) => at.pathname.endsWith(path));
  // Below a path of a listener, and maybe below another one that a proxy takes off.
  if (!isOperators && page !== undefined)
    return new URL(`${at.pathname.slice(0, at.pathname.length - page.length)}/`, at.href);
  const open = listeners.find(({ admin, url }) => !admin && /^https?:/.test(url));
  if (open === undefined) return undefined;
  const base = new URL(open.url);
  if (base.hostname === 'localhost') base.hostname = at.hostname;
  return LOOPBACK.test(base.hostname) && !LOOPBACK.test(at.hostname) ? undefined : base;
}
