/** The status as a stream of runnel's own: one source for all who look, which runs only while somebody does. */

import type { Log } from '../../ops/log.ts';
import type { Operator } from '../../ops/status.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { SharedChannels } from '../../stream/channel/shared-channels.ts';
import { KeepAlive } from '../../stream/clients/keepalive.ts';
import { StreamCounts } from '../../stream/counts.ts';
import type { StreamPlan } from '../../stream/plan.ts';
import type { SendResult, SharedSource, SharedSourceEvents, SharedSources } from '../../stream/sources/source.ts';
import { Stream } from '../../stream/stream.ts';
import { StatusChanges } from './changes.ts';

/** Milliseconds between two looks: at least, and at most where a look takes long. */
const LOOK = { least: 2000, most: 10_000 };
/** So many times the processor time of a look is waited until the next: looking takes less than a hundredth of a core. */
const REST = 150;
/** Viewers at once of one such stream. */
const MOST_VIEWERS = 20;

const PLAN: StreamPlan = {
  share: 'all',
  maxChannels: 1,
  boot: false,
  idleStop: 100,
  history: { messages: 1, bytes: 1, age: undefined },
  replay: 'none',
  restart: 'never',
  backoff: { first: 1000, most: 1000 },
  eofMessage: undefined,
  // It comes again, and gets everything.
  slowClient: 'disconnect',
  maxBehind: 4 << 20,
  maxQueue: 1024,
  drainTimeout: 10_000,
  subprotocols: [],
  readOnly: true,
  maxClients: MOST_VIEWERS,
  overrun: 'this stream is read-only',
  away: 'the gateway is stopping',
  mixed: false,
};

export interface LiveStatusParts {
  readonly operator: Operator;
  readonly log: Log;
  readonly tallies: Tallies;
}

export function liveStatus(route: string, { operator, log, tallies }: LiveStatusParts): Stream {
  const clientParts = {
    log,
    counts: new StreamCounts(tallies, route),
    keepAlive: new KeepAlive({ pingInterval: 25_000, idleTimeout: undefined, maxLifetime: undefined }),
    maxMessage: 1024,
    binary: false,
    readOnly: 'this stream is read-only',
    stderrAsEvents: false,
    mixed: false,
  };
  const sources: SharedSources = { start: async (_first, _query, events) => new StatusSource(operator, events) };
  return new Stream(PLAN, clientParts, new SharedChannels(PLAN, clientParts, sources), 'status');
}

class StatusSource implements SharedSource {
  private readonly changes = new StatusChanges();
  private timer: NodeJS.Timeout | undefined;
  private hasLooked = false;

  constructor(
    private readonly operator: Operator,
    private readonly events: SharedSourceEvents,
  ) {
    this.look();
  }

  /** @returns what has changed since the last look */
  private look(): string {
    const began = process.cpuUsage();
    const changes = this.changes.next(this.operator.status());
    const { user, system } = process.cpuUsage(began);
    // The first one is slow, because its code is new.
    const rest = this.hasLooked ? ((user + system) / 1000) * REST : 0;
    this.hasLooked = true;
    const wait = Math.min(LOOK.most, Math.max(LOOK.least, rest));
    this.timer = setTimeout(() => this.events.messages([Buffer.from(this.look())]), wait);
    return changes;
  }

  send(): SendResult {
    return 'away';
  }

  joined(): void {}

  left(): void {}

  /** What the changes to come are to be put upon. */
  snapshot(): Buffer {
    return Buffer.from(this.changes.whole);
  }

  currentNotice(): undefined {}

  release(): void {
    clearTimeout(this.timer);
  }
}
