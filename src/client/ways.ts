/** Which transport is tried next and when: pure but for chance. */
import { ConnectionError } from './errors.ts';
import type { Plan, Transport } from './options.ts';
import type { Ending } from './transports/link.ts';

/** What becomes of it: its end, or milliseconds until the next attempt. */
export type Verdict =
  | { readonly end: Ending | ConnectionError; readonly delay?: undefined }
  | { readonly delay: number; readonly end?: undefined };

/** The first wait, at most; milliseconds. */
const FIRST_DELAY = 500;
/** How often a transport that has worked is tried again before the next one: the gateway may be restarting. */
const PATIENCE = 2;

/** The program behind the stream has ended, well or not. */
const ENDED: ReadonlySet<number> = new Set([1000, 1011]);

export class Ways {
  private at = 0;
  /** The transport that got through. */
  private known: Transport | undefined;
  /** One after the other: the next wait is longer. */
  private failures = 0;
  private tries = 0;
  /** What the transports before said, for the case that none gets through. */
  private refusal: ConnectionError | undefined;

  constructor(private readonly plan: Pick<Plan, 'transports' | 'reconnect' | 'maxDelay'>) {}

  get transport(): Transport {
    return this.plan.transports[this.at] ?? 'websocket';
  }

  opened(): void {
    this.known = this.transport;
    this.tries = 0;
    this.refusal = undefined;
  }

  /** A message has come. */
  worked(): void {
    this.failures = 0;
  }

  /** A connection that was there has ended. */
  lost(how: Ending | ConnectionError): Verdict {
    const { reconnect } = this.plan;
    const hasEnded = !(how instanceof ConnectionError) && ENDED.has(how.code);
    const isFinal = how instanceof ConnectionError && (how.failure === 'aborted' || how.failure === 'protocol');
    if (reconnect === false || isFinal || (hasEnded && reconnect !== true)) return { end: how };
    return this.wait();
  }

  /** There was none, or one that is `held` back on its way. */
  failed(how: Ending | ConnectionError, held: boolean): Verdict {
    const { transports, reconnect } = this.plan;
    if (!(how instanceof ConnectionError)) return this.lost(how);
    if (!held && this.known === this.transport && this.tries++ < PATIENCE && reconnect !== false) return this.wait();
    // Which transport is asked for makes no difference to these.
    const isOfTransport = ['rejected', 'protocol', 'timeout', 'lost'].includes(how.failure) && how.status !== 401;
    if (isOfTransport && this.at + 1 < transports.length) {
      this.refusal ??= how;
      this.at++;
      return { delay: 0 };
    }
    // 400 of a poll says that this stream cannot be polled: what the others said is the reason.
    const reason = how.status === 400 && this.refusal !== undefined ? this.refusal : how;
    this.at = 0;
    this.refusal = undefined;
    if (reconnect === false || (this.known === undefined && isFatal(reason))) return { end: reason };
    return this.wait();
  }

  /** Twice as long each time, less up to half by chance. */
  private wait(): Verdict {
    const longest = Math.min(this.plan.maxDelay, FIRST_DELAY * 2 ** this.failures++);
    return { delay: longest * (0.5 + Math.random() / 2) };
  }
}

/** It will not be otherwise in a moment. */
function isFatal({ failure, status = 0 }: ConnectionError): boolean {
  if (failure === 'untrusted' || failure === 'aborted') return true;
  return status >= 300 && status < 500 && status !== 429;
}
