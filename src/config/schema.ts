/**
 * Every key that a configuration can have, once: its type, its default and a sentence for the person who sets it.
 * The types, the defaults, the errors, `runnel schema` and `docs/configuration.md` are made from this file.
 */

import { cgiKeys, fastcgiKeys } from './keys/cgi.ts';
import { proxyNeedsNode, socketNeedsNode } from './keys/listen-rule.ts';
import { type AccessPolicies, connections, policyDefaults, policyOverrides, requestLimits } from './keys/policies.ts';
import { redirect } from './keys/redirect.ts';
import { fieldsOfFiles, staticKeys } from './keys/static.ts';
import { streamKeys } from './keys/stream.ts';
import { tls } from './keys/tls.ts';
import { filesBelow } from './values/files-below.ts';
import { headerName, headerValue, hostPattern, routeKey, variableName, variableValue } from './values/names.ts';
import { folder } from './values/on-disk.ts';
import { address, boolean, choice, duration, integer, size, text } from './values/simple.ts';
import { exactlyOne, listOf, mapOf, needs, overridesOf, table, together } from './values/tables.ts';
import { type Fields, optional, preset, required, type Values } from './values/value.ts';

export type { AuthConfig, ConnectionsConfig, CorsConfig } from './keys/policies.ts';

const headers = mapOf(headerValue, headerName, 'header fields, name = "value"');

/** What a program may use. By setrlimit(2), so most of them hold for each process by itself. */
const processLimits = {
  memory: optional(size('1MiB', '1024GiB'), 'Programs: the most memory (address space) of each process.'),
  processes: optional(
    integer({ min: 1, max: 1_000_000 }),
    'Programs: how many processes and threads their user may have in all. Needs user, since it does not hold for root.',
  ),
  open_files: optional(integer({ min: 3, max: 1_000_000 }), 'Programs: how many files each process may have open.'),
  cpu_time: optional(
    duration('1s', '30d'),
    'Programs: processor time of each process, in whole seconds. One that has used it up gets XCPU, and KILL a second later.',
  ),
  file_size: optional(size('0B', '1024GiB'), 'Programs: the largest file that they may write.'),
  nice: optional(
    integer({ min: -20, max: 19 }),
    "Programs: added to the gateway's niceness; 19 lets everything else go first.",
  ),
} as const;

const userName = text('the name or number of a user');
const groupName = text('the name or number of a group');

const limits = table(requestLimits);
const programLimits = table({ ...requestLimits, ...processLimits });

const routeHeaders = preset(
  headers,
  {},
  'Header fields that every reply of this route gets, unless what serves it sets them itself. The 101 of a WebSocket gets them too, without those that describe a document (Content-Type, ETag …).',
);

const inherited = {
  headers: routeHeaders,
  limits: preset(overridesOf(limits), {}, 'Bounds on what a client may send to this route.'),
  ...policyOverrides,
} as const;

const inheritedByPrograms = {
  headers: routeHeaders,
  limits: preset(
    overridesOf(programLimits),
    {},
    'Bounds on what a client may send to this route, and on its programs.',
  ),
  ...policyOverrides,
} as const;

const defaults = table({
  headers: preset(headers, {}, 'Header fields that every reply gets.'),
  ...policyDefaults,
  limits: preset(programLimits, {}, 'Bounds on what a client may send, and on the programs of all routes.'),
});

const listen = table(
  {
    address: required(
      address,
      'Where to accept connections. ":8080" means every address of the machine, "systemd:NAME" a socket that systemd has opened.',
    ),
    engine: preset(
      choice('auto', 'uws', 'node'),
      'auto',
      'The network engine. "auto" is uWebSockets.js where it can be loaded, else Node\'s own; "node" also speaks HTTP/1.0. TLS is always served by "node".',
    ),
    tls: optional(tls, 'Makes it speak TLS (HTTPS). Without this it is plain HTTP.'),
    proxy_protocol: preset(
      boolean,
      false,
      'Whether every connection begins with a PROXY preface (version 1 or 2: `send-proxy` in HAProxy, `proxy_protocol on` in nginx), in which a proxy names the client. Only `connections.trusted_proxies` may connect then. Served by "node".',
    ),
    hosts: preset(
      listOf(hostPattern, 'hosts'),
      ['*'],
      'The hosts that it answers for: requests with another Host get 421, WebSockets too. Addresses such as 192.168.1.7 and the names of localhost are always among them; "*.example.org" is every host below example.org, and "*" any. A list keeps pages out that have their own name point here (DNS rebinding).',
    ),
    redirect: optional(
      redirect,
      'Sends everybody elsewhere: "https" to the same path on the TLS listener, "https:443" to another port where that is mapped.',
    ),
  },
  together(socketNeedsNode, proxyNeedsNode),
);

const staticRoute = table(
  { ...staticKeys, ...inherited },
  together(filesBelow('root', 'fallback', 'error_pages'), fieldsOfFiles),
);

/** What every route that starts programs has. */
const processFields = {
  directory: optional(folder, 'The working directory of the program.'),
  env: preset(
    mapOf(variableValue, variableName, 'environment variables, NAME = "value"'),
    {},
    'Variables that are set for the program.',
  ),
  pass_env: preset(
    listOf(variableName, 'names of environment variables'),
    [],
    'Variables of the gateway that the program gets too. Without this it gets only PATH, LANG, LC_ALL, TZ and what the route sets.',
  ),
  user: optional(
    userName,
    "Whose programs these are: a name or a number of /etc/passwd. Without it they are the gateway's user's.",
  ),
  group: optional(groupName, "The group of the programs: a name or a number of /etc/group. Without it the user's own."),
  interrupt_after: preset(
    duration('0ms', '10m'),
    '1s',
    'How long a program whose client has left may go on after its stdin was closed, before its process group gets INT.',
  ),
  terminate_after: preset(duration('0ms', '10m'), '1s', 'How long after INT the group gets TERM.'),
  kill_after: preset(duration('0ms', '10m'), '3s', 'How long after TERM the group gets KILL.'),
} as const;

const cgiRoute = table(
  { ...cgiKeys, ...processFields, ...inheritedByPrograms },
  together(exactlyOne('root', 'command'), needs('root', 'interpreters', 'index')),
);

const fastcgiRoute = table({ ...fastcgiKeys, ...inherited }, needs('root', 'extensions', 'index'));

const streamRoute = table(
  { ...streamKeys, ...processFields, ...inheritedByPrograms },
  exactlyOne('command', 'poll', 'connect'),
);

const admin = table({
  listen: required(address, 'Where /metrics and /healthz are served. Keep it off the network.'),
  hosts: preset(
    listOf(hostPattern, 'hosts'),
    [],
    'The hosts that it answers for, beside addresses such as 192.168.1.7 and the names of localhost: requests with another Host get 421. "*" for any.',
  ),
});

const processes = table({
  max: preset(
    integer({ min: 1, max: 100_000 }),
    256,
    'How many programs of all routes together may run at once. Further requests and clients get 503.',
  ),
  spawner: preset(
    choice('auto', 'posix', 'child_process'),
    'auto',
    'How programs are started. "auto" is posix_spawn where it can be called, else Node\'s own child_process.',
  ),
});

const log = table({
  format: preset(choice('auto', 'plain', 'json'), 'auto', '"auto" is plain on a terminal and JSON otherwise.'),
  level: preset(choice('debug', 'info', 'warn', 'error'), 'info', 'The least important line that is written.'),
  requests: preset(boolean, true, 'Whether each request gets a line.'),
});

export const root = table({
  listen: preset(listOf(listen, '[[listen]] tables'), [{ address: ':8080' }], 'The addresses that accept connections.'),
  static: preset(mapOf(staticRoute, routeKey, '[static."/path"] tables'), {}, 'Files.'),
  cgi: preset(mapOf(cgiRoute, routeKey, '[cgi."/path"] tables'), {}, 'CGI programs (RFC 3875).'),
  fastcgi: preset(
    mapOf(fastcgiRoute, routeKey, '[fastcgi."/path"] tables'),
    {},
    'FastCGI applications, such as php-fpm.',
  ),
  stream: preset(mapOf(streamRoute, routeKey, '[stream."/path"] tables'), {}, 'Live streams.'),
  processes: preset(processes, {}, 'The programs of all routes.'),
  admin: optional(admin, "The operator's own listener."),
  defaults: preset(defaults, {}, "What every route inherits; a route's own table overrides it key by key."),
  connections: preset(connections, {}, 'Bounds on clients before any route is known.'),
  stop_timeout: preset(
    duration('0s', '10m'),
    '10s',
    'How long requests under way may go on when the gateway is told to stop.',
  ),
  log: preset(log, {}, 'What is logged, and how. Everything goes to standard output.'),
});

/** For the check that asks the system (`programs.ts`). */
export const confinementTypes = {
  user: userName,
  group: groupName,
  limits: processLimits,
} as const;

type Of<T> = T extends { readonly fields: infer F extends Fields } ? Values<F> : never;

/** The file as `root` reads it: what routes inherit is not filled in yet. */
export type FileConfig = Of<typeof root>;

export type Limits = Of<typeof limits>;
export type ProgramLimits = Of<typeof programLimits>;
/** What a program may use; undefined is no limit. */
export type ProcessLimits = Pick<ProgramLimits, keyof typeof processLimits>;
/** A route's policies, complete: `limits` with what `[defaults]` gives them. */
export interface RoutePolicies extends AccessPolicies {
  readonly limits: Limits;
}
/** A route as it is handed out: headers and policies are complete, with what `[defaults]` gives it; header names in lower case. */
type Complete<R, L> = Omit<R, keyof typeof inherited> &
  AccessPolicies & {
    readonly headers: ReadonlyMap<string, string>;
    readonly limits: L;
  };
export type ListenConfig = Of<typeof listen>;
/** What a listener needs to be told at least: the rest is as the schema presets it. */
export type ListenerConfig = Pick<ListenConfig, 'address' | 'engine'> & Partial<ListenConfig>;
export type StaticConfig = Complete<Of<typeof staticRoute>, Limits>;
export type CgiConfig = Complete<Of<typeof cgiRoute>, ProgramLimits>;
export type FastcgiConfig = Complete<Of<typeof fastcgiRoute>, Limits>;
export type StreamConfig = Complete<Of<typeof streamRoute>, ProgramLimits>;
export type LogConfig = Of<typeof log>;
export type AdminConfig = Of<typeof admin>;
/** As whom a program runs, and within which limits. What is left out or undefined is as the gateway has it. */
export interface Confinement {
  readonly user?: string | undefined;
  readonly group?: string | undefined;
  readonly limits: Partial<ProcessLimits>;
}
export type ProcessesConfig = Of<typeof processes>;
/** The whole file: frozen, defaults filled in, paths absolute and seen to exist. */
export type Config = Omit<FileConfig, 'static' | 'cgi' | 'fastcgi' | 'stream'> & {
  readonly static: ReadonlyMap<string, StaticConfig>;
  readonly cgi: ReadonlyMap<string, CgiConfig>;
  readonly fastcgi: ReadonlyMap<string, FastcgiConfig>;
  readonly stream: ReadonlyMap<string, StreamConfig>;
};
/** What a route that starts programs is told about them. */
export type ProcessConfig = Pick<CgiConfig, keyof typeof processFields | 'limits'>;
