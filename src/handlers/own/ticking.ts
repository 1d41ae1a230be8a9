/** A source without a program: it ticks once a second and answers each message with itself. For `/.runnel/check`. */
import type { ClientIdentity, MessageAnswer, SharedSource, SharedSourceEvents } from '../../stream/sources/source.ts';

const PERIOD = 1000;

export class TickingSource implements SharedSource {
  private readonly timer: NodeJS.Timeout;

  /** Each message says when it was sent: milliseconds since 1970. */
  constructor(events: SharedSourceEvents) {
    this.timer = setInterval(() => events.messages([Buffer.from(String(Date.now()))]), PERIOD);
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
