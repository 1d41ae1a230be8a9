/** The words of the log: its levels, and the fields that its lines have, each with what it means. docs/logs.md is held to this table by a test. */

export type Level = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = { readonly [key: string]: string | number | boolean | undefined };

/** From the least to the most important, each as syslog and journald number it (RFC 5424 section 6.2.1). */
export const LEVELS: { readonly [level in Level]: { readonly rank: number; readonly severity: number } } = {
  debug: { rank: 0, severity: 7 },
  info: { rank: 1, severity: 6 },
  warn: { rank: 2, severity: 4 },
  error: { rank: 3, severity: 3 },
};

/** A field of the log, for its reference: what it means, and which lines have it. */
export interface FieldDoc {
  readonly name: string;
  readonly doc: string;
  /** "request": the line of each request. "any": whatever line is about such a thing. */
  readonly of: 'every' | 'request' | 'any';
}

/** Every field that a line can have, in the order of the reference. */
export const FIELDS: readonly FieldDoc[] = [
  { name: 'time', of: 'every', doc: 'When the line was written; UTC' },
  { name: 'level', of: 'every', doc: '"debug", "info", "warn" or "error"; not in a file of requests' },
  { name: 'message', of: 'every', doc: 'What happened. For a request: method and target; not in a file of requests' },
  {
    name: 'status',
    of: 'request',
    doc: 'The status of the answer; 101 for a WebSocket, 499 if the client left first',
  },
  {
    name: 'bytes',
    of: 'request',
    doc: 'Bytes sent to the client: of the body, or of the messages of a WebSocket',
  },
  {
    name: 'received',
    of: 'request',
    doc: 'Bytes received from the client: of the body, or of the messages of a WebSocket',
  },
  { name: 'ms', of: 'request', doc: 'Milliseconds from the arrival of the request to its end; in other lines a delay' },
  { name: 'route', of: 'any', doc: 'The key of the route as configured; "-" without a route' },
  { name: 'client', of: 'any', doc: 'The address of the client, also behind trusted proxies' },
  { name: 'user', of: 'request', doc: 'The user that the client has proved to be' },
  {
    name: 'login',
    of: 'request',
    doc: 'The name that the client gave, if it was refused with 401; "(token)" for a token',
  },
  {
    name: 'id',
    of: 'any',
    doc: 'The id of the request: X-Request-Id of a trusted proxy, or one that the gateway made',
  },
  { name: 'left', of: 'request', doc: 'The client left before the answer was complete' },
  { name: 'because', of: 'request', doc: 'Why the request was refused' },
  { name: 'cut', of: 'request', doc: 'Why the answer is not complete' },
  { name: 'exit', of: 'any', doc: 'The exit status of the program, or the signal that ended it' },
  { name: 'upstream', of: 'request', doc: 'The server that the route passes requests on to' },
  { name: 'code', of: 'request', doc: 'The close code of a WebSocket' },
  {
    name: 'reason',
    of: 'request',
    doc: 'The reason of the close code; in other lines the reason of the event',
  },
  { name: 'sample', of: 'request', doc: 'The line represents this number of similar requests (`log.requests.sample`)' },
  { name: 'method', of: 'request', doc: 'The method of the request' },
  {
    name: 'target',
    of: 'request',
    doc: 'Path and query as the client sent them; tokens, sessions and passwords are "(hidden)"',
  },
  { name: 'protocol', of: 'request', doc: '"HTTP/1.0", "HTTP/1.1" or "HTTP/2.0"' },
  { name: 'host', of: 'request', doc: 'The field Host' },
  { name: 'referer', of: 'request', doc: 'The field Referer; tokens, sessions and passwords are "(hidden)"' },
  { name: 'agent', of: 'request', doc: 'The field User-Agent' },
  { name: 'trace_id', of: 'request', doc: 'The trace of the request, from its `traceparent`' },
  { name: 'listener', of: 'any', doc: 'The address of the listener, as configured' },
  { name: 'port', of: 'any', doc: 'The port of the listener' },
  { name: 'engine', of: 'any', doc: 'The engine of a listener' },
  { name: 'from', of: 'any', doc: '"stderr": a program wrote the line' },
  { name: 'pid', of: 'any', doc: 'The id of a process' },
  { name: 'failures', of: 'any', doc: 'The number of programs of this stream that failed in a row' },
  { name: 'last', of: 'any', doc: 'The last lines of a program on stderr' },
  { name: 'ended', of: 'any', doc: 'How a program ended' },
  { name: 'error', of: 'any', doc: 'The error message of the system or of the code' },
  {
    name: 'refused',
    of: 'any',
    doc: 'The number of requests that were refused for this reason since the last such line',
  },
  { name: 'dropped', of: 'any', doc: 'The number of dropped lines of the log' },
  { name: 'log', of: 'any', doc: 'The file or syslog, in a line about the log' },
];
