/** The keys of a stream that is connected once to a server that pushes, for all viewers. */
import { duration, text } from '../../../config/values/simple.ts';
import { listOf } from '../../../config/values/tables.ts';
import { optional, type ValueType } from '../../../config/values/value.ts';
import { subscribeAddress } from './address.ts';

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
    'A server that pushes messages. The gateway connects once for all clients. It reads an event stream, lines, or the pictures of a camera (http://, https://), a WebSocket (ws://, wss://), or a connection (tcp://, tls://, unix:).',
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
  silence_timeout: optional(
    duration('1s', '24h'),
    'How long the upstream may send nothing before the gateway reconnects. Without this key it may be silent for any time; then only a WebSocket, which is pinged, shows that a server has stopped. The header of a response may take as long, or a minute without this key.',
  ),
} as const;
