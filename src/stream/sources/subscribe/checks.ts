/** Which keys of a stream go with what it subscribes to. */
import { processLimits, programKeys } from '../../../config/keys/programs.ts';
import { quote } from '../../../config/reading/problems.ts';
import { isTable, textIn } from '../../../config/values/tables.ts';
import { type KeyRule, type RawStream, type SourceChecks, UNSHARED } from '../checks.ts';
import { streamOfAddress } from '../own-address.ts';
import { parseSubscribeAddress } from './address.ts';
import { subscriptionKeys } from './keys.ts';

const isSubscribed = ({ source }: RawStream): boolean => source === 'subscribe';
const NO_PROGRAM = 'is for a program, and "subscribe" starts none';

const addressOf = ({ source, table }: RawStream) =>
  source === 'subscribe' && typeof table['subscribe'] === 'string'
    ? parseSubscribeAddress(table['subscribe'], '/')
    : undefined;
const isOf =
  (...kinds: readonly string[]) =>
  (stream: RawStream): boolean =>
    kinds.includes(addressOf(stream)?.kind ?? '');
const isBytes = isOf('bytes');
/** Where the answer of a server is taken apart into what its Content-Type says. */
const isAutomatic = (stream: RawStream): boolean => isOf('http')(stream) && stream.table['framing'] === undefined;

const RULES: readonly KeyRule[] = [
  {
    keys: Object.keys(subscriptionKeys),
    applies: (stream) => !isSubscribed(stream),
    sentence: () => 'has no effect without "subscribe"',
  },
  {
    keys: ['share'],
    applies: (stream) => isSubscribed(stream) && stream.share === 'client',
    sentence: () =>
      'cannot be "client" with "subscribe", which has one connection for all clients; a connection for each is what "connect" makes',
  },
  {
    keys: ['share'],
    value: 'query',
    applies: isBytes,
    sentence: ({ table }) => `cannot be "query" with ${quote(textIn(table, 'subscribe'))}, which has no query`,
  },
  {
    keys: ['message'],
    applies: (stream) =>
      isSubscribed(stream) && ['body', 'lines', 'json-diff'].includes(textIn(stream.table, 'message')),
    sentence: ({ table }) =>
      `cannot be "${textIn(table, 'message')}" with "subscribe": it is "data" or "event"${table['message'] === 'lines' ? '; for lines set framing = "lines"' : ''}`,
  },
  {
    keys: ['message', 'events'],
    applies: (stream) => addressOf(stream) !== undefined && !isAutomatic(stream),
    sentence: ({ table }) =>
      table['framing'] === undefined
        ? `has no effect with ${quote(textIn(table, 'subscribe'))}: it is for event streams`
        : 'has no effect with "framing": it is for event streams, which are recognized where "framing" is not set',
  },
  {
    keys: ['framing'],
    applies: isOf('websocket'),
    sentence: () => 'has no effect with a WebSocket: each of its messages is one',
  },
  {
    keys: ['post'],
    applies: isOf('websocket', 'bytes'),
    sentence: () => 'has no effect here: messages of clients are sent over the connection itself',
  },
  {
    keys: ['post'],
    applies: (stream) => isSubscribed(stream) && stream.table['read_only'] === true,
    sentence: () => 'has no effect with read_only: no message of a client is taken',
  },
  {
    keys: ['message_type'],
    applies: (stream) => isSubscribed(stream) && stream.table['post'] === undefined,
    sentence: () => 'has no effect without "post"',
  },
  {
    keys: ['login', 'request_headers'],
    applies: isBytes,
    sentence: ({ table }) => `has no effect with ${quote(textIn(table, 'subscribe'))}, which is not HTTP`,
  },
  {
    keys: ['ca', 'pin', 'server_name'],
    applies: (stream) => addressOf(stream)?.secure === false && !/^https:/.test(textIn(stream.table, 'post')),
    sentence: ({ table }) => `has no effect with ${quote(textIn(table, 'subscribe'))}, which is not encrypted`,
  },
  {
    keys: ['stderr', 'partial_lines', 'unbuffer', ...Object.keys(programKeys)],
    applies: isSubscribed,
    sentence: () => NO_PROGRAM,
  },
  {
    keys: ['restart'],
    applies: isSubscribed,
    sentence: () => 'has no effect with "subscribe": a lost connection is made again in any case',
  },
  {
    keys: ['eof_message'],
    applies: isSubscribed,
    sentence: () => 'has no effect with "subscribe": one client cannot end the input for all',
  },
  {
    keys: ['clients'],
    value: 'tagged',
    applies: isSubscribed,
    sentence: () => 'cannot be "tagged" with "subscribe": the upstream is told nothing of the clients',
  },
  {
    keys: ['max_processes'],
    applies: (stream) => isSubscribed(stream) && stream.share !== 'query',
    sentence: () => 'has no effect without share = "query": all clients have one connection',
  },
  {
    keys: ['subprotocols'],
    applies: isOf('http', 'bytes'),
    sentence: () => 'has no effect here: the upstream is no WebSocket',
  },
];

export const subscribeChecks: SourceChecks = {
  unshared: UNSHARED,
  rules: RULES,
  check({ key, path: at, table }, stream, { file, routes }, reading) {
    if (stream === undefined || !isSubscribed(stream)) return;
    const { limits } = table;
    for (const name of Object.keys(processLimits))
      if (isTable(limits) && Object.hasOwn(limits, name)) reading.problem([...at, 'limits', name], NO_PROGRAM);
    const address = addressOf(stream);
    if (address === undefined || address.kind === 'bytes') return;
    if (streamOfAddress(address.url, routes, file, reading)?.value.key === key)
      reading.problem([...at, 'subscribe'], 'is the path of this stream itself, which would wait for its own messages');
  },
};
