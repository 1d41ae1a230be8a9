/**
 * Every key that a configuration can have, once: its kind, its default and a sentence for the person who sets it.
 * The types, the defaults, the errors, `runnel schema` and `docs/configuration.md` are made from this file.
 */

import { filesBelow } from './files-below.ts';
import { type Fields, optional, preset, required, type Values } from './kind.ts';
import { address, boolean, choice, command, duration, folder, integer, size, text } from './kinds.ts';
import { headerName, headerValue, routeKey, variableName, variableValue } from './names.ts';
import { redirect } from './redirect.ts';
import { staticKeys } from './static-keys.ts';
import { exactlyOne, listOf, mapOf, overridesOf, shortOr, table } from './tables.ts';
import { tls } from './tls.ts';

const headers = mapOf(headerValue, headerName, 'header fields, name = "value"');

const requestLimits = {
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
} as const;

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
  'Header fields that every reply of this route gets, unless what serves it sets them itself.',
);

const inherited = {
  headers: routeHeaders,
  limits: preset(overridesOf(limits), {}, 'Bounds on what a client may send to this route.'),
} as const;

const inheritedByPrograms = {
  headers: routeHeaders,
  limits: preset(
    overridesOf(programLimits),
    {},
    'Bounds on what a client may send to this route, and on its programs.',
  ),
} as const;

const defaults = table({
  headers: preset(headers, {}, 'Header fields that every reply gets.'),
  limits: preset(programLimits, {}, 'Bounds on what a client may send, and on the programs of all routes.'),
});

const listen = table({
  address: required(address, 'Where to accept connections. ":8080" means every address of the machine.'),
  engine: preset(
    choice('auto', 'uws', 'node'),
    'auto',
    'The network engine. "auto" is uWebSockets.js where it can be loaded, else Node\'s own; "node" also speaks HTTP/1.0. TLS is always served by "node".',
  ),
  tls: optional(tls, 'Makes it speak TLS (HTTPS). Without this it is plain HTTP.'),
  redirect: optional(
    redirect,
    'Sends everybody elsewhere: "https" to the same path on the TLS listener, "https:443" to another port where that is mapped.',
  ),
});

const staticRoute = table({ ...staticKeys, ...inherited }, filesBelow('root', 'fallback', 'error_pages'));

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
  {
    root: optional(folder, 'A folder of CGI programs.'),
    command: optional(command, 'One CGI program for everything below this path.'),
    timeout: preset(
      duration('100ms', '24h'),
      '30s',
      'How long a program may take to its first byte of output. Then 504.',
    ),
    total_timeout: preset(duration('1s', '24h'), '10m', 'How long a program may take in all. Then the reply is cut.'),
    max_processes: preset(
      integer({ min: 1, max: 100_000 }),
      16,
      'How many programs of this route may run at once. Further requests wait.',
    ),
    max_waiting: preset(
      integer({ min: 0, max: 100_000 }),
      64,
      'How many requests may wait for a program to end. Further ones get 503.',
    ),
    pass_authorization: preset(boolean, false, 'Whether the program sees the Authorization header.'),
    ...processFields,
    ...inheritedByPrograms,
  },
  exactlyOne('root', 'command'),
);

const history = shortOr(
  integer({ min: 0, max: 1_000_000 }),
  table({
    messages: preset(integer({ min: 0, max: 1_000_000 }), 100, 'How many messages are kept.'),
    bytes: preset(size('0B', '1GiB'), '1MiB', 'How many bytes of messages are kept.'),
    age: optional(duration('100ms', '30d'), 'How old a kept message may be.'),
  }),
  (messages) => ({ messages }),
);

const streamRoute = table(
  {
    command: optional(command, "The program whose output is the stream and whose input the clients' messages are."),
    share: optional(
      choice('client', 'all', 'query'),
      'Who shares a program: "client" starts one for each client (the default), "all" one for everybody, "query" one for each distinct query string.',
    ),
    start: preset(
      choice('demand', 'boot'),
      'demand',
      'Whether a shared program is started with its first client or with the gateway.',
    ),
    idle_stop: preset(
      duration('0ms', '24h'),
      '10s',
      'How long a shared program goes on after its last client has left. With start = "boot" it always goes on.',
    ),
    history: optional(
      history,
      'How many of the last messages of a shared stream are kept for clients that come or come back; or a table of bounds.',
    ),
    replay: optional(
      choice('none', 'last', 'all'),
      'What of the history a new client gets. The default is "all" where history is set, otherwise "none".',
    ),
    slow_client: preset(
      choice('disconnect', 'drop', 'latest'),
      'disconnect',
      'What becomes of a client of a shared stream that is max_behind behind: it is closed with 1013, or misses messages until it has caught up, or then gets only the newest.',
    ),
    max_behind: preset(size('1KiB', '64MiB'), '256KiB', 'How much a client of a shared stream may leave untaken.'),
    clients: preset(
      choice('plain', 'tagged'),
      'plain',
      '"tagged": a shared program is told in JSON lines who has come, spoken and left, and says to whom it answers.',
    ),
    framing: preset(
      choice('lines', 'raw', 'length-prefixed'),
      'lines',
      'How messages lie in the program\'s input and output: "lines" of text, "raw" bytes as they come, or "length-prefixed" (four bytes, big-endian, before each binary message).',
    ),
    max_message: preset(
      size('1B', '64MiB'),
      '64KiB',
      'Largest message, from a client or from the program. A larger one ends the stream.',
    ),
    eof_message: optional(
      variableValue,
      'The message with which a client closes the program\'s stdin while its output flows on; "" is the empty message.',
    ),
    stderr: preset(
      choice('log', 'client'),
      'log',
      "Where the program's stderr goes, line by line: to the log, or to the client, as binary messages beside text ones (as text ones where stdout is binary).",
    ),
    unbuffer: preset(
      boolean,
      false,
      'Start the program so that each line comes when it is printed: programs hold their output back from a pipe, and this makes it look like a terminal.',
    ),
    restart: optional(
      choice('never', 'on-failure', 'always'),
      'Whether a program that has ended is started again while clients stay. "on-failure": unless its exit status was 0. The default is "always" for a shared program, "never" for one of a single client.',
    ),
    restart_delay: preset(
      duration('10ms', '1h'),
      '500ms',
      'How long to wait before the first restart. Each further one waits twice as long, less up to a quarter by chance.',
    ),
    restart_delay_max: preset(
      duration('10ms', '24h'),
      '1m',
      'The longest wait before a restart. A program that ran this long has run well: the next wait is restart_delay again.',
    ),
    ping_interval: preset(
      duration('100ms', '1h'),
      '25s',
      'How often a quiet client is pinged. One that has not answered by the next ping has vanished, and is dropped.',
    ),
    idle_timeout: optional(
      duration('100ms', '30d'),
      'How long a stream may go without a message either way before it is closed.',
    ),
    max_lifetime: optional(
      duration('1s', '365d'),
      'How long a stream may last before it is closed with 1001, so that its client comes again.',
    ),
    max_processes: preset(
      integer({ min: 1, max: 100_000 }),
      64,
      'How many programs of this route may run at once. Further clients get 503.',
    ),
    max_queue: preset(
      size('1KiB', '64MiB'),
      '256KiB',
      "How much a program that does not read may leave waiting of one client's messages. Beyond it the client is held back, or closed with 1013.",
    ),
    drain_timeout: preset(
      duration('100ms', '24h'),
      '30s',
      'How long a client may leave its stream untaken before it is closed.',
    ),
    ...processFields,
    ...inheritedByPrograms,
  },
  exactlyOne('command'),
);

const admin = table({
  listen: required(address, 'Where /metrics and /healthz are served. Keep it off the network.'),
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
  stream: preset(mapOf(streamRoute, routeKey, '[stream."/path"] tables'), {}, 'Live streams.'),
  processes: preset(processes, {}, 'The programs of all routes.'),
  admin: optional(admin, "The operator's own listener."),
  defaults: preset(defaults, {}, "What every route inherits; a route's own table overrides it key by key."),
  stop_timeout: preset(
    duration('0s', '10m'),
    '10s',
    'How long requests under way may go on when the gateway is told to stop.',
  ),
  log: preset(log, {}, 'What is logged, and how. Everything goes to standard output.'),
});

/** For the check that asks the system (`programs.ts`). */
export const confinementKinds = {
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
/** A route as it is handed out: `headers` and `limits` are complete, with what `[defaults]` gives it; header names in lower case. */
type Complete<R, L> = Omit<R, keyof typeof inherited> & {
  readonly headers: ReadonlyMap<string, string>;
  readonly limits: L;
};
export type ListenConfig = Of<typeof listen>;
export type StaticConfig = Complete<Of<typeof staticRoute>, Limits>;
export type CgiConfig = Complete<Of<typeof cgiRoute>, ProgramLimits>;
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
export type Config = Omit<FileConfig, 'static' | 'cgi' | 'stream'> & {
  readonly static: ReadonlyMap<string, StaticConfig>;
  readonly cgi: ReadonlyMap<string, CgiConfig>;
  readonly stream: ReadonlyMap<string, StreamConfig>;
};
/** What a route that starts programs is told about them. */
export type ProcessConfig = Pick<CgiConfig, keyof typeof processFields | 'limits'>;
