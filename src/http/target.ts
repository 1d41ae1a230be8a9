/** The host of a request, in one form. */

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
