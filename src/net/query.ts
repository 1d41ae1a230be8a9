/** The query of a request, one parameter at a time. Pure. */

/** A parameter of a query, decoded; undefined when it is not there. */
export function queryValue(query: string | undefined, name: string): string | undefined {
  if (query === undefined || !mayHave(query, name)) return undefined;
  return new URLSearchParams(query).get(name) ?? undefined;
}

/** A query in which the values of parameters are "(hidden)" whose decoded names fit, however somebody has encoded them. */
export function hideValues(query: string, names: RegExp): string {
  return query
    .split(/([&#])/)
    .map((part) => {
      const at = part.indexOf('=');
      return at >= 0 && names.test(decoded(part.slice(0, at))) ? `${part.slice(0, at)}=(hidden)` : part;
    })
    .join('');
}

/** As `queryValue` reads a name. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** The form's decoder is much work where there is nothing for it. */
function mayHave(query: string, name: string): boolean {
  return query.includes(name) || query.includes('%') || query.includes('+');
}
