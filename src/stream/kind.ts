/** Routes that are live streams: `[stream."/path"]`. */
import { programKeys } from '../config/keys/programs.ts';
import type { KeyGroup } from '../config/route-schema.ts';
import type { RouteKind } from '../http/route-kind.ts';
import { launchOf } from '../programs/launch.ts';
import { checkStreams, doubtStream } from './checks.ts';
import { streamHandler } from './handler.ts';
import { largestClientMessage, STREAM, type StreamConfig, sourceKeys, streamTable } from './keys.ts';
import { connectionKeys } from './sources/connect/keys.ts';
import { sourceServerKeys } from './sources/poll/keys.ts';

/** A source has the keys of its own, and those of all; which keys do not go with it is said by its checks. */
const GROUPS: readonly KeyGroup[] = [
  { title: 'The source: one of these', keys: Object.keys(sourceKeys) },
  {
    title: 'With `command` and `root`: the program',
    keys: [
      ...[
        'clients',
        'eof_message',
        'stderr',
        'partial_lines',
        'unbuffer',
        'reverse_lookup',
        'restart',
        'max_processes',
      ],
      ...Object.keys(programKeys),
    ],
  },
  { title: 'With `poll`', keys: ['interval', 'poll_timeout', 'cursor'] },
  { title: 'With `subscribe`', keys: ['events', 'post', 'silence_timeout'] },
  { title: 'With `poll` or `subscribe`', keys: ['message', 'message_type', ...Object.keys(sourceServerKeys)] },
  { title: 'With `connect` (and the first with `subscribe`)', keys: Object.keys(connectionKeys) },
  { title: 'After a failure', keys: ['restart_delay', 'restart_delay_max'] },
  { title: 'Messages', keys: ['framing', 'max_message', 'max_client_message', 'max_queue'] },
  {
    title: 'One source for several clients',
    keys: ['share', 'start', 'idle_stop', 'history', 'replay', 'slow_client', 'max_behind'],
  },
  {
    title: 'Clients',
    keys: [
      ...['websocket_only', 'subprotocols', 'read_only', 'max_clients', 'compress', 'ping_interval', 'idle_timeout'],
      ...['max_lifetime', 'drain_timeout'],
    ],
  },
];

export const streamKind: RouteKind<typeof STREAM, StreamConfig> = {
  name: STREAM,
  doc: 'Live streams.',
  table: streamTable,
  groups: GROUPS,
  startsPrograms: true,
  usesBrowserFiles: true,
  maxMessage: largestClientMessage,
  deflates: ({ compress }) => compress,
  part: ({ websocket_only }) => (websocket_only === true ? 'handshakes' : undefined),
  folder: ({ root }) =>
    root === undefined ? undefined : { root, holds: 'programs', index: [], interpreted: [], answersAll: false },
  writing: ({ publish }) => publish && { auth: publish.auth, origins: publish.origins },
  check: checkStreams,
  doubt: doubtStream,
  build(key, route, parts) {
    const { log, version, tallies, programs, find, programOver, addon, shared } = parts;
    const launch = launchOf(key, route, parts);
    return streamHandler(key, route, {
      ...{ log, tallies, programs, version, find, launch, programOver },
      histories: async () => {
        const { Histories } = await import('./history/histories.ts');
        return shared.of(Histories, () => new Histories({ log, tallies, addon }));
      },
    });
  },
};
