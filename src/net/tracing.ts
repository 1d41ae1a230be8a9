/** Names that requests have across servers: ids (X-Request-Id) and traces (W3C Trace Context). */

/** As proxies make them: UUIDs, hexadecimal numbers, base64. Bounded, and harmless wherever it is written. */
const REQUEST_ID = /^[\w.:@/+=~-]{1,128}$/;

/** Whether an id that a proxy has given to a request can be its id here. */
export function isRequestId(text: string): boolean {
  return REQUEST_ID.test(text);
}

/** Version 00 has nothing behind the flags, later ones may (section 3.2). */
const TRACEPARENT =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[\x21-\x7e]{0,256})?$/;

/** The trace that a `traceparent` belongs to; undefined where it is malformed, so that nobody must go by it (section 3.2.2). */
export function traceIdOf(traceparent: string): string | undefined {
  const match = TRACEPARENT.exec(traceparent);
  return match === null || (match[1] === '00' && match[3] !== undefined) ? undefined : match[2];
}

/** Whether a request's fields of a trace may be passed on: one `traceparent`, well-formed. Without it `tracestate` says nothing (section 3.3.1). */
export function isTraced(headers: readonly (readonly [name: string, value: string])[]): boolean {
  let found: string | undefined;
  for (const [name, value] of headers) {
    if (name !== 'traceparent') continue;
    if (found !== undefined) return false;
    found = value;
  }
  return found !== undefined && traceIdOf(found) !== undefined;
}

/** Whether a field, in lower case, is one of a trace. */
export function isOfTrace(name: string): boolean {
  return name === 'traceparent' || name === 'tracestate';
}
