/** `/.runnel/check/stream`: what the check page tries the transports on. A shared stream like any other, with no program behind it. */
import type { Handler } from '../../http/handler.ts';
import type { Log } from '../../ops/log.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { SharedChannels } from '../../stream/channel/shared-channels.ts';
import { KeepAlive } from '../../stream/clients/keepalive.ts';
import { StreamCounts } from '../../stream/counts.ts';
import type { StreamPlan } from '../../stream/plan.ts';
import type {
  ClientIdentity,
  MessageAnswer,
  SharedSource,
  SharedSourceEvents,
  SharedSources,
} from '../../stream/sources/source.ts';
import { Stream } from '../../stream/stream.ts';

/** Bytes of a message that the page sends: an echo of its own. */
const MAX_MESSAGE = 1024;
/** Milliseconds. */
const TICK = 1000;

const PLAN: StreamPlan = {
  share: 'all',
  maxChannels: 1,
  boot: false,
  idleStop: 1000,
  history: { messages: 10, bytes: 1024, age: undefined },
  replay: 'none',
  restart: 'never',
  backoff: { first: 1000, most: 1000 },
  eofMessage: undefined,
  slowClient: 'disconnect',
  maxBehind: 16_384,
  maxQueue: MAX_MESSAGE,
  drainTimeout: 10_000,
  subprotocols: [],
  readOnly: false,
  maxClients: undefined,
  overrun: 'too many messages',
  away: 'the gateway is stopping',
  mixed: false,
};

export function checkStream(route: string, log: Log, tallies: Tallies): Handler {
  const clientParts = {
    log,
    counts: new StreamCounts(tallies, route),
    // Nobody looks at a check for long.
    keepAlive: new KeepAlive({ pingInterval: 25_000, idleTimeout: undefined, maxLifetime: 600_000 }),
    maxMessage: MAX_MESSAGE,
    binary: false,
    readOnly: undefined,
    stderrAsEvents: false,
    mixed: false,
  };
  const sources: SharedSources = { start: async (_first, _query, events) => new TickingSource(events) };
  return new Stream(PLAN, clientParts, new SharedChannels(PLAN, clientParts, sources), 'check');
}

/** Ticks, and answers each message with itself. */
class TickingSource implements SharedSource {
  private readonly timer: NodeJS.Timeout;

  /** Each message says when it was sent: milliseconds since 1970. */
  constructor(events: SharedSourceEvents) {
    this.timer = setInterval(() => events.messages([Buffer.from(String(Date.now()))]), TICK);
  }

  send(_sender: ClientIdentity | undefined, data: Buffer, type: string | undefined): Promise<MessageAnswer> {
    return Promise.resolve({ data, type, status: 200 });
  }

  joined(): void {}

  left(): void {}

  snapshot(): undefined {}

  currentNotice(): undefined {}

  release(): void {
    clearInterval(this.timer);
  }
}
