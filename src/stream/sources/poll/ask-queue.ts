/** Messages that are answered one by one: so many at a time, those of one sender one after the other, the rest waiting within a bound. */

export interface AskBounds {
  readonly atOnce: number;
  /** Bytes that may wait. */
  readonly maxBytes: number;
  /** Messages that may wait. */
  readonly maxWaiting: number;
}

interface Job {
  readonly sender: string | undefined;
  readonly bytes: number;
  run(): Promise<void>;
  reject(error: Error): void;
}

export class AskQueue {
  private readonly waitingJobs: Job[] = [];
  private readonly busy = new Set<string>();
  private running = 0;
  private bytes = 0;

  constructor(private readonly bounds: AskBounds) {}

  /** Bytes that wait. */
  get waiting(): number {
    return this.bytes;
  }

  /** @returns what `run` resolves to; undefined when there is no room */
  add<T>(bytes: number, sender: string | undefined, run: () => Promise<T>): Promise<T> | undefined {
    const { length } = this.waitingJobs;
    if (length >= this.bounds.maxWaiting || (length > 0 && this.bytes + bytes > this.bounds.maxBytes)) return undefined;
    return new Promise<T>((resolve, reject) => {
      this.waitingJobs.push({ sender, bytes, reject, run: () => run().then(resolve, reject) });
      this.bytes += bytes;
      this.next();
    });
  }

  /** Rejects everything that waits; what runs is the caller's. */
  close(error: Error): void {
    for (const job of this.waitingJobs.splice(0)) job.reject(error);
    this.bytes = 0;
  }

  private next(): void {
    while (this.running < this.bounds.atOnce) {
      const at = this.waitingJobs.findIndex(({ sender }) => sender === undefined || !this.busy.has(sender));
      const [job] = at < 0 ? [] : this.waitingJobs.splice(at, 1);
      if (job === undefined) return;
      const { sender } = job;
      this.bytes -= job.bytes;
      this.running++;
      if (sender !== undefined) this.busy.add(sender);
      void job.run().finally(() => {
        this.running--;
        if (sender !== undefined) this.busy.delete(sender);
        this.next();
      });
    }
  }
}
