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
    'Origins whose pages may read the responses: "https://app.example.org", "https://*.example.org", "http://app.example.org:*" for any port, "capacitor://localhost", "null", "file://", or "*" for all with http or https. Empty: no CORS header is sent at all. The same origins may open streams.',
  ),
  methods: preset(
    listOf(corsMethod, 'methods'),
    ['GET', 'HEAD', 'POST'],
    'Methods that such pages may use. GET, HEAD and POST are always allowed.',
  ),
  headers: preset(
    listOf(fieldToken, 'header field names'),
    [],
    'Request header fields that such pages may send in addition to the safelisted ones, such as "Content-Type" for JSON or "Authorization". "Last-Event-ID" is always allowed.',
  ),
  expose: preset(
    listOf(fieldToken, 'header field names'),
    [],
    'Response header fields that such pages may read in addition to the safelisted ones, such as "ETag".',
  ),
  credentials: preset(
    boolean,
    false,
    'Whether such pages may send cookies and passwords. If so, no key of cors may be "*".',
  ),
  max_age: preset(duration('0s', '24h'), '10m', 'How long a browser may remember a preflight.'),
  private_network: preset(
    boolean,
    false,
    'Whether such pages may come from the public Internet while the gateway is on a private network (the preflight of Private Network Access).',
  ),
});

export const auth = table({
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
    'Whether a client certificate that the listener has verified is accepted as a login.',
  ),
  proxy_user: optional(
    fieldToken,
    'The header field in which a trusted proxy names the user that it has signed in, such as "Remote-User". It is believed only together with a token of `proxy_secret_file`, and never passed on.',
  ),
  proxy_secret_file: optional(
    fileOf('tokens', parseTokens),
    'The tokens with which proxies prove themselves, a line "NAME:SHA-256" each, as "runnel token NAME" prints it. The proxy sends its token in the header field "X-Proxy-Secret". It is read again when it changes.',
  ),
  require: preset(
    choice('any', 'all', 'none'),
    'any',
    'Whether one of the configured logins is enough ("any") or all are needed ("all"). "none" opens a route that would inherit them.',
  ),
  realm: preset(realmText, 'runnel', 'The text that a browser shows when it asks for a name and a password.'),
  query_token: preset(
    boolean,
    false,
    'Whether a bearer token may also be sent as ?access_token=, because EventSource and WebSocket in browsers cannot send it otherwise. It is never logged and not passed on.',
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
    'How long a request body may take to arrive; a larger one than 16 MiB, how long each 16 MiB of it may take. A slower one is answered with 408.',
  ),
  body_rate: preset(
    size('0B', '1GiB'),
    '256B',
    'Bytes a second at which a request body must arrive at least, over each `rate_window`. A slower one gets 408. 0 means no minimum.',
  ),
  reply_rate: preset(
    size('0B', '1GiB'),
    '256B',
    'Bytes a second that a client must read at least, over each `rate_window` in which its response waits. A slower client is cut off. 0 means no minimum.',
  ),
  rate_window: preset(duration('500ms', '1h'), '30s', 'The time over which `body_rate` and `reply_rate` are measured.'),
  messages_per_second: preset(
    integer({ min: 0, max: 1_000_000 }),
    1000,
    'Messages a second that one client of a stream may send, and as many at once. A client that sends more is closed with 1008. 0 means no limit.',
  ),
  message_bytes_per_second: preset(
    size('0B', '16GiB'),
    '64MiB',
    'Bytes of messages a second that one client of a stream may send, and as many at once. A client that sends more is closed with 1008. 0 means no limit.',
  ),
} as const;

const crossSite = choice('allow', 'refuse');
const CROSS_SITE =
  'Whether pages of other origins may make a browser send requests that change something (all methods except GET, HEAD and OPTIONS). "refuse" protects old programs that trust a cookie, a password or an address. Origins listed in `cors` are still allowed.';

// What to write where something else than a table is.
const CORS = 'cors = { origins = ["https://app.example.org"] }';
export const AUTH_EXAMPLE =
  'auth = { basic = "FILE" }, and make the lines of the file with "runnel hash-password NAME"';

/** What every route has, each overriding `[defaults]` key by key. */
export const policyOverrides = {
  cors: preset(overridesOf(cors, CORS), {}, 'Other origins whose pages may use this route (CORS, the Fetch standard).'),
  cross_site: optional(crossSite, CROSS_SITE),
  auth: preset(overridesOf(auth, AUTH_EXAMPLE), {}, 'The users who may use this route.'),
} as const;

export const policyDefaults = {
  cors: preset(cors, {}, 'Other origins whose pages may use the routes (CORS, the Fetch standard).'),
  cross_site: preset(crossSite, 'allow', CROSS_SITE),
  auth: preset(
    auth,
    {},
    'The users who may use the routes. Without `basic`, `tokens`, `client_certificate` and `proxy_user`, every client may.',
  ),
} as const;

export const connections = table({
  max: preset(
    integer({ min: 1, max: 1_000_000 }),
    1024,
    'Connections at once, WebSockets included, over all listeners. There are fewer if the system allows fewer open files. Further connections get 503 if the engine can send it, otherwise they are closed.',
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
    'How long an idle connection is kept open for its next request. (The engine "uws" has a fixed time of about 10 s.)',
  ),
  requests_per_second: preset(
    integer({ min: 0, max: 1_000_000 }),
    500,
    'Requests a second from one address. Further requests get 429. 0 means no limit.',
  ),
  request_burst: preset(
    integer({ min: 1, max: 1_000_000 }),
    1000,
    'Requests that one address may make at once before `requests_per_second` counts.',
  ),
  upgrades_per_second: preset(
    integer({ min: 0, max: 1_000_000 }),
    20,
    'WebSockets a second that one address may open. Further ones get 429. 0 means no limit.',
  ),
  upgrade_burst: preset(
    integer({ min: 1, max: 1_000_000 }),
    100,
    'WebSockets that one address may open at once before `upgrades_per_second` counts.',
  ),
  failed_logins: preset(
    integer({ min: 1, max: 1_000_000 }),
    10,
    'How many wrong passwords and tokens one address may send at once, and again in each minute. Further attempts get 429 without being checked.',
  ),
  exempt: preset(
    listOf(addressEntry, 'addresses and ranges'),
    ['127.0.0.0/8', '::1', 'unix'],
    'Addresses without the limits for one address (but `max` and `failed_logins` apply to them too). The default is this machine. "unix" means clients that connect over a Unix socket and are not named by a proxy.',
  ),
  trusted_proxies: preset(
    listOf(addressEntry, 'addresses and ranges'),
    ['unix'],
    'Reverse proxies in front of the gateway. `proxy_header` is used only in requests from them. The client is the last address in it that does not belong to a trusted proxy. Only they may connect to a listener with `proxy_protocol`. "unix" means clients of a Unix socket on which the gateway listens; a list of your own must contain it, too, if you need it.',
  ),
  proxy_header: preset(
    choice('x-forwarded-for', 'forwarded'),
    'x-forwarded-for',
    'The header field in which trusted proxies name the client: "x-forwarded-for" (with `X-Forwarded-Proto`) or "forwarded" (RFC 7239). Name the field that the proxies set; clients can write the other one themselves.',
  ),
  proxy_prefix: preset(
    choice('stripped', 'kept'),
    'stripped',
    'A trusted proxy may name the path below which it serves the gateway (`X-Forwarded-Prefix`, or `X-Ingress-Path` of Home Assistant). "stripped": the proxy removes that path from its requests. "kept": the gateway removes it.',
  ),
});

type Of<T> = T extends { readonly fields: infer F extends Fields } ? Values<F> : never;

export type CorsConfig = Of<typeof cors>;
export type AuthConfig = Of<typeof auth>;
export type ConnectionsConfig = Of<typeof connections>;
/** What every route has once `[defaults]` has been filled in. */
export type AccessPolicies = Values<typeof policyDefaults>;

/** Whether a route asks for a proof of who somebody is. */
export function isGuarded({ basic, tokens, client_certificate, proxy_user, require }: AuthConfig): boolean {
  const asks = basic !== undefined || tokens !== undefined || client_certificate || proxy_user !== undefined;
  return asks && require !== 'none';
}
