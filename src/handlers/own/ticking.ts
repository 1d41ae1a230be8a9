/** A source without a program: it ticks once a second and answers each message with itself. For `/.runnel/check`. */
import type { ClientMessage, MessageAnswer, Source, SourceEvents } from '../../stream/ends.ts';

const PERIOD = 1000;

export class TickingSource implements Source {
  readonly waiting = 0;
  private readonly timer: NodeJS.Timeout;

  /** Each message says when it was sent: milliseconds since 1970. */
  constructor(events: SourceEvents) {
    this.timer = setInterval(() => events.messages([Buffer.from(String(Date.now()))]), PERIOD);
  }

  ask({ data, type }: ClientMessage): Promise<MessageAnswer> {
    return Promise.resolve({ data, type, status: 200 });
  }

  write(): boolean {
    return true;
  }

  endInput(): void {}

  pause(): void {}

  resume(): void {}

  release(): void {
    clearInterval(this.timer);
  }
}
