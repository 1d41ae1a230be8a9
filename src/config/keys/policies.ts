/** The keys of everything that may refuse a request: they stand in `[defaults]`, in every route, and beside the listeners. */
import { parseHtpasswd, parseTokens } from '../credentials.ts';
import { addressEntry, corsMethod, fieldToken, originPattern, realmText } from '../values/names.ts';
import { fileOf } from '../values/on-disk.ts';
import { boolean, choice, duration, integer, size } from '../values/simple.ts';
import { listOf, overridesOf, table } from '../values/tables.ts';
import { type Fields, optional, preset, type Values } from '../values/value.ts';

const cors = table({
  origins: preset(
    listOf(originPattern, 'origins'),
    [],
    'Pages of which origins may read the answers: "https://app.example.org", "https://*.example.org", "capacitor://localhost", "null", "file://", or "*" for all with http or https. Empty: no CORS header is sent at all. The same origins may open streams.',
  ),
  methods: preset(
    listOf(corsMethod, 'methods'),
    ['GET', 'HEAD', 'POST'],
    'Methods that such pages may use. GET, HEAD and POST need no permission from anybody.',
  ),
  headers: preset(
    listOf(fieldToken, 'header field names'),
    [],
    'Header fields that such pages may send beyond the harmless ones, such as "Content-Type" for JSON or "Authorization". "Last-Event-ID" is always among them.',
  ),
  expose: preset(
    listOf(fieldToken, 'header field names'),
    [],
    'Header fields of answers that such pages may read beyond the harmless ones, such as "ETag".',
  ),
  credentials: preset(
    boolean,
    false,
    'Whether such pages may send cookies and passwords along. Then nothing may be "*".',
  ),
  max_age: preset(duration('0s', '24h'), '10m', 'How long a browser may remember a preflight.'),
  private_network: preset(
    boolean,
    false,
    'Whether such pages may come from the public Internet while the gateway is on a private network (the preflight of Private Network Access).',
  ),
});

const auth = table({
  basic: optional(
    fileOf('passwords', parseHtpasswd),
    'A file of names and passwords as "htpasswd -B" writes it (bcrypt). It is read again when it changes.',
  ),
  tokens: optional(
    fileOf('tokens', parseTokens),
    'A file of bearer tokens, a line "NAME:SHA-256" each, as "runnel token NAME" prints it. It is read again when it changes.',
  ),
  client_certificate: preset(
    boolean,
    false,
    'Whether a client certificate that the listener has verified counts as a proof.',
  ),
  require: preset(
    choice('any', 'all', 'none'),
    'any',
    'Whether one of the configured proofs is enough or all are needed. "none" opens a route that would inherit them.',
  ),
  realm: preset(realmText, 'runnel', 'What a browser shows when it asks for a name and a password.'),
  query_token: preset(
    boolean,
    false,
    'Whether a bearer token may also come as ?access_token=, for EventSource and WebSocket in browsers, which cannot send it otherwise. It is never logged and not passed on.',
  ),
});

/** Of every route's `limits`. */
export const requestLimits = {
  body: preset(size('0B', '16GiB'), '16MiB', 'Largest request body. A larger one is answered with 413.'),
  body_memory: preset(
    size('0B', '64MiB'),
    '64KiB',
    'How much of a request body is kept in memory; the rest goes to a temporary file without a name.',
  ),
  body_time: preset(
    duration('1s', '24h'),
    '5m',
    'How long a request body may take to arrive. A slower one is answered with 408.',
  ),
  body_rate: preset(
    size('0B', '1GiB'),
    '256B',
    'Bytes a second that a request body must bring at least, over each `rate_window`. A slower one is answered with 408. 0: no minimum.',
  ),
  reply_rate: preset(
    size('0B', '1GiB'),
    '256B',
    'Bytes a second that a client must take at least, over each `rate_window` that it keeps its answer waiting. A slower one is cut off. 0: no minimum.',
  ),
  rate_window: preset(duration('500ms', '1h'), '30s', 'The time over which `body_rate` and `reply_rate` are measured.'),
  messages_per_second: preset(
    integer({ min: 0, max: 1_000_000 }),
    1000,
    'Messages a second that one client of a stream may send, and as many at once. One that sends more is closed with 1008. 0: no limit.',
  ),
  message_bytes_per_second: preset(
    size('0B', '16GiB'),
    '64MiB',
    'Bytes of messages a second that one client of a stream may send, and as many at once. One that sends more is closed with 1008. 0: no limit.',
  ),
} as const;

const crossSite = choice('allow', 'refuse');
const CROSS_SITE =
  'Whether pages of other origins may make a browser send requests that change something (all but GET, HEAD and OPTIONS). "refuse" protects old programs that trust a cookie, a password or an address; origins of `cors` still may.';

/** What every route has, each overriding `[defaults]` key by key. */
export const policyOverrides = {
  cors: preset(overridesOf(cors), {}, 'Pages of which other origins may use this route (the Fetch standard).'),
  cross_site: optional(crossSite, CROSS_SITE),
  auth: preset(overridesOf(auth), {}, 'Who may use this route.'),
} as const;

export const policyDefaults = {
  cors: preset(cors, {}, 'Pages of which other origins may use the routes (the Fetch standard).'),
  cross_site: preset(crossSite, 'allow', CROSS_SITE),
  auth: preset(auth, {}, 'Who may use the routes. Without `basic`, `tokens` and `client_certificate`: everybody.'),
} as const;

export const connections = table({
  max: preset(
    integer({ min: 1, max: 1_000_000 }),
    1024,
    'Connections at once, WebSockets included, over all listeners. Fewer, where the system allows fewer open files. Further ones get 503 where the engine can, else they are closed.',
  ),
  max_per_address: preset(
    integer({ min: 1, max: 1_000_000 }),
    256,
    'Connections at once from one address (of IPv6: from one /64).',
  ),
  header_bytes: preset(size('1KiB', '512KiB'), '16KiB', 'Largest request head. A larger one is answered with 431.'),
  header_time: preset(
    duration('1s', '10m'),
    '10s',
    'How long a request head may take to arrive. (The engine "uws" has a fixed time of about 10 s.)',
  ),
  keep_alive: preset(
    duration('1s', '10m'),
    '10s',
    'How long an idle connection is kept for its next request. (The engine "uws" has a fixed time of about 10 s.)',
  ),
  requests_per_second: preset(
    integer({ min: 0, max: 1_000_000 }),
    500,
    'Requests a second from one address. Further ones get 429. 0: no limit.',
  ),
  request_burst: preset(
    integer({ min: 1, max: 1_000_000 }),
    1000,
    'Requests that one address may make at once before `requests_per_second` counts.',
  ),
  upgrades_per_second: preset(
    integer({ min: 0, max: 1_000_000 }),
    20,
    'WebSockets a second that one address may open. Further ones get 429. 0: no limit.',
  ),
  upgrade_burst: preset(
    integer({ min: 1, max: 1_000_000 }),
    100,
    'WebSockets that one address may open at once before `upgrades_per_second` counts.',
  ),
  failed_logins: preset(
    integer({ min: 1, max: 1_000_000 }),
    10,
    'Wrong passwords and tokens that one address may send at once, and again within each minute. Further attempts get 429 unseen.',
  ),
  exempt: preset(
    listOf(addressEntry, 'addresses and ranges'),
    ['127.0.0.0/8', '::1', 'unix'],
    'Addresses that have no limit of their own (but `max` and `failed_logins` hold for them too): this machine, by default. "unix" is whoever connects over a Unix socket and is not named by a proxy.',
  ),
  trusted_proxies: preset(
    listOf(addressEntry, 'addresses and ranges'),
    ['unix'],
    'Reverse proxies in front of the gateway. Only from them is `proxy_header` believed: the client\'s address is the last one in it that is not itself a trusted proxy\'s. Only they may connect to a listener with `proxy_protocol`. "unix" is whoever may open a Unix socket on which the gateway listens: a list of your own must name it, too.',
  ),
  proxy_header: preset(
    choice('x-forwarded-for', 'forwarded'),
    'x-forwarded-for',
    'The header field in which they name the client: "x-forwarded-for" (with `X-Forwarded-Proto`) or "forwarded" (RFC 7239). Only the one that they set themselves: the other one may be the client\'s.',
  ),
});

type Of<T> = T extends { readonly fields: infer F extends Fields } ? Values<F> : never;

export type CorsConfig = Of<typeof cors>;
export type AuthConfig = Of<typeof auth>;
export type ConnectionsConfig = Of<typeof connections>;
/** What every route has once `[defaults]` has been filled in. */
export interface AccessPolicies {
  readonly cors: CorsConfig;
  readonly cross_site: 'allow' | 'refuse';
  readonly auth: AuthConfig;
}

/** Whether a route asks for a proof of who somebody is. */
export function isGuarded({ basic, tokens, client_certificate, require }: AuthConfig): boolean {
  return (basic !== undefined || tokens !== undefined || client_certificate) && require !== 'none';
}
