/** The keys of a `[stream."/path"]` table. */
import { type Complete, type ProgramLimits, programRouteKeys } from '../config/keys/routes.ts';
import { variableValue } from '../config/values/names.ts';
import { writtenFile } from '../config/values/on-disk.ts';
import { boolean, choice, choiceOf, duration, integer, size, text } from '../config/values/simple.ts';
import { exactlyOne, listOf, needs, shortOr, table } from '../config/values/tables.ts';
import { optional, preset } from '../config/values/value.ts';
import { historyTrouble } from './history/locked-file.ts';
import { connectionKeys, connectKeys } from './sources/connect/keys.ts';
import { folderKeys } from './sources/folder/keys.ts';
import { pollingKeys, pollKeys, sourceServerKeys } from './sources/poll/keys.ts';
import { commandKeys } from './sources/program/keys.ts';
import { publishKeys } from './sources/publish/keys.ts';
import { subscribeKeys, subscriptionKeys } from './sources/subscribe/keys.ts';

/** The kind of route. */
export const STREAM = 'stream';

const history = shortOr(
  integer({ min: 0, max: 1_000_000 }),
  table(
    {
      messages: preset(integer({ min: 0, max: 1_000_000 }), 100, 'How many messages are kept.'),
      bytes: preset(size('0B', '1GiB'), '1MiB', 'How many bytes of messages are kept.'),
      age: optional(duration('100ms', '30d'), 'How old a kept message may be.'),
      file: optional(
        writtenFile('file for the history', historyTrouble),
        'The file for messages and their numbers on disk, which survive a restart. Further files beside it begin with its name. Only with share = "all".',
      ),
      sync: optional(
        choice('message', '1s', 'never'),
        'How safe a message is before it is acknowledged. "message": it is on the disk. "1s": it will be within a second; at most one write a second. "never": the system decides when. The default is "message" with publish, otherwise "1s".',
      ),
    },
    needs('file', 'sync'),
  ),
  (messages) => ({ messages }),
);

/** One of them is in every stream: the key that chooses its source. */
export const sourceKeys = {
  ...commandKeys,
  ...folderKeys,
  ...pollKeys,
  ...connectKeys,
  ...subscribeKeys,
  ...publishKeys,
} as const;

const keys = {
  ...sourceKeys,
  ...connectionKeys,
  websocket_only: preset(
    boolean,
    false,
    'Whether only WebSockets are for this route. Other requests go to the next route that fits, which may have the same path: a page beside its stream.',
  ),
  read_only: preset(
    boolean,
    false,
    'Whether clients only read. A WebSocket that sends a message is closed with 1008, a POST gets 405. The stdin of the program stays open and empty.',
  ),
  max_clients: optional(
    integer({ min: 1, max: 1_000_000 }),
    'How many clients the stream may have at once; a long-poll counts while it waits. Further clients get 503.',
  ),
  subprotocols: preset(
    listOf(text('a token', /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/), 'names'),
    [],
    'WebSocket subprotocols that the program or the upstream speaks; a ws:// upstream of subscribe is offered them. The first one offered by the client that is also in this list is chosen. If there is none, no subprotocol is used.',
  ),
  ...pollingKeys,
  ...subscriptionKeys,
  ...sourceServerKeys,
  share: optional(
    choiceOf(['client', 'all', 'query', 'credentials'], {
      ...{ true: 'all', yes: 'all', on: 'all', shared: 'all', everyone: 'all', one: 'all' },
      ...{ false: 'client', no: 'client', off: 'client', none: 'client', each: 'client', private: 'client' },
    }),
    'The clients that share a program. "client": one for each client (the default). "all": one for all clients (the default with poll and subscribe, and the only value with publish). "query": one for each distinct query string. "credentials": one for each distinct query string, Cookie, Authorization and user, which are passed on (only with poll).',
  ),
  start: preset(
    choice('demand', 'boot'),
    'demand',
    'Whether a shared program is started with its first client or with the gateway.',
  ),
  idle_stop: preset(
    duration('0ms', '24h'),
    '10s',
    'How long a shared program keeps running after its last client has left. With start = "boot" it always keeps running.',
  ),
  history: optional(
    history,
    'How many of the last messages of a shared stream are kept for clients that connect or reconnect. A table sets several limits. Without this key a few are kept for clients that reconnect at once; of framing = "jpeg" the last one.',
  ),
  replay: optional(
    choice('none', 'last', 'all'),
    'Which part of the history a new client gets. The default is "last" for pictures, and with poll unless its messages are lines and history is set. Otherwise it is "all" with history, and "none" without.',
  ),
  slow_client: optional(
    choice('disconnect', 'drop', 'latest'),
    'The treatment of a client of a shared stream that is max_behind bytes behind. "disconnect": it is closed with 1013 (the default). "drop": it misses messages until it has caught up. "latest": it gets only the newest message (the default for pictures).',
  ),
  max_behind: optional(
    size('1KiB', '64MiB'),
    'How many unread bytes a client of a shared stream may have waiting. The default is 256KiB, and one message of max_message is always allowed. A client that has not taken a picture yet gets the newest one after it, unless this key is set.',
  ),
  compress: preset(
    boolean,
    false,
    'Whether messages of more than 1 KiB and up to 256 KiB are compressed for WebSockets that offer permessage-deflate, each message separately. Event streams and every other answer of the stream stay as they are.',
  ),
  clients: preset(
    choice('plain', 'tagged'),
    'plain',
    '"tagged": a shared program gets each connect, message and disconnect of a client as a line of JSON. Its output names the clients that get it.',
  ),
  framing: optional(
    choiceOf(['lines', 'raw', 'length-prefixed', 'jpeg'], {
      ...{ line: 'lines', text: 'lines', newline: 'lines', json: 'lines', ndjson: 'lines' },
      ...{ binary: 'raw', bytes: 'raw', none: 'raw', mjpeg: 'jpeg', jpg: 'jpeg' },
    }),
    'The boundaries of messages in the program\'s input and output. "lines": lines of text (the default). "raw": bytes as they arrive. "length-prefixed": four bytes, big-endian, before each binary message. "jpeg": whole pictures, found by their markers, in a stream that clients only read. With an http:// address in subscribe the default is what the Content-Type says: an event stream, or the parts of a multipart response.',
  ),
  max_message: optional(
    size('1B', '64MiB'),
    'Largest message, from a client or from the program. The default is 64KiB; for pictures (framing = "jpeg", and the parts of a multipart response) it is 4MiB. A larger one ends the stream, but a larger picture is left out. With poll it is the largest body of a response; a larger one is an error, and the source is polled again. With subscribe a larger event or part is left out.',
  ),
  max_client_message: optional(
    size('1B', '64MiB'),
    'Largest message from a client, where it is another one than from the program. The default is max_message.',
  ),
  eof_message: optional(
    variableValue,
    'A message with this text closes the stdin of the program, while its output continues. "" is the empty message.',
  ),
  stderr: preset(
    choice('log', 'client', 'event', 'json'),
    'log',
    'The destination of each line of the program\'s stderr. "log": the log. "client": also the client, as binary messages (as text messages if stdout is binary). "event": the log, and clients that get events (event streams, and WebSockets with ?after=). Other clients get stdout only. "json": both, and each line of stdout and stderr becomes a message {"stream": "stdout", "data": "…"}.',
  ),
  partial_lines: preset(
    boolean,
    false,
    'Whether clients that get events also get an unfinished line, at most ten times a second, such as a prompt or a progress bar. If an overwritten line grows beyond max_message, the message is the text that a terminal still shows.',
  ),
  reverse_lookup: preset(
    boolean,
    false,
    'Whether REMOTE_HOST is the name that DNS has for the address of the client. The owner of an address can give it any name. Each client waits for the answer, for a second at most.',
  ),
  unbuffer: preset(
    boolean,
    false,
    'Makes the program send each line when it prints it. Many programs buffer their output when it goes to a pipe; this makes the pipe look like a terminal.',
  ),
  restart: optional(
    choiceOf(['never', 'on-failure', 'always'], {
      ...{ no: 'never', false: 'never', off: 'never', yes: 'always', true: 'always', on: 'always' },
      ...{ 'unless-stopped': 'always', on_failure: 'on-failure', 'on-abnormal': 'on-failure' },
    }),
    'Whether a program that has ended is restarted while it has clients. "on-failure": only if its exit status was not 0. The default is "always" for a shared program, "never" for the program of a single client.',
  ),
  restart_delay: preset(
    duration('10ms', '1h'),
    '500ms',
    'How long to wait before the first restart. Each further wait is twice as long, less a random part of up to a quarter.',
  ),
  restart_delay_max: preset(
    duration('10ms', '24h'),
    '1m',
    'The longest wait before a restart. After a program has run this long, the next wait is restart_delay again.',
  ),
  ping_interval: preset(
    duration('100ms', '1h'),
    '25s',
    'How often a quiet client is pinged. A client that has not answered by the next ping is disconnected. The same is done with a WebSocket that is subscribed to.',
  ),
  idle_timeout: optional(
    duration('100ms', '30d'),
    'How long a stream may have no message in either direction before it is closed.',
  ),
  max_lifetime: optional(
    duration('1s', '365d'),
    'How long a stream may last before it is closed with 1001, so that its client reconnects.',
  ),
  max_processes: preset(
    integer({ min: 1, max: 100_000 }),
    64,
    'How many programs of this route may run at once, or how many connections subscribe makes for distinct queries. Further clients get 503.',
  ),
  max_queue: preset(
    size('1KiB', '64MiB'),
    '256KiB',
    "How many bytes of one client's messages may wait for a program that does not read. Beyond that the client is held back, or closed with 1013.",
  ),
  drain_timeout: preset(
    duration('100ms', '24h'),
    '30s',
    'How long a client may read nothing from its stream before it is disconnected.',
  ),
} as const;

export const streamTable = table({ ...keys, ...programRouteKeys }, exactlyOne(...Object.keys(sourceKeys)));

export type SourceName = keyof typeof sourceKeys;
export type StreamConfig = Complete<typeof streamTable, ProgramLimits>;

/** What `max_message` is where it is not set: for what is read, and for pictures. Bytes. */
const USUAL_MESSAGE = 64 * 1024;
export const USUAL_PICTURE = 4 * 1024 * 1024;

/** Bytes of the largest message of the source. */
export function largestMessage({ max_message, framing }: Pick<StreamConfig, 'max_message' | 'framing'>): number {
  return max_message ?? (framing === 'jpeg' ? USUAL_PICTURE : USUAL_MESSAGE);
}

/** Bytes of the largest message of a client. */
export function largestClientMessage(
  config: Pick<StreamConfig, 'max_message' | 'max_client_message' | 'framing' | 'publish'>,
): number {
  // Nobody writes into a stream of pictures, unless they are published.
  const isWatched = config.framing === 'jpeg' && config.publish === undefined;
  return config.max_client_message ?? (isWatched ? USUAL_MESSAGE : largestMessage(config));
}
