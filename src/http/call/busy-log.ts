/** The log's lines about requests for which there was no room: the first at once, and then one a minute with how many there were. */
import type { Log } from '../../ops/log.ts';

/** Milliseconds from one line about a route and a bound to the next. */
const INTERVAL = 60_000;

interface Recent {
  /** Refused since the last line. */
  count: number;
  message: string;
}

export class BusyLog {
  /** By route and bound, for as long as there was a line about it lately. */
  private readonly recent = new Map<string, Recent>();

  constructor(
    private readonly log: Pick<Log, 'warn'>,
    private readonly interval = INTERVAL,
  ) {}

  refused(route: string, message: string, id: string): void {
    // The numbers in it are those of the moment.
    const key = `${route} ${message.replace(/\d+/g, '')}`;
    const recent = this.recent.get(key);
    if (recent !== undefined) {
      recent.count++;
      recent.message = message;
      return;
    }
    this.log.warn(message, { route, id });
    this.watch(key, route, { count: 0, message });
  }

  private watch(key: string, route: string, recent: Recent): void {
    this.recent.set(key, recent);
    setTimeout(() => this.tell(key, route, recent), this.interval).unref();
  }

  private tell(key: string, route: string, { count, message }: Recent): void {
    if (count === 0) {
      this.recent.delete(key);
      return;
    }
    this.log.warn(message, { route, refused: count });
    this.watch(key, route, { count: 0, message });
  }
}
