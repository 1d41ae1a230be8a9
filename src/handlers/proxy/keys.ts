/** The keys of a `[proxy."/path"]` table. */
import { type Complete, compressKeys, routeKeys } from '../../config/keys/routes.ts';
import { quote } from '../../config/reading/problems.ts';
import { headerName, headerValue } from '../../config/values/names.ts';
import { boolean, choice, duration, integer, size } from '../../config/values/simple.ts';
import { mapOf, type Rule, table } from '../../config/values/tables.ts';
import { optional, preset, required, type ValueType } from '../../config/values/value.ts';
import { trustKeys } from '../../upstream/trust.ts';
import { upstreamAddress } from './address.ts';

/** A field of a request that is passed on. */
const requestHeaderName: ValueType<string> = {
  ...headerName,
  read(value, at, reading) {
    const name = headerName.read(value, at, reading);
    if (name === 'host')
      reading.problem(at, 'cannot be set here', 'use the key "host", which says whose name the upstream is told');
    else if (name === 'expect') reading.problem(at, 'cannot be set: the gateway has the whole body already');
    else return name;
    return undefined;
  },
};

const keys = {
  upstream: required(
    upstreamAddress,
    'The server that answers the requests for this path: "http://127.0.0.1:3000", "https://camera.lan" or "unix:/run/app.sock". It need not run yet.',
  ),
  strip_prefix: preset(
    boolean,
    false,
    'Whether the path of the route is removed from requests to the upstream: with "/app/" a request for /app/x asks for /x. Location, Content-Location, Refresh and the Path of cookies get it again. Links within pages do not, so the application must use relative ones or obey X-Forwarded-Prefix.',
  ),
  host: preset(
    choice('keep', 'upstream'),
    'keep',
    'The Host that the upstream gets: the host of the client\'s request ("keep"), or the name in `upstream`. Servers with several sites need the latter.',
  ),
  request_headers: preset(
    mapOf(headerValue, requestHeaderName, 'header fields, name = "value"'),
    {},
    'Header fields that replace those of the client in each request. "" removes a field.',
  ),
  forwarded: preset(
    choice('x-forwarded-for', 'forwarded', 'none'),
    'x-forwarded-for',
    'How the upstream learns the address of the client: by X-Forwarded-For, -Proto, -Host and, with strip_prefix, -Prefix; by Forwarded (RFC 7239); or not at all. These fields of the client itself are always removed.',
  ),
  ...trustKeys('an https:// upstream', 'upstream'),
  connect_timeout: preset(
    duration('10ms', '10m'),
    '5s',
    'How long connecting may take, TLS included. After that the client gets 504.',
  ),
  timeout: preset(
    duration('100ms', '24h'),
    '60s',
    'How long the header of a response may take, from the moment in which the upstream has received the request. After that the client gets 504. A long-poll needs a longer time than its server waits.',
  ),
  idle_timeout: preset(
    duration('100ms', '24h'),
    '10m',
    'How long an upstream may be silent within a response. After that the response is cut off. An event stream may be silent for any time.',
  ),
  total_timeout: optional(
    duration('1s', '30d'),
    'How long a whole request may take, from the moment in which it has a connection. After that it gets 504, or is cut off. Without this key it may take any time.',
  ),
  max_connections: preset(
    integer({ min: 1, max: 100_000 }),
    256,
    'How many connections to the upstream may be open at once, including WebSockets. Further requests wait.',
  ),
  max_waiting: preset(
    integer({ min: 0, max: 100_000 }),
    64,
    'How many requests may wait for a connection. Further requests get 503.',
  ),
  queue_timeout: preset(
    duration('0ms', '1h'),
    '30s',
    'How long a request may wait for a connection. After that it gets 503.',
  ),
  keep_alive: preset(
    duration('0ms', '1h'),
    '60s',
    'How long an idle connection to the upstream is kept for another request; "0ms" keeps none. A shorter time that the upstream names (Keep-Alive: timeout=5) is obeyed.',
  ),
  max_idle: preset(integer({ min: 0, max: 10_000 }), 16, 'How many idle connections to the upstream are kept.'),
  max_message: preset(
    size('1B', '64MiB'),
    '16MiB',
    'Largest WebSocket message, of the client or of the upstream. A larger one closes the WebSocket with 1009.',
  ),
  max_queue: preset(
    size('1KiB', '64MiB'),
    '16MiB',
    'How many bytes of one client\'s WebSocket messages may wait for an upstream that does not read. This applies to the engine "uws", which cannot hold the client back. Beyond that it is closed with 1013.',
  ),
  ping_interval: preset(
    duration('100ms', '1h'),
    '25s',
    'How often a quiet WebSocket client is pinged. A client that has not answered by the next ping is disconnected.',
  ),
} as const;

const ONLY_TLS = ['ca', 'pin', 'server_name'];

const consistent: Rule = {
  note: `${ONLY_TLS.map((name) => `\`${name}\``).join(', ')} only with an https:// upstream.`,
  json: {},
  check(value, at, reading) {
    const { upstream, pin, strip_prefix: strips } = value;
    if (Array.isArray(pin) && pin.length === 0)
      reading.problem([...at, 'pin'], 'is empty, so no upstream could be accepted', 'name a key, or remove this one');
    if (typeof upstream === 'string' && !upstream.startsWith('https://'))
      for (const name of ONLY_TLS)
        if (Object.hasOwn(value, name))
          reading.problem([...at, name], `has no effect with the upstream ${quote(upstream)}, which is not https://`);
    if (strips === true && /^[^/]*\/$/.test(String(at.at(-1))))
      reading.problem([...at, 'strip_prefix'], 'has no effect here: the path of this route is "/"');
  },
};

export const proxyTable = table({ ...keys, ...compressKeys, ...routeKeys }, consistent);

export type ProxyConfig = Complete<typeof proxyTable>;
