/** What a shared stream is given, and what it gives a long-poll. */
import type { Log } from '../../ops/log.ts';
import type { StreamCounts } from '../counts.ts';
import type { Source, SourceEvents } from '../ends.ts';
import type { HistoryBounds } from '../history/history.ts';
import type { Ending, Message } from '../message.ts';
import type { BackoffTimes } from '../sources/backoff.ts';

/** What the route's configuration decides. */
export interface SharedOptions {
  readonly history: HistoryBounds;
  /** What a client that joins anew gets of it. */
  readonly replay: 'none' | 'last' | 'all';
  readonly slowClient: 'disconnect' | 'drop' | 'latest';
  /** Bytes that a client may be behind. */
  readonly maxBehind: number;
  /** Bytes of clients' messages that may wait for the source. */
  readonly maxQueue: number;
  /** Milliseconds that a client that is being closed has to take what it is behind. */
  readonly drainTimeout: number;
  /** Milliseconds after the last client has left until the source is stopped; undefined: it always runs. */
  readonly idleStop: number | undefined;
  /** Whether a source with this ending is started again for those who are there. */
  restartWanted(ending: Ending): boolean;
  readonly restart: BackoffTimes;
  /** Whether the program is told who speaks, and says to whom it answers. */
  readonly tagged: boolean;
  /** Whether messages are binary to clients. */
  readonly binary: boolean;
}

export interface SharedParts {
  readonly counts: StreamCounts;
  readonly log: Log;
  /** Starts a source that tells `events`. */
  start(events: SourceEvents): Promise<Source>;
  /** The source was stopped because nobody is there. */
  emptied(): void;
}

/** What a long-poll gets: what is new, or how it ended. */
export interface LongPollContent {
  readonly messages: readonly Message[];
  /** How many it missed that are not there any more; undefined when nobody knows. */
  readonly missed: number | undefined;
  /** For the next one. */
  readonly cursor: string;
  readonly ending: Ending | undefined;
}
