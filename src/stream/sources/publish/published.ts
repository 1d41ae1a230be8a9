/** The source of a stream that is published to: it says what its clients send, to all of them. */
import type { StreamCounts } from '../../counts.ts';
import type { ClientIdentity, SendResult, SharedSource, SharedSourceEvents } from '../source.ts';

/** What became of messages that somebody has published. */
export interface Published {
  /** Of the last of them. */
  readonly id: string;
  /** See `SharedSourceEvents.kept`. */
  readonly kept: Promise<boolean> | undefined;
}

export class PublishedSource implements SharedSource {
  /** The sentence about live writers while none is left. */
  away: string | undefined;

  constructor(
    private readonly events: SharedSourceEvents,
    private readonly counts: StreamCounts,
  ) {}

  /** Of a WebSocket: it sees its own message come back, and is told no more. */
  send(_sender: ClientIdentity | undefined, message: Buffer, _type: string | undefined, binary: boolean): SendResult {
    this.away = undefined;
    this.counts.tallies.published.add(1, this.counts.route, 'websocket');
    this.events.messages([message], binary);
    return 'sent';
  }

  /** @param batch at least one message; @param binary as the stream is, if it is left out */
  publish(batch: readonly Buffer[], binary?: boolean): Published {
    const { events } = this;
    events.messages(batch, binary);
    return { id: events.lastId(), kept: events.kept() };
  }

  notice(text: string): void {
    this.events.notice(text);
  }

  joined(): void {}
  left(): void {}
  release(): void {}

  snapshot(): undefined {
    return undefined;
  }

  currentNotice(): string | undefined {
    return this.away;
  }
}
