/** What a stream's configuration amounts to: the defaults that depend on other keys, worked out once. */

import type { HistoryBounds } from './history/history.ts';
import type { StreamConfig } from './keys.ts';
import type { BackoffTimes } from './sources/backoff.ts';

export const STREAM_METHODS = ['GET', 'HEAD', 'POST'] as const;

export interface StreamPlan {
  readonly share: 'client' | 'all' | 'query' | 'credentials';
  readonly history: HistoryBounds;
  readonly replay: 'none' | 'last' | 'all';
  readonly restart: 'never' | 'on-failure' | 'always';
  readonly backoff: BackoffTimes;
  readonly eofMessage: Buffer | undefined;
  readonly limits: { readonly maxQueue: number; readonly drainTimeout: number };
  /** What a client is told that sends more than what stands behind the stream takes. */
  readonly overrun: string;
}

/** Enough for a long-poll to miss nothing between two requests, where nobody asked for more. */
const SHORT_HISTORY: HistoryBounds = { messages: 100, bytes: 256 * 1024, age: undefined };

export function streamPlan(config: StreamConfig): StreamPlan {
  const polled = config.poll !== undefined;
  const share = config.share ?? (polled ? 'all' : 'client');
  return {
    share,
    history: config.history ?? {
      ...SHORT_HISTORY,
      bytes: Math.max(SHORT_HISTORY.bytes, polled ? config.max_message : 0),
    },
    replay: config.replay ?? usualReplay(config),
    restart: config.restart ?? (share === 'client' ? 'never' : 'always'),
    backoff: { first: config.restart_delay, most: config.restart_delay_max },
    eofMessage: config.eof_message === undefined ? undefined : Buffer.from(config.eof_message),
    limits: { maxQueue: config.max_queue, drainTimeout: config.drain_timeout },
    overrun: overrun(config),
  };
}

function overrun({ connect, poll }: StreamConfig): string {
  if (poll !== undefined) return 'the source does not answer as fast as you send';
  return `the ${connect === undefined ? 'program' : 'server'} does not read as fast as you send`;
}

/** Who asks for history wants it shown; but the last whole answer of a polled program is all that a newcomer needs. */
function usualReplay(config: StreamConfig): StreamPlan['replay'] {
  if (config.poll !== undefined && (config.message !== 'lines' || config.history === undefined)) return 'last';
  return config.history === undefined ? 'none' : 'all';
}
