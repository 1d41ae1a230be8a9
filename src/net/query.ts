/** The query of a request, one parameter at a time. Pure. */

/** A parameter of a query, decoded; undefined when it is not there. */
export function queryValue(query: string | undefined, name: string): string | undefined {
  if (query === undefined || !mayHave(query, name)) return undefined;
  return new URLSearchParams(query).get(name) ?? undefined;
}

/** The form's decoder is much work where there is nothing for it. */
function mayHave(query: string, name: string): boolean {
  return query.includes(name) || query.includes('%') || query.includes('+');
}
