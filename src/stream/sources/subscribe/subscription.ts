/** One connection to what a stream subscribes to, whatever it speaks. */
import type { Held } from '../../../ownership/held.ts';
import type { UpstreamFailure } from '../../../upstream/faults.ts';
import { UpstreamError } from '../../../upstream/faults.ts';
import type { Losses } from '../../jpeg.ts';
import { RequestFailure } from '../poll/source-server.ts';

export interface SubscriptionEvents {
  /** Something has come, if only a sign of life. */
  heard(): void;
  /** Messages that came together, in order. */
  messages(batch: readonly Buffer[], binary: boolean, picture?: string): void;
  /** What was left out. */
  leftOut(losses: Losses): void;
  /** Once, and last. */
  ended(failure: SubscriptionFailure): void;
}

export interface Subscription {
  /** Nothing is told any more, and the connection is ended. */
  release(): void;
  /** Undefined where nothing can be sent over it. "full": it does not take as much. */
  send?(message: Buffer, binary: boolean): 'sent' | 'full';
}

/** Makes the subscription of a connection that is ready: nothing is told before it has returned. */
export type StartedSubscription = (events: SubscriptionEvents) => Subscription;

/** What outlives one connection. */
export interface ResumePoint {
  /** Of the upstream; undefined where it has named none. */
  lastEventId: string | undefined;
}

export interface SubscriptionTarget {
  /** Connects. Rejects with a `SubscriptionFailure`, or with the signal's reason. */
  open(resume: ResumePoint, signal: AbortSignal): Promise<Held<StartedSubscription>>;
}

/** How a connection failed, for counts. "status", "login" and "type" are of answers that are no stream; "ended" and "silent" of a stream that was one. */
export type SubscriptionOutcome = UpstreamFailure | 'status' | 'login' | 'type' | 'ended' | 'silent';

/** There is no connection, or none any more. The message goes to viewers: it gives nothing away. */
export class SubscriptionFailure extends Error {
  override readonly name = 'SubscriptionFailure';
  readonly outcome: SubscriptionOutcome;
  /** For the log. */
  readonly detail: string | undefined;
  /** Milliseconds that the upstream wants to be left alone; undefined where it does not say. */
  readonly pause: number | undefined;
  /** The upstream wants nobody to come again. */
  readonly isFinal: boolean;
  /** The upstream has ended a stream that goes on where it was with the next connection: nothing is lost. */
  readonly isRoutine: boolean;

  constructor(
    message: string,
    options: {
      readonly outcome: SubscriptionOutcome;
      readonly detail?: string | undefined;
      readonly pause?: number | undefined;
      readonly isFinal?: boolean;
      readonly isRoutine?: boolean;
    },
  ) {
    super(message);
    this.outcome = options.outcome;
    this.detail = options.detail;
    this.pause = options.pause;
    this.isFinal = options.isFinal ?? false;
    this.isRoutine = options.isRoutine ?? false;
  }
}

export function failureOf(error: unknown): SubscriptionFailure {
  if (error instanceof SubscriptionFailure) return error;
  if (error instanceof UpstreamError)
    return new SubscriptionFailure(error.message, { outcome: error.failure, detail: error.detail });
  if (error instanceof RequestFailure)
    return new SubscriptionFailure(error.message, { outcome: error.outcome, detail: error.detail });
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new SubscriptionFailure('it cannot be subscribed to', { outcome: 'failed', detail });
}
