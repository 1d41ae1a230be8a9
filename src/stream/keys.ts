/** The keys of a `[stream."/path"]` table. */
import { type Complete, type ProgramLimits, programRouteKeys } from '../config/keys/routes.ts';
import { variableValue } from '../config/values/names.ts';
import { boolean, choice, duration, integer, size, text } from '../config/values/simple.ts';
import { exactlyOne, listOf, shortOr, table } from '../config/values/tables.ts';
import { optional, preset } from '../config/values/value.ts';
import { connectKeys } from './sources/connect/keys.ts';
import { pollingKeys, pollKeys } from './sources/poll/keys.ts';
import { commandKeys } from './sources/program/keys.ts';

/** The kind of route. */
export const STREAM = 'stream';

const history = shortOr(
  integer({ min: 0, max: 1_000_000 }),
  table({
    messages: preset(integer({ min: 0, max: 1_000_000 }), 100, 'How many messages are kept.'),
    bytes: preset(size('0B', '1GiB'), '1MiB', 'How many bytes of messages are kept.'),
    age: optional(duration('100ms', '30d'), 'How old a kept message may be.'),
  }),
  (messages) => ({ messages }),
);

const keys = {
  ...commandKeys,
  ...pollKeys,
  ...connectKeys,
  subprotocols: preset(
    listOf(text('a token', /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/), 'names'),
    [],
    "WebSocket subprotocols that the backend speaks. The first of a client's offers that is among them is agreed on; without one there is none.",
  ),
  ...pollingKeys,
  share: optional(
    choice('client', 'all', 'query', 'credentials'),
    'Who shares a program: "client" starts one for each client (the default), "all" one for everybody (the default with poll), "query" one for each distinct query string, "credentials" one for each distinct query string, Cookie, Authorization and user, which are passed on (only with poll).',
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
    'What of the history a new client gets. The default is "last" with poll, unless its messages are lines and history is set; otherwise "all" where history is set, else "none".',
  ),
  slow_client: preset(
    choice('disconnect', 'drop', 'latest'),
    'disconnect',
    'What becomes of a client of a shared stream that is max_behind behind: it is closed with 1013, or misses messages until it has caught up, or then gets only the newest.',
  ),
  max_behind: preset(
    size('1KiB', '64MiB'),
    '256KiB',
    'How much a client of a shared stream may leave untaken; one message of max_message in any case.',
  ),
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
    'Largest message, from a client or from the program. A larger one ends the stream. Largest body of a polled answer: a larger one is an error, and the next is waited for.',
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
} as const;

export const streamTable = table({ ...keys, ...programRouteKeys }, exactlyOne('command', 'poll', 'connect'));

export type StreamConfig = Complete<typeof streamTable, ProgramLimits>;
