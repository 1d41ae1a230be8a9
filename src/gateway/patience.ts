/** How long a gateway that stops goes on waiting for what is under way. */
import { Deferred } from '../ownership/deferred.ts';

export class Patience {
  private readonly ended = new Deferred();
  private timer: NodeJS.Timeout | undefined;
  /** By `performance.now`. */
  private deadline: number | undefined;

  /** Resolves when the time is over. */
  get over(): Promise<void> {
    return this.ended.promise;
  }

  /** What is left of it, milliseconds; undefined before it was set. */
  get left(): number | undefined {
    return this.deadline === undefined ? undefined : Math.max(0, Math.round(this.deadline - performance.now()));
  }

  /** So many milliseconds from now on. A time that is over does not begin anew, and none becomes longer. */
  setTo(milliseconds: number): void {
    const deadline = performance.now() + milliseconds;
    if (this.deadline !== undefined && deadline >= this.deadline) return;
    this.deadline = deadline;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ended.resolve(), milliseconds);
  }

  /** It is waited for no more. */
  end(): void {
    clearTimeout(this.timer);
    this.deadline = 0;
    this.ended.resolve();
  }
}
