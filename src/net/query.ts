/** The query of a request, one parameter at a time. Pure. */

/** A parameter of a query, decoded; undefined when it is not there. */
export function queryValue(query: string | undefined, name: string): string | undefined {
  return query === undefined ? undefined : (new URLSearchParams(query).get(name) ?? undefined);
}
