/** The keys of a `[stream."/path"]` table. */
import { type Complete, type ProgramLimits, programRouteKeys } from '../config/keys/routes.ts';
import { headerName, variableValue } from '../config/values/names.ts';
import { command } from '../config/values/on-disk.ts';
import { remote } from '../config/values/remote.ts';
import { boolean, choice, duration, integer, size, text } from '../config/values/simple.ts';
import { exactlyOne, listOf, shortOr, table } from '../config/values/tables.ts';
import { optional, preset, required, type ValueType } from '../config/values/value.ts';

const history = shortOr(
  integer({ min: 0, max: 1_000_000 }),
  table({
    messages: preset(integer({ min: 0, max: 1_000_000 }), 100, 'How many messages are kept.'),
    bytes: preset(size('0B', '1GiB'), '1MiB', 'How many bytes of messages are kept.'),
    age: optional(duration('100ms', '30d'), 'How old a kept message may be.'),
  }),
  (messages) => ({ messages }),
);

/** What a stream polls: a path of this gateway, a command, or an address. */
type PollSource = string | readonly [string, ...string[]];

const pollSource: ValueType<PollSource> = {
  expected:
    'a path such as "/cgi-bin/status.cgi", an address such as "http://127.0.0.1:8081/status", or a command as a list of strings',
  json: { anyOf: [{ type: 'string', pattern: '^(/|https?://)' }, command.json] },
  read(value, path, reading) {
    if (Array.isArray(value)) return command.read(value, path, reading);
    if (typeof value === 'string' && /^https?:\/\/[^/?]*@/.test(value)) {
      reading.problem(
        path,
        'has a user or a password in its address, where logs would show it',
        'leave out what stands before "@"',
      );
      return undefined;
    }
    if (
      typeof value === 'string' &&
      /^(\/[!-"$-~]*|https?:\/\/[!-"$-.0->@-~]+([/?][!-"$-~]*)?)$/.test(value) &&
      isAddress(value)
    )
      return value;
    reading.wrong(path, value, this.expected);
    return undefined;
  },
};

/** Whether an address, if it is one, has a host and a port that can be. */
function isAddress(value: string): boolean {
  return value.startsWith('/') || URL.canParse(value);
}

const keys = {
  command: optional(command, "The program whose output is the stream and whose input the clients' messages are."),
  poll: optional(
    pollSource,
    'What is asked again and again, once for all clients: the path of a CGI route of this gateway, a command as a list, or the http:// address of an old server.',
  ),
  connect: optional(remote, 'A TCP or Unix socket, one connection for each client.'),
  connect_timeout: preset(
    duration('10ms', '10m'),
    '5s',
    'How long a connection may take to be made, its name looked up and all. Then the client gets 504.',
  ),
  max_connections: preset(
    integer({ min: 1, max: 100_000 }),
    1024,
    'How many connections of this route there may be at once. Further clients get 503.',
  ),
  subprotocols: preset(
    listOf(text('a token', /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/), 'names'),
    [],
    "WebSocket subprotocols that the backend speaks. The first of a client's offers that is among them is agreed on; without one there is none.",
  ),
  interval: preset(
    duration('100ms', '1h'),
    '1s',
    'How often a polled program that answers at once is run, less or more a tenth by chance. One that has taken longer has waited for news, and is run again at once.',
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
    "The Content-Type with which a client's message is posted to what is polled. Without it that of the client's own POST, application/json for a JSON object or array, or text/plain.",
  ),
  message: preset(
    choice('body', 'lines', 'json-diff'),
    'body',
    'What of a polled answer is a message: "body", the whole of it when it has changed; "lines", each new line of it; "json-diff", the whole JSON document to a new client and then RFC 7396 merge patches.',
  ),
  cursor: optional(
    table(
      {
        header: optional(headerName, 'The header field of an answer that has the value.'),
        json: optional(
          text('a JSON pointer such as "/next"', /^(\/([^/~]|~[01])*)+$/),
          'Where in a JSON answer the value stands (RFC 6901).',
        ),
        query: required(
          text('the name of a query parameter', /^[A-Za-z0-9_.~-]+$/),
          'The parameter of the next request that gets it.',
        ),
      },
      exactlyOne('header', 'json'),
    ),
    'A value of each answer that goes into the query of the next request.',
  ),
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
