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
    /** Of a stream of pictures: the one in a message. */
    private readonly pictureIn: ((message: Buffer) => Buffer | undefined) | undefined,
  ) {}

  /** Of a WebSocket: it sees its own message come back, and is told no more. */
  send(_sender: ClientIdentity | undefined, message: Buffer, _type: string | undefined, binary: boolean): SendResult {
    const { counts, events, pictureIn } = this;
    const taken = pictureIn === undefined ? message : pictureIn(message);
    if (taken === undefined) {
      counts.drop('not_a_picture');
      // Its camera goes on, as one does that is subscribed to.
      return 'sent';
    }
    this.away = undefined;
    counts.tallies.published.add(1, counts.route, 'websocket');
    events.messages([taken], binary || pictureIn !== undefined);
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
