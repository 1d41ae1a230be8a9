/** A counting semaphore with a queue that is bounded in number and in time: first come, first served. */

/** No permit, and none within the time. */
export class NoPermit extends Error {
  /** "full": the queue is too long. "timeout": waited in vain. "left": gave up. "closed": there will be none. */
  readonly why: 'full' | 'timeout' | 'left' | 'closed';
  constructor(why: NoPermit['why'], message: string) {
    super(message);
    this.name = 'NoPermit';
    this.why = why;
  }
}

/** A permit to begin, or a place in the queue for one. */
export interface Permit {
  /** Resolves when the permit is ours; rejects with `NoPermit`. */
  readonly ready: Promise<void>;
  /** Gives the permit, or the place in the queue, to the next. Harmless when called again. */
  release(): void;
}

interface Waiter {
  readonly enter: () => void;
  readonly refuse: (error: NoPermit) => void;
}

export class Semaphore {
  private used = 0;
  private readonly queue = new Set<Waiter>();
  private closed = false;

  constructor(
    private readonly max: number,
    private readonly maxWaiting: number,
  ) {}

  get waiting(): number {
    return this.queue.size;
  }

  /** Asks for a permit, for `milliseconds` at the longest. */
  take(milliseconds: number): Permit {
    if (this.closed) return refused(new NoPermit('closed', 'the route is being closed'));
    if (this.used < this.max) {
      this.used++;
      return this.permit(Promise.resolve(), () => this.pass());
    }
    if (this.queue.size >= this.maxWaiting) {
      return refused(
        new NoPermit('full', `the queue is full (max_waiting): ${this.used} requests run and ${this.queue.size} wait`),
      );
    }
    return this.enqueue(milliseconds);
  }

  /** Refuses everybody who waits, and whoever comes. */
  close(): void {
    this.closed = true;
    for (const waiter of [...this.queue]) waiter.refuse(new NoPermit('closed', 'the route is being closed'));
  }

  private enqueue(milliseconds: number): Permit {
    let inside = false;
    let leave: (error: NoPermit) => void = () => undefined;
    const ready = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => leave(new NoPermit('timeout', `the request waited longer than ${milliseconds} ms (queue_timeout)`)),
        milliseconds,
      );
      const waiter: Waiter = {
        enter: () => {
          clearTimeout(timer);
          this.queue.delete(waiter);
          inside = true;
          resolve();
        },
        refuse: (error) => {
          clearTimeout(timer);
          this.queue.delete(waiter);
          reject(error);
        },
      };
      leave = waiter.refuse;
      this.queue.add(waiter);
    });
    return this.permit(ready, () => {
      if (inside) this.pass();
      else leave(new NoPermit('left', 'it left the queue'));
    });
  }

  private permit(ready: Promise<void>, give: () => void): Permit {
    let given = false;
    return {
      ready,
      release: () => {
        if (given) return;
        given = true;
        give();
      },
    };
  }

  /** The permit goes to the first in the queue, or is free. */
  private pass(): void {
    const [next] = this.queue;
    if (next) next.enter();
    else this.used--;
  }
}

function refused(error: NoPermit): Permit {
  return { ready: Promise.reject(error), release: () => undefined };
}
