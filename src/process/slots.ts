/** How many may do something at once, and who waits in line for it: bounded in number and in time, first come first served. */

/** No place, and none within the time. */
export class NoSlot extends Error {
  /** "full": the line is too long. "timeout": waited in vain. "left": gave up. "closed": there will be none. */
  readonly why: 'full' | 'timeout' | 'left' | 'closed';
  constructor(why: NoSlot['why'], message: string) {
    super(message);
    this.name = 'NoSlot';
    this.why = why;
  }
}

/** A place, or a place in the line. */
export interface Slot {
  /** Resolves when the place is ours; rejects with `NoSlot`. */
  readonly ready: Promise<void>;
  /** Gives the place, or the place in the line, to the next. Harmless when called again. */
  release(): void;
}

interface Waiter {
  readonly enter: () => void;
  readonly refuse: (error: NoSlot) => void;
}

export class Slots {
  private used = 0;
  private readonly line = new Set<Waiter>();
  private closed = false;

  constructor(
    private readonly max: number,
    private readonly maxWaiting: number,
  ) {}

  get waiting(): number {
    return this.line.size;
  }

  /** Asks for a place, for `milliseconds` at the longest. */
  take(milliseconds: number): Slot {
    if (this.closed) return refused(new NoSlot('closed', 'the route is being closed'));
    if (this.used < this.max) {
      this.used++;
      return this.slot(Promise.resolve(), () => this.pass());
    }
    if (this.line.size >= this.maxWaiting) {
      return refused(new NoSlot('full', `${this.used} programs run and ${this.line.size} requests wait`));
    }
    return this.queue(milliseconds);
  }

  /** Refuses everybody who waits, and whoever comes. */
  close(): void {
    this.closed = true;
    for (const waiter of [...this.line]) waiter.refuse(new NoSlot('closed', 'the route is being closed'));
  }

  private queue(milliseconds: number): Slot {
    let inside = false;
    let leave: (error: NoSlot) => void = () => undefined;
    const ready = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => leave(new NoSlot('timeout', `no program of this route ended within ${milliseconds} ms`)),
        milliseconds,
      );
      const waiter: Waiter = {
        enter: () => {
          clearTimeout(timer);
          this.line.delete(waiter);
          inside = true;
          resolve();
        },
        refuse: (error) => {
          clearTimeout(timer);
          this.line.delete(waiter);
          reject(error);
        },
      };
      leave = waiter.refuse;
      this.line.add(waiter);
    });
    return this.slot(ready, () => {
      if (inside) this.pass();
      else leave(new NoSlot('left', 'it left the line'));
    });
  }

  private slot(ready: Promise<void>, give: () => void): Slot {
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

  /** The place goes to the first in the line, or is free. */
  private pass(): void {
    const [next] = this.line;
    if (next) next.enter();
    else this.used--;
  }
}

function refused(error: NoSlot): Slot {
  return { ready: Promise.reject(error), release: () => undefined };
}
