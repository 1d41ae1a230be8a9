/**
 * One timer for many that all wait equally long and mostly wait in vain: nothing is taken back. What is called looks for itself whether
 * there is still something to do.
 */
export class Delay {
  private waiting: { readonly due: number; readonly call: () => void }[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly milliseconds: number) {}

  /** Calls it after the time, never earlier. */
  add(call: () => void): void {
    this.waiting.push({ due: performance.now() + this.milliseconds, call });
    this.timer ??= setTimeout(this.look, this.milliseconds);
  }

  private readonly look = (): void => {
    const now = performance.now();
    const first = this.waiting.findIndex(({ due }) => due > now);
    const due = first < 0 ? this.waiting : this.waiting.slice(0, first);
    this.waiting = first < 0 ? [] : this.waiting.slice(first);
    const [next] = this.waiting;
    this.timer = next && setTimeout(this.look, Math.ceil(next.due - now));
    for (const { call } of due) call();
  };
}
