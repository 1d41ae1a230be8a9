/** How a connection to a server behind us failed, as metrics tell it. */
export const CONNECT_FAILURES = {
  refused: 'nothing listens there',
  unreachable: 'no network leads there',
  unresolved: 'its name is not known',
  timeout: 'nothing came in time',
  certificate: 'its certificate is not trusted',
  failed: 'anything else',
};
/** How it failed when it was there. */
export const LATE_FAILURES = {
  closed: 'it was closed too early',
  invalid: 'what came is not what should be spoken there',
  busy: 'too many use it already',
};
