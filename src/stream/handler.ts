/** Builds the handler of a stream: its source, the channels that share it or do not, and what lets clients in. */
import type { Deflating } from '../engine/engine.ts';
import type { Handler } from '../http/handler.ts';
import type { Channels } from './channel/channels.ts';
import { PrivateChannels } from './channel/private-channels.ts';
import { SharedChannels } from './channel/shared-channels.ts';
import type { ClientParts } from './clients/client.ts';
import { KeepAlive } from './clients/keepalive.ts';
import { StreamCounts } from './counts.ts';
import { framing } from './framing.ts';
import type { Histories } from './history/histories.ts';
import { largestClientMessage, type StreamConfig } from './keys.ts';
import { streamPlan } from './plan.ts';
import type { SourceKind, SourceParts } from './sources/kind.ts';
import type { WritingRequests } from './sources/source.ts';
import { sourceKindOf } from './sources/sources.ts';
import { Stream } from './stream.ts';

export type StreamParts = Pick<
  SourceParts,
  'log' | 'tallies' | 'programs' | 'version' | 'find' | 'launch' | 'programOver'
> & {
  /** The histories on the disk; loaded by who has one. */
  readonly histories: () => Promise<Histories>;
};

/** Throws an `Error` for what a check of the configuration would have found. */
export function streamHandler(key: string, config: StreamConfig, parts: StreamParts): Handler {
  const source = sourceKindOf(config);
  const plan = streamPlan(config, source);
  const frames = framing(config.framing ?? 'lines');
  const clientParts: ClientParts = {
    log: parts.log,
    counts: new StreamCounts(parts.tallies, key),
    keepAlive: new KeepAlive({
      pingInterval: config.ping_interval,
      idleTimeout: config.idle_timeout,
      maxLifetime: config.max_lifetime,
    }),
    maxMessage: largestClientMessage(config),
    deflating: config.compress ? countingDeflated(key, parts) : undefined,
    binary: frames.binary,
    picture: frames.picture,
    readOnly: plan.readOnly ? 'this stream is read-only' : undefined,
    stderrAsEvents: config.stderr === 'event',
    mixed: plan.mixed,
  };
  const sourceParts: SourceParts = { ...parts, key, config, plan, framing: frames, counts: clientParts.counts };
  const { channels, requests } = channelsOf(source, clientParts, sourceParts, parts.histories);
  return new Stream(plan, clientParts, channels, source.name, requests);
}

function countingDeflated(key: string, { tallies }: StreamParts): Deflating {
  const messages = tallies.compression.messages.series(key);
  return {
    deflated: () => {
      messages.value++;
    },
  };
}

function channelsOf(
  source: SourceKind,
  clientParts: ClientParts,
  parts: SourceParts,
  histories: StreamParts['histories'],
): { readonly channels: Channels; readonly requests?: WritingRequests | undefined } {
  const { plan } = parts;
  if (plan.share === 'client') {
    if (source.private !== undefined)
      return { channels: new PrivateChannels(plan, clientParts, source.private(parts)) };
  } else if (source.shared !== undefined) {
    const sources = source.shared(parts);
    return { channels: new SharedChannels(plan, clientParts, sources, histories), requests: sources.requests };
  }
  throw new Error(`"${source.name}" and share = "${plan.share}" do not go together`);
}
