/**
 * A stream's source that is connected to a server that pushes: one connection for all viewers, made again when it is lost. It ends by itself
 * only where the server says so. Viewers are told once when it is away, and once when it is back.
 */

import type { Log } from '../../../ops/log.ts';
import type { SourceStatus } from '../../../ops/status.ts';
import type { Tallies } from '../../../ops/tallies.ts';
import type { Losses } from '../../jpeg.ts';
import { CLOSE } from '../../message.ts';
import { Backoff, type BackoffTimes } from '../backoff.ts';
import type { ClientIdentity, MessageAnswer, SendResult, SharedSource, SharedSourceEvents } from '../source.ts';
import type { Posts } from './posts.ts';
import {
  failureOf,
  type ResumePoint,
  type StartedSubscription,
  type Subscription,
  type SubscriptionEvents,
  SubscriptionFailure,
  type SubscriptionTarget,
} from './subscription.ts';

export interface SubscribedOptions {
  readonly route: string;
  readonly target: SubscriptionTarget;
  /** Where viewers' messages go. "connection": over the one that is subscribed. Undefined: the stream is read-only. */
  readonly messages: Posts | 'connection' | undefined;
  readonly resume: ResumePoint;
  readonly backoff: BackoffTimes;
  /** Milliseconds that the upstream may say nothing; undefined for any time. */
  readonly silence: number | undefined;
  readonly log: Log;
  readonly tallies: Tallies;
  /** Nothing is connected to any more. */
  readonly closed: () => void;
}

/** An upstream that closes at once is not back: a connection has to stand so long, or say something. Milliseconds. */
const STANDS = 1000;

export class SubscribedSource implements SharedSource, SubscriptionEvents {
  private attempt: AbortController | undefined;
  private subscription: Subscription | undefined;
  private readonly backoff: Backoff;
  /** Until the next attempt. */
  private waiting: NodeJS.Timeout | undefined;
  /** Until the connection stands. */
  private standing: NodeJS.Timeout | undefined;
  private silence: NodeJS.Timeout | undefined;
  private since = 0;
  private hasSpoken = false;
  private hasToldOversized = false;
  private over = false;
  /** While it is away: the sentence about it. */
  private notice: string | undefined;

  constructor(
    private readonly options: SubscribedOptions,
    private readonly events: SharedSourceEvents,
  ) {
    this.backoff = new Backoff(options.backoff);
    // In a turn of its own: with start = "boot" the gateway is still being built.
    this.connectAfter(0);
  }

  // ---- for the channel ----

  send(
    sender: ClientIdentity | undefined,
    message: Buffer,
    type: string | undefined,
    binary: boolean,
  ): SendResult | Promise<MessageAnswer> {
    const { messages } = this.options;
    if (typeof messages === 'object') return messages.send(sender, message, type);
    const isBinary = binary || type === 'application/octet-stream';
    return this.subscription?.send?.(message, isBinary) ?? 'away';
  }

  joined(): void {}

  left(): void {}

  snapshot(): undefined {}

  currentNotice(): string | undefined {
    return this.notice;
  }

  status(): Partial<SourceStatus> {
    if (this.notice !== undefined) return { state: 'away', why: this.notice };
    return { state: this.subscription === undefined ? 'starting' : 'running' };
  }

  release(): void {
    if (this.over) return;
    this.over = true;
    const { messages, closed } = this.options;
    clearTimeout(this.waiting);
    this.attempt?.abort(new Error('the stream has ended'));
    this.detach()?.release();
    if (messages !== 'connection') messages?.close();
    closed();
  }

  // ---- the connection ----

  private connectAfter(milliseconds: number): void {
    this.waiting = setTimeout(() => void this.connect(), milliseconds);
  }

  private async connect(): Promise<void> {
    const { target, resume } = this.options;
    const attempt = new AbortController();
    this.attempt = attempt;
    this.since = performance.now();
    this.hasSpoken = false;
    try {
      const started = (await target.open(resume, attempt.signal)).take();
      if (started === undefined) throw attempt.signal.reason;
      this.attach(started);
    } catch (error) {
      if (this.over) return;
      const failure = failureOf(error);
      this.options.tallies.connects.add(1, this.options.route, failure.outcome);
      this.lost(failure);
    }
  }

  private attach(started: StartedSubscription): void {
    const { route, tallies, silence } = this.options;
    this.attempt = undefined;
    this.hasToldOversized = false;
    tallies.connects.add(1, route, 'connected');
    tallies.subscriptions.add(1, route);
    this.since = performance.now();
    this.standing = setTimeout(() => this.back(), STANDS);
    if (silence !== undefined) this.silence = setTimeout(() => this.silent(silence), silence);
    this.subscription = started(this);
  }

  /** @returns what was attached */
  private detach(): Subscription | undefined {
    const { subscription } = this;
    const { route, tallies } = this.options;
    clearTimeout(this.standing);
    clearTimeout(this.silence);
    this.subscription = undefined;
    if (subscription !== undefined) tallies.subscriptions.add(-1, route);
    return subscription;
  }

  // ---- from the connection ----

  heard(): void {
    this.silence?.refresh();
  }

  messages(batch: readonly Buffer[], binary: boolean, picture?: string): void {
    this.hasSpoken = true;
    this.back();
    this.events.messages(batch, binary, picture);
  }

  leftOut({ tooLarge, stray }: Losses): void {
    const { route, log, tallies } = this.options;
    if (tooLarge > 0) tallies.dropped.add(tooLarge, route, 'too_large');
    if (stray > 0) tallies.dropped.add(stray, route, 'not_a_picture');
    if (tooLarge === 0 || this.hasToldOversized) return;
    this.hasToldOversized = true;
    log.warn('a message of a subscribed source is larger than max_message and was left out', { route });
  }

  ended(failure: SubscriptionFailure): void {
    const { route, tallies } = this.options;
    this.detach();
    tallies.subscriptionsEnded.add(1, route, failure.outcome);
    this.lost(failure);
  }

  private silent(milliseconds: number): void {
    this.subscription?.release();
    this.ended(new SubscriptionFailure(`nothing came for ${milliseconds / 1000} s`, { outcome: 'silent' }));
  }

  // ---- away and back ----

  private lost(failure: SubscriptionFailure): void {
    const { route, log, resume } = this.options;
    const { message: why, detail } = failure;
    if (failure.isFinal) {
      // Who comes later begins anew.
      resume.lastEventId = undefined;
      log.info('a subscribed source has ended its stream', { route, why });
      this.events.ended({ code: CLOSE.normal, reason: why });
      return;
    }
    const wait = this.waitAfter(failure);
    // Servers and proxies end an event stream now and then, and it goes on behind the last id: that is told only if it does not.
    if (failure.isRoutine && this.hasSpoken && this.notice === undefined) {
      log.debug('a subscribed source has ended its answer', { route, ms: Math.round(wait) });
      this.connectAfter(wait);
      return;
    }
    const isFirst = this.notice === undefined;
    const facts = { route, why, ...(detail === undefined ? {} : { detail }), ms: Math.round(wait) };
    log[isFirst ? 'warn' : 'debug']('a subscribed source fails', facts);
    this.notice ??= `the source of this stream fails: ${why}; the gateway keeps trying`;
    this.connectAfter(wait);
    if (isFirst) this.events.notice(this.notice);
  }

  private back(): void {
    if (this.notice === undefined) return;
    this.notice = undefined;
    this.options.log.info('a subscribed source answers again', { route: this.options.route });
    this.events.notice('the source answers again');
  }

  /** Milliseconds until the next attempt. */
  private waitAfter({ outcome, pause = 0 }: SubscriptionFailure): number {
    const { first } = this.options.backoff;
    // A server that ends a stream in good order after it has said something, and names a time, does so for everybody.
    if (outcome === 'ended' && this.hasSpoken && pause > 0) return Math.max(pause, first) * (1 + Math.random() / 4);
    return Math.max(this.backoff.next(performance.now() - this.since), pause);
  }
}
