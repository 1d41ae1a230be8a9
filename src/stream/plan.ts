/** What a stream's configuration amounts to: the defaults that depend on other keys, worked out once. */

import type { DeliveryOptions, DeliveryRules } from './channel/delivery.ts';
import type { HistoryBounds } from './history/chain.ts';
import type { ReplayRule } from './history/replay.ts';
import type { HistorySync } from './history/writer.ts';
import { largestMessage, type StreamConfig } from './keys.ts';
import type { BackoffTimes } from './sources/backoff.ts';

export interface StreamPlan extends DeliveryOptions {
  readonly share: 'client' | 'all' | 'query' | 'credentials';
  /** How many channels there may be that clients share: distinct queries, or distinct credentials. */
  readonly maxChannels: number;
  /** Whether the source of a stream that all share runs from the start. */
  readonly boot: boolean;
  /** True: only clients make its messages: the last one holds until the next, whenever it came. */
  readonly lastHolds?: boolean;
  /** Milliseconds after the last client has left until a shared source is stopped; undefined: it always runs. */
  readonly idleStop: number | undefined;
  readonly history: HistoryBounds;
  /** Where the history is kept on the disk; undefined: nowhere. */
  readonly historyFile?: { readonly path: string; readonly sync: HistorySync } | undefined;
  readonly replay: ReplayRule;
  /** What is in force instead from the first picture on: of an upstream nobody knows before whether it sends pictures. */
  readonly ofPictures?: PictureRules;
  readonly restart: 'never' | 'on-failure' | 'always';
  readonly backoff: BackoffTimes;
  /** The message that closes the input of a client's own source. */
  readonly eofMessage: Buffer | undefined;
  /** Bytes of clients' messages that may wait for the source. */
  readonly maxQueue: number;
  readonly subprotocols: readonly string[];
  /** Whether no message of a client is taken. */
  readonly readOnly: boolean;
  /** Clients at once; undefined: as many as there are. */
  readonly maxClients: number | undefined;
  /** What a client is told that sends more than the source takes. */
  readonly overrun: string;
  /** Why a client's message is lost while no source runs. */
  readonly away: string;
  /** Whether a message may be binary where the framing says text, or the other way round. */
  readonly mixed: boolean;
}

export interface PictureRules extends DeliveryRules {
  readonly replay: ReplayRule;
}

/** What a kind of source decides of a stream's plan. */
export interface SourceTraits {
  readonly usualShare: 'client' | 'all';
  usualReplay(config: StreamConfig): ReplayRule;
  usualHistory(config: StreamConfig): HistoryBounds;
  /** How safe a message on the disk is before it is acknowledged, where the configuration does not say: "1s", unless it says otherwise. */
  readonly usualSync?: HistorySync;
  /** What a client is told that sends more than the source takes. */
  readonly overrun: string;
  /** Why a client's message is lost while no source runs. The program is being restarted, unless it says otherwise. */
  readonly away?: string;
  /** Whether a source that has ended is started again, where the configuration does not say. */
  readonly usualRestart?: StreamPlan['restart'];
  /** Whether the source takes messages of clients: it does, unless this says otherwise. */
  takesMessages?(config: StreamConfig): boolean;
  /** Whether clients may send pictures: not where they would have to be written to a program or a connection. */
  readonly takesPictures?: boolean;
  /** It costs nothing while nobody uses it, and so is never stopped. */
  readonly runsAlways?: boolean;
  /** Whether each message says itself whether it is text: it does not, unless this says otherwise. */
  isMixed?(config: StreamConfig): boolean;
}

export function streamPlan(config: StreamConfig, source: SourceTraits): StreamPlan {
  const share = config.share ?? source.usualShare;
  const boot = config.start === 'boot' || source.runsAlways === true;
  return {
    share,
    maxChannels: config.max_processes,
    boot,
    lastHolds: source.runsAlways === true,
    idleStop: boot ? undefined : config.idle_stop,
    history: config.history ?? source.usualHistory(config),
    historyFile: historyFile(config, source),
    replay: config.replay ?? source.usualReplay(config),
    restart: config.restart ?? source.usualRestart ?? (share === 'client' ? 'never' : 'always'),
    backoff: { first: config.restart_delay, most: config.restart_delay_max },
    eofMessage: config.eof_message === undefined ? undefined : Buffer.from(config.eof_message),
    ofPictures: {
      // A picture that has been overtaken is of no use to anybody.
      slowClient: config.slow_client ?? 'latest',
      maxBehind: config.max_behind ?? 0,
      replay: config.replay ?? 'last',
    },
    slowClient: config.slow_client ?? 'disconnect',
    maxBehind: Math.max(config.max_behind ?? USUAL_BEHIND, largestMessage(config)),
    maxQueue: config.max_queue,
    drainTimeout: config.drain_timeout,
    subprotocols: config.subprotocols,
    readOnly: config.read_only || isOnlyPictures(config, source) || source.takesMessages?.(config) === false,
    maxClients: config.max_clients,
    overrun: source.overrun,
    away: source.away ?? 'the program is being restarted',
    mixed: source.isMixed?.(config) ?? false,
  };
}

/** Of pictures that come from a program or a connection: nothing can be said back. */
function isOnlyPictures({ framing, post }: StreamConfig, { takesPictures = false }: SourceTraits): boolean {
  return framing === 'jpeg' && post === undefined && !takesPictures;
}

/** Bytes that a client may be behind. */
const USUAL_BEHIND = 256 * 1024;

function historyFile({ history }: StreamConfig, { usualSync = '1s' }: SourceTraits): StreamPlan['historyFile'] {
  const path = history?.file;
  return path === undefined ? undefined : { path, sync: history?.sync ?? usualSync };
}

/** Who asks for history wants it shown. */
export function usualReplay({ history }: Pick<StreamConfig, 'history'>): ReplayRule {
  return history === undefined ? 'none' : 'all';
}

/** Enough for a long-poll to miss nothing between two requests, where nobody asked for more. Of pictures the last one, of any size. */
export function usualHistory(config?: Pick<StreamConfig, 'framing' | 'max_message'>): HistoryBounds {
  if (config?.framing === 'jpeg') return { messages: 1, bytes: largestMessage(config), age: undefined };
  return { messages: 100, bytes: 256 * 1024, age: undefined };
}
