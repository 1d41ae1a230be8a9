/** Header fields that are between two neighbours on the way and never passed on (RFC 9110 section 7.6.1), in lower case. */
export const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
