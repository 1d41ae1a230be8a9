/**
 * A stream's source that is asked again and again: one loop for all viewers, ask → judge → messages → wait. It never ends by itself:
 * what goes wrong is told once, and it asks on, less and less often, until somebody answers.
 */

import type { Log } from '../../../ops/log.ts';
import type { SourceStatus } from '../../../ops/status.ts';
import type { Tallies } from '../../../ops/tallies.ts';
import { Backoff, type BackoffTimes } from '../backoff.ts';
import type { ClientIdentity, MessageAnswer, SharedSource, SharedSourceEvents } from '../source.ts';
import { AskQueue } from './ask-queue.ts';
import { joinQueries, withCursor } from './cursor.ts';
import { answered, mediaTypeOf } from './messages.ts';
import { conditions, judge, nextPoll, type PollMemory, type PollResult, type PollRules, retryAfter } from './plan.ts';
import { type PollAnswer, PollFailure, type PollRequest, type PollTarget } from './target.ts';

export interface PolledOptions {
  readonly route: string;
  readonly target: PollTarget;
  readonly rules: PollRules;
  /** The target's own query, and what of a viewer's tells channels apart. */
  readonly queries: readonly [own: string, viewers: string];
  /** Milliseconds from one start to the next, where the target does not wait for news. */
  readonly interval: number;
  /** Milliseconds that one answer may take. */
  readonly timeout: number;
  readonly backoff: BackoffTimes;
  /** Bytes of messages that may wait for their answers. */
  readonly maxQueue: number;
  /** The media type of every message; undefined: its own, or what it looks like. */
  readonly messageType: string | undefined;
  /** What the channel's viewers have been given. It outlives this source, because they do. */
  readonly channel: ChannelMemory;
  readonly log: Log;
  readonly tallies: Tallies;
}

export interface ChannelMemory {
  memory: PollMemory;
}

/** How many messages of viewers are with the target at one time. */
const ASK_AT_ONCE = 4;
const MAX_ASKING = 256;
const RELEASED = new PollFailure('the stream has ended', { status: 503 });

export class PolledSource implements SharedSource {
  private readonly asking: AskQueue;
  /** What is under way: the poll, and messages. */
  private readonly underWay = new Set<AbortController>();
  private readonly query: string;
  private timer: NodeJS.Timeout | undefined;
  private over = false;
  /** Set while it does not answer as it should. */
  private failing: { readonly backoff: Backoff; readonly notice: string } | undefined;

  constructor(
    private readonly options: PolledOptions,
    private readonly events: SharedSourceEvents,
  ) {
    this.query = joinQueries(...options.queries);
    this.asking = new AskQueue({ atOnce: ASK_AT_ONCE, maxBytes: options.maxQueue, maxWaiting: MAX_ASKING });
    // In a turn of its own: with start = "boot" the gateway is still being built.
    this.again(0);
  }

  // ---- for the channel ----

  send(sender: ClientIdentity | undefined, message: Buffer, type: string | undefined): 'full' | Promise<MessageAnswer> {
    const request = {
      method: 'POST',
      query: this.query,
      headers: [['content-type', mediaTypeOf(message, this.options.messageType ?? type)]],
      body: message,
    } as const;
    const answer = this.asking.add(message.length, sender?.id, () => this.request(request));
    return answer === undefined ? 'full' : answered(answer);
  }

  joined(): void {}

  left(): void {}

  snapshot(): Buffer | undefined {
    const { document } = this.options.channel.memory;
    return document === undefined ? undefined : Buffer.from(JSON.stringify(document));
  }

  currentNotice(): string | undefined {
    return this.failing?.notice;
  }

  status(): Partial<SourceStatus> {
    return this.failing === undefined ? { state: 'running' } : { state: 'away', why: this.failing.notice };
  }

  release(): void {
    this.over = true;
    clearTimeout(this.timer);
    this.asking.close(RELEASED);
    for (const controller of this.underWay) controller.abort(RELEASED);
    this.options.target.close();
  }

  // ---- the loop ----

  private again(milliseconds: number): void {
    this.timer = setTimeout(() => void this.poll(), milliseconds);
  }

  private async poll(): Promise<void> {
    const { rules, channel, tallies, route } = this.options;
    const query = withCursor(this.query, rules.cursor, channel.memory.cursor);
    const started = performance.now();
    const { result, pause, detail } = await this.result(query);
    if (this.over) return;
    tallies.polls.add(1, route, result.outcome);
    const backoff = result.outcome === 'error' ? this.failed(result.why, detail) : undefined;
    if (result.outcome !== 'error') {
      channel.memory = result.memory;
      this.recovered();
      if (result.outcome === 'news') this.events.messages(result.messages);
    }
    const took = performance.now() - started;
    const times = { interval: this.options.interval, most: this.options.backoff.most };
    this.again(nextPoll({ took, backoff, retryAfter: pause }, times, Math.random()));
  }

  /** What one answer, or none, comes to. Never rejects. */
  private async result(query: string): Promise<{
    readonly result: PollResult;
    readonly pause: number | undefined;
    readonly detail?: string | undefined;
  }> {
    const {
      rules,
      channel: { memory },
    } = this.options;
    const headers = conditions(memory, query);
    try {
      const answer = await this.request({ method: 'GET', query, headers, body: undefined });
      const now = Date.now();
      return { result: judge(answer, query, memory, rules, now), pause: retryAfter(answer.headers, now) };
    } catch (error) {
      if (!(error instanceof PollFailure)) {
        const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
        return { result: { outcome: 'error', why: 'it cannot be polled' }, pause: undefined, detail };
      }
      const pause = retryAfter(error.headers, Date.now());
      return { result: { outcome: 'error', why: error.message }, pause, detail: error.detail };
    }
  }

  private async request(request: Omit<PollRequest, 'maxBytes' | 'signal'>): Promise<PollAnswer> {
    const { target, rules, timeout } = this.options;
    const controller = new AbortController();
    const late = new PollFailure(`it did not answer within ${timeout / 1000} s`, { status: 504 });
    const timer = setTimeout(() => controller.abort(late), timeout);
    this.underWay.add(controller);
    try {
      return await target.ask({ ...request, maxBytes: rules.maxMessage, signal: controller.signal });
    } finally {
      clearTimeout(timer);
      this.underWay.delete(controller);
    }
  }

  /** @returns milliseconds to leave it alone */
  private failed(why: string, detail: string | undefined): number {
    const { route, log, backoff: times } = this.options;
    const first = this.failing === undefined;
    const notice = `the source of this stream fails: ${why}; the gateway keeps trying`;
    this.failing ??= { backoff: new Backoff(times), notice };
    const backoff = this.failing.backoff.next(0);
    const facts = { route, why, ...(detail === undefined ? {} : { detail }), ms: Math.round(backoff) };
    log[first ? 'warn' : 'debug']('a polled source fails', facts);
    if (first) this.events.notice(notice);
    return backoff;
  }

  private recovered(): void {
    if (this.failing === undefined) return;
    this.failing = undefined;
    this.options.log.info('a polled source answers again', { route: this.options.route });
    this.events.notice('the source answers again');
  }
}
