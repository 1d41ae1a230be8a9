/** What a route's configuration decides about a shared stream. */
import type { BackoffTimes } from './backoff.ts';
import type { HistoryBounds } from './history.ts';
import type { Ending } from './message.ts';

export interface SharedOptions {
  readonly history: HistoryBounds;
  /** What a client that joins anew gets of it. */
  readonly replay: 'none' | 'last' | 'all';
  readonly slowClient: 'disconnect' | 'drop' | 'latest';
  /** Bytes that a client may be behind. */
  readonly maxBehind: number;
  /** Bytes of clients' messages that may wait for the backend. */
  readonly maxQueue: number;
  /** Milliseconds that a client that is being closed has to take what it is behind. */
  readonly drainTimeout: number;
  /** Milliseconds after the last client has left until the backend is stopped; undefined: it always runs. */
  readonly idleStop: number | undefined;
  /** Whether a backend with this ending is started again for those who are there. */
  restartWanted(ending: Ending): boolean;
  readonly restart: BackoffTimes;
  /** Whether the program is told who speaks, and says to whom it answers. */
  readonly tagged: boolean;
  /** Whether messages are binary to clients. */
  readonly binary: boolean;
}
