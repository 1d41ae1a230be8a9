/** The keys of a stream that is connected once to a server that pushes, for all viewers. */
import { headerName, headerValue } from '../../../config/values/names.ts';
import { file } from '../../../config/values/on-disk.ts';
import { duration, text } from '../../../config/values/simple.ts';
import { isTable, listOf, mapOf, table } from '../../../config/values/tables.ts';
import { optional, preset, required, type ValueType } from '../../../config/values/value.ts';
import { trustKeys } from '../../../upstream/trust.ts';
import { subscribeAddress } from './address.ts';

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

const postAddress: ValueType<string> = {
  expected: 'an address such as "http://plug.lan/rpc"',
  json: { type: 'string', pattern: '^https?://[^#@]+$' },
  read(value, at, reading) {
    if (typeof value === 'string' && /^https?:\/\/[!-"$-?A-~]+$/.test(value) && URL.canParse(value)) return value;
    reading.wrong(at, value, this.expected);
    return undefined;
  },
};

export const subscribeKeys = {
  subscribe: optional(
    subscribeAddress,
    'A server that pushes, connected to once for all clients: an event stream, lines, or the pictures of a camera (http://, https://), a WebSocket (ws://, wss://), or a connection (tcp://, tls://, unix:).',
  ),
} as const;

/** They stand apart from it in the reference page, behind those of all sources. */
export const subscriptionKeys = {
  events: optional(
    listOf(text('the name of an event', /^[^\r\n\x00]+$/), 'names'),
    'Of an event stream only the events with these names; an event without a name is called "message". Without this key all of them.',
  ),
  post: optional(
    postAddress,
    'Where messages of clients are posted, for an upstream that is read over HTTP. The answer goes to the sender. Without this key such a stream is read-only.',
  ),
  login: optional(
    file,
    'A file whose first line is "name:password", for an upstream that asks for them: Digest where it offers that, else Basic. Nothing is sent before it has asked.',
  ),
  request_headers: preset(
    mapOf(fieldValue, requestField, 'header fields, name = "value" or name = { file = "/path" }'),
    {},
    'Header fields of the requests for the upstream. A value that is secret is the first line of a file, which is read for each connection.',
  ),
  ...trustKeys('an https://, wss:// or tls:// upstream', 'subscribe'),
  silence_timeout: optional(
    duration('1s', '24h'),
    'How long the upstream may say nothing before the connection is made anew. Without this key it may be silent for any time; then only a WebSocket, which is pinged, shows that a server has stopped. The header of a response may take as long, or a minute without this key.',
  ),
} as const;
