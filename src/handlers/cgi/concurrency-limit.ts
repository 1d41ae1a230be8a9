/** How many requests of a route may be answered at one time, how many wait for their turn, and what is answered to the others. */
import { Busy, HttpError } from '../../http/errors.ts';
import type { Answer, Call } from '../../http/handler.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { Held } from '../../ownership/held.ts';
import type { CgiRun } from './run.ts';
import { NoPermit, type Permit, Semaphore } from './semaphore.ts';

export interface ConcurrencyLimitOptions {
  readonly route: string;
  readonly tallies: Pick<Tallies, 'busy'>;
  /** How many at one time. */
  readonly max: number;
  /** How many more may wait. */
  readonly maxWaiting: number;
  /** How long one may wait, milliseconds. */
  readonly timeout: number;
}

export class ConcurrencyLimit {
  private readonly semaphore: Semaphore;

  constructor(private readonly options: ConcurrencyLimitOptions) {
    this.semaphore = new Semaphore(options.max, options.maxWaiting);
  }

  /** The answer of what `start` starts once it is the call's turn; `start` sees to it that the permit is released. 503 without one. */
  async answer(call: Call, start: (permit: Permit) => Promise<CgiRun>): Promise<Answer> {
    const { signal } = call;
    const turn = this.semaphore.take(this.options.timeout);
    const waiting = new Held(turn, () => turn.release(), signal);
    await turn.ready.catch((error: unknown) => this.refused(error));
    const permit = waiting.take();
    if (permit === undefined) throw signal.reason;
    const run = await start(permit);
    // While it was being started nothing could be done about it.
    run.leaveWith(signal);
    return run.answer;
  }

  /** Refuses everybody who waits, and whoever comes. */
  close(): void {
    this.semaphore.close();
  }

  private refused(error: unknown): never {
    if (!(error instanceof NoPermit)) throw error;
    // 499 is what a client's leaving is called in logs since nginx; nobody is there to get it.
    if (error.why === 'left') throw new HttpError(499, 'the client left while its request waited');
    this.options.tallies.busy.add(1, this.options.route, error.why);
    throw new Busy(error.message, { cause: error, counted: true });
  }
}
