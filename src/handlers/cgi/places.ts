/** The places of a route: how many requests may be answered at one time, who waits for one, and what those get who find none. */
import { HttpError } from '../../http/errors.ts';
import type { Answer, Call } from '../../http/handler.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { Held } from '../../ownership/held.ts';
import { NoSlot, type Slot, Slots } from '../../process/slots.ts';
import { noRoom } from '../../programs/start-error.ts';
import type { CgiRun } from './run.ts';

export interface PlacesOptions {
  readonly route: string;
  readonly tallies: Pick<Tallies, 'busy'>;
  /** How many at one time. */
  readonly max: number;
  /** How many more may wait. */
  readonly maxWaiting: number;
  /** How long one may wait, milliseconds. */
  readonly timeout: number;
}

export class Places {
  private readonly slots: Slots;

  constructor(private readonly options: PlacesOptions) {
    this.slots = new Slots(options.max, options.maxWaiting);
  }

  /** The answer of what `start` starts once it is the call's turn; `start` sees to it that the slot is released. 503 without a place. */
  async answer(call: Call, start: (slot: Slot) => Promise<CgiRun>): Promise<Answer> {
    const { signal } = call;
    const turn = this.slots.take(this.options.timeout);
    const waiting = new Held(turn, () => turn.release(), signal);
    await turn.ready.catch((error: unknown) => this.refused(error));
    const slot = waiting.take();
    if (slot === undefined) throw signal.reason;
    const run = await start(slot);
    // While it was being started nothing could be done about it.
    if (signal.aborted) run.leave();
    else signal.addEventListener('abort', () => run.leave());
    return run.answer;
  }

  /** Refuses everybody who waits, and whoever comes. */
  close(): void {
    this.slots.close();
  }

  private refused(error: unknown): never {
    if (!(error instanceof NoSlot)) throw error;
    // 499 is what a client's leaving is called in logs since nginx; nobody is there to get it.
    if (error.why === 'left') throw new HttpError(499, 'its client left the line');
    this.options.tallies.busy.add(1, this.options.route, error.why);
    throw noRoom(error.message, error);
  }
}
