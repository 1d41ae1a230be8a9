/** Routes that are live streams: `[stream."/path"]`. */
import type { RouteKind } from '../http/route-kind.ts';
import { launchOf } from '../programs/launch.ts';
import { checkStreams, doubtStream } from './checks.ts';
import { streamHandler } from './handler.ts';
import { largestClientMessage, STREAM, type StreamConfig, streamTable } from './keys.ts';

export const streamKind: RouteKind<typeof STREAM, StreamConfig> = {
  name: STREAM,
  doc: 'Live streams.',
  table: streamTable,
  startsPrograms: true,
  usesBrowserFiles: true,
  maxMessage: largestClientMessage,
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
