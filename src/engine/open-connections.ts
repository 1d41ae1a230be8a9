/** Counts a listener's connections, and lets them go when it stops. */

/** How long a connection that waits for nothing is kept while stopping: its next request may be on the way. Milliseconds. */
const GRACE = 200;

export class OpenConnections {
  /** Resolves once stopped and without a connection. */
  readonly finished: Promise<void>;
  stopping = false;
  private connections = 0;
  private busy = 0;
  /** Those that wait for nothing are not kept until their own time is over. */
  private hurried = false;
  private grace: NodeJS.Timeout | undefined;
  private resolve: () => void = () => {};

  /** `dropAll` closes every connection at once. */
  constructor(private readonly dropAll: () => void) {
    this.finished = new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  load(): { readonly connections: number; readonly requests: number } {
    return { connections: this.connections, requests: this.busy };
  }

  opened(): void {
    this.connections++;
  }

  closed(): void {
    this.connections--;
    this.look();
  }

  /** An exchange or a WebSocket has begun. */
  began(): void {
    this.busy++;
    if (this.grace !== undefined) clearTimeout(this.grace);
  }

  /** It is over. */
  ended(): void {
    this.busy--;
    this.look();
  }

  /** No more come. Each is closed behind its next answer, or by its own idle time. */
  leave(): void {
    this.stopping = true;
    this.look();
  }

  /** No more come, and those that wait for nothing are dropped soon. */
  stop(): void {
    this.hurried = true;
    this.leave();
  }

  private look(): void {
    if (!this.stopping) return;
    if (this.connections === 0) {
      clearTimeout(this.grace);
      this.resolve();
    } else if (this.hurried && this.busy === 0) {
      clearTimeout(this.grace);
      this.grace = setTimeout(() => this.dropAll(), GRACE);
    }
  }
}
