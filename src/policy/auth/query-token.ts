/** A bearer token in a query (RFC 6750 section 2.3), for those who cannot send a header: `access_token=…`. */

const PARAMETER = /(?:^|&)(access_token=[^&]*)/;

/** The parameter as it was sent; undefined where there is none. */
export function tokenParameter(query: string | undefined): string | undefined {
  return query?.includes('access_token=') === true ? PARAMETER.exec(query)?.[1] : undefined;
}

/** The token itself. */
export function queryToken(query: string | undefined): string | undefined {
  const raw = tokenParameter(query)?.slice('access_token='.length);
  if (raw === undefined) return undefined;
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

/** The query without any; undefined where nothing is left. */
export function withoutToken(query: string): string | undefined {
  const left = query
    .split('&')
    .filter((part) => !part.startsWith('access_token='))
    .join('&');
  return left === '' ? undefined : left;
}
