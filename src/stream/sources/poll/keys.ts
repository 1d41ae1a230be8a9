/** The keys of a stream whose messages are polled. */
import { headerName, headerValue } from '../../../config/values/names.ts';
import { command, file } from '../../../config/values/on-disk.ts';
import { choice, duration, text } from '../../../config/values/simple.ts';
import { exactlyOne, isTable, mapOf, table } from '../../../config/values/tables.ts';
import { optional, preset, required, type ValueType } from '../../../config/values/value.ts';
import { trustKeys } from '../../../upstream/trust.ts';

/** What a stream polls: a path of this gateway, a command, or an address. */
type PollAddress = string | readonly [string, ...string[]];

const pollAddress: ValueType<PollAddress> = {
  expected:
    'a path such as "/cgi-bin/status.cgi", an address such as "http://127.0.0.1:8081/status", or a command as a list of strings',
  json: { anyOf: [{ type: 'string', pattern: '^(/|https?://)' }, command.json] },
  read(value, path, reading) {
    if (Array.isArray(value)) return command.read(value, path, reading);
    if (typeof value === 'string' && /^https?:\/\/[^/?]*@/.test(value)) {
      reading.problem(path, 'contains a user or a password, which logs would show', 'leave out what stands before "@"');
      return undefined;
    }
    if (
      typeof value === 'string' &&
      /^(\/[!-"$-~]*|https?:\/\/[!-"$-.0->@-~]+([/?][!-"$-~]*)?)$/.test(value) &&
      isAddress(value)
    )
      return value;
    const isPath = typeof value === 'string' && /^[A-Za-z0-9][!-"$-9;-~]{0,100}$/.test(value);
    // A first part with a dot or a port is a host, as in "192.168.1.7/status", and not the name of a folder.
    const isHost =
      typeof value === 'string' &&
      /^(?:[\w-]+(?:\.[\w-]+)+(?::\d{1,5})?|[\w-]+:\d{1,5})\/[!-"$-9;-~]{0,100}$/.test(value);
    const meant = isHost ? `http://${value}` : isPath ? `/${value}` : undefined;
    reading.wrong(path, value, this.expected, meant && `write "${meant}"`);
    return undefined;
  },
};

/** A value of a header field: as it is, or in a file, which is read for each connection. */
export type FieldValue = string | { readonly file: string };

const inFile = table({ file: required(file, 'The path of a file whose first line is the value.') });

const fieldValue: ValueType<FieldValue> = {
  expected: `${headerValue.expected}, or { file = "/path" } for one that is secret`,
  json: { anyOf: [headerValue.json, inFile.json] },
  read(value, at, reading) {
    return isTable(value) ? inFile.read(value, at, reading) : headerValue.read(value, at, reading);
  },
};

/** What is between us and the upstream, or said by another key. */
const NOT_SET: ReadonlyMap<string, string> = new Map([
  ['host', 'cannot be set: it is the host of the address'],
  ['last-event-id', 'cannot be set: the gateway knows where it was'],
  ['sec-websocket-protocol', 'cannot be set here: name the subprotocols in "subprotocols"'],
]);

const requestField: ValueType<string> = {
  ...headerName,
  read(value, at, reading) {
    const name = headerName.read(value, at, reading);
    const why = NOT_SET.get(name ?? '');
    if (why === undefined) return name;
    reading.problem(at, why);
    return undefined;
  },
};

/** Whether an address, if it is one, has a host and a port that can be. */
function isAddress(value: string): boolean {
  return value.startsWith('/') || URL.canParse(value);
}

export const pollKeys = {
  poll: optional(
    pollAddress,
    'A source that the gateway asks again and again, once for all clients. It is the path of a CGI route of this gateway, a command as a list, or the http:// address of a server.',
  ),
} as const;

/** They stand apart from it in the reference page, behind those of all sources. */
export const pollingKeys = {
  interval: preset(
    duration('100ms', '1h'),
    '1s',
    'How often the source is polled, with a random change of up to a tenth. A source that takes longer to answer waits for news itself, and is polled again at once.',
  ),
  poll_timeout: preset(
    duration('1s', '1h'),
    '90s',
    'How long one run of a polled program, or one request to a polled server, may take. For a polled CGI program this replaces the timeouts of its own route.',
  ),
  message_type: optional(
    text(
      'a media type such as "application/x-www-form-urlencoded"',
      /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(; *[\w-]+=[\w-]+)*$/,
    ),
    "The Content-Type with which a client's message is posted to the source. The default is that of the client's own POST, otherwise application/json for a JSON object or array, otherwise text/plain.",
  ),
  message: optional(
    choice('body', 'lines', 'json-diff', 'data', 'event'),
    'Which part of a polled response is a message. "body" (the default): the whole body, when it has changed. "lines": each new line. "json-diff": the whole JSON document for a new client, then RFC 7396 merge patches. Of an event stream that is subscribed to: the "data" of each event (the default), or the "event" as {"event": "…", "data": "…", "id": "…"}.',
  ),
  cursor: optional(
    table(
      {
        header: optional(headerName, 'The header field of a response that contains the value.'),
        json: optional(
          text('a JSON pointer such as "/next"', /^(\/([^/~]|~[01])*)+$/),
          'The JSON Pointer to the value in a JSON response (RFC 6901).',
        ),
        query: required(
          text('the name of a query parameter', /^[A-Za-z0-9_.~-]+$/),
          'The parameter of the next request that gets it.',
        ),
      },
      exactlyOne('header', 'json'),
    ),
    'A value of each response that is sent in the query of the next request.',
  ),
} as const;

/** Of the HTTP server that a stream polls or subscribes to. */
export const sourceServerKeys = {
  login: optional(
    file,
    'A file whose first line is "name:password", for a polled or subscribed server that asks for them: Digest where it offers that, else Basic. Nothing is sent before it has asked.',
  ),
  request_headers: preset(
    mapOf(fieldValue, requestField, 'header fields, name = "value" or name = { file = "/path" }'),
    {},
    'Header fields of the requests for the server that is polled or subscribed to. A value that is secret is the first line of a file, which is read for each request.',
  ),
  ...trustKeys('an https://, wss:// or tls:// server', 'poll` or `subscribe'),
} as const;
