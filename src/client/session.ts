/**
 * One stream from `connect` to its end: over one connection after the other where it is to reconnect, by one transport or the next, with
 * each message once. Reading and writing end on their own; the connection ends when both have, or when the peer ends it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Deferred } from '../ownership/deferred.ts';
import { Dialer } from './dialing/dial.ts';
import { ConnectionError, connectionError } from './errors.ts';
import { Inbox, type Item } from './inbox.ts';
import type { Facts, Plan } from './options.ts';
import type { Ending, Link, LinkEvents } from './transports/link.ts';
import { openLink } from './transports/openers.ts';
import { Ways } from './ways.ts';

/** The code of a close without an error (RFC 6455 section 7.4.1). */
const NORMAL = 1000;

export class Session {
  facts: Facts;
  /** The id of the last message that was read; where nothing was, the position from which the stream goes on. */
  lastEventId: string;
  /** How it ended; rejects where it was not closed but lost. */
  readonly closed = new Deferred<Ending>();
  private readonly inbox = new Inbox();
  private readonly ways: Ways;
  private readonly dialer: Dialer;
  private readonly stop = new AbortController();
  private readonly opened = new Deferred();
  /** Settled when a connection comes or goes. */
  private change = new Deferred();
  private link: Link | undefined;
  private isPaused = false;
  /** Who takes what comes without a wait in the inbox, which is empty meanwhile. */
  private direct: ((item: Item) => boolean) | undefined;
  private over: Ending | ConnectionError | undefined;
  private closing: Ending | undefined;
  private doneReading = false;
  private doneWriting = false;
  /** Of the last message that came: its id, run and number. */
  private place = { id: '', run: '', number: 0 };

  /** Throws a `TypeError` where the plan cannot be meant. */
  constructor(
    private readonly plan: Plan,
    signal: AbortSignal | undefined,
  ) {
    this.dialer = new Dialer(plan);
    this.ways = new Ways(plan);
    this.facts = { transport: this.ways.transport };
    this.lastEventId = plan.after;
    this.reach(plan.after);
    this.closed.promise.catch(() => undefined);
    this.opened.promise.catch(() => undefined);
    const aborted = (): void => this.terminate(signal?.reason);
    if (signal?.aborted) aborted();
    else signal?.addEventListener('abort', aborted, { once: true });
    this.closed.promise.finally(() => signal?.removeEventListener('abort', aborted)).catch(() => undefined);
    void this.run();
  }

  /** Until it is connected for the first time. Rejects with the error that ended it instead. */
  open(): Promise<void> {
    return this.opened.promise;
  }

  /** The next message; undefined when the stream was closed. Rejects where it was lost. What came before the end is given first. */
  async next(): Promise<Item | undefined> {
    for (;;) {
      const item = this.take();
      if (item !== undefined) return item;
      if (this.over instanceof ConnectionError) throw this.over;
      if (this.over !== undefined || this.doneReading) return undefined;
      await this.inbox.news();
    }
  }

  /**
   * Gives what has come and what comes to `take`, at once: a message that does not wait costs half. Resolves with true when that has answered false, with
   * false when the stream was closed. Rejects where it was lost.
   */
  async each(take: (item: Item) => boolean): Promise<boolean> {
    for (let item = this.take(); ; item = this.take()) {
      if (item !== undefined) {
        if (!take(item)) return true;
        continue;
      }
      if (this.over instanceof ConnectionError) throw this.over;
      if (this.over !== undefined || this.doneReading) return false;
      this.direct = take;
      await this.inbox.news();
      if (this.direct === undefined) return true;
      this.direct = undefined;
    }
  }

  /** A message that has come already, as `next`; undefined where there is none now. */
  take(): Item | undefined {
    const item = this.inbox.take();
    if (item === undefined) return undefined;
    if (item.id !== '') this.lastEventId = item.id;
    if (this.isPaused && this.inbox.isEmpty) this.hold(false);
    return item;
  }

  /**
   * Undefined: the next message may come. A promise: when it is settled. It rejects where it cannot be sent; while there is no connection, it
   * waits for one. @param isText of bytes: whether they are a text in UTF-8
   */
  send(data: string | Uint8Array, isText = typeof data === 'string'): Promise<void> | undefined {
    if (this.link === undefined || this.over !== undefined || this.closing !== undefined)
      return this.sendLater(data, isText);
    return this.link.send(data, isText);
  }

  private async sendLater(data: string | Uint8Array, isText: boolean): Promise<void> {
    while (this.over === undefined && this.closing === undefined) {
      if (this.link !== undefined) return await this.link.send(data, isText);
      await this.change.promise;
    }
    throw this.unwritable();
  }

  /** Nothing more will be sent. */
  async finishWriting(): Promise<void> {
    if (this.doneWriting) return;
    if (this.plan.eofMessage !== undefined && this.over === undefined && !this.doneReading)
      await this.send(this.plan.eofMessage);
    this.doneWriting = true;
    if (this.doneReading) this.close({ code: NORMAL, reason: '' });
  }

  /** Nothing more will be read; what comes is thrown away. */
  finishReading(): void {
    if (this.doneReading) return;
    this.doneReading = true;
    this.inbox.clear();
    this.inbox.wake();
    this.hold(false);
    if (this.doneWriting) this.close({ code: NORMAL, reason: '' });
  }

  /** Ends it in good order, for both sides. */
  close(ending: Ending): void {
    if (this.closing !== undefined || this.over !== undefined) return;
    this.closing = ending;
    this.doneReading = this.doneWriting = true;
    this.inbox.clear();
    this.inbox.wake();
    if (this.link === undefined) this.end(ending);
    else this.link.close(ending);
  }

  /** Ends it at once. */
  terminate(reason: unknown): void {
    const message = reason instanceof Error ? reason.message : 'it was ended';
    this.end(new ConnectionError('aborted', message, { cause: reason }));
  }

  /** Why nothing can be written. */
  unwritable(): ConnectionError {
    const { over = this.closing ?? { code: NORMAL, reason: '' } } = this;
    if (over instanceof ConnectionError) return over;
    const reason = over.reason === '' ? '' : `: ${over.reason}`;
    return new ConnectionError('unsent', `the stream is closed with ${over.code}${reason}`);
  }

  private async run(): Promise<void> {
    while (this.over === undefined) {
      const { transport } = this.ways;
      const ended = new Deferred<{ readonly how: Ending | ConnectionError; readonly held: boolean }>();
      let wasOpen = false;
      try {
        const { plan, dialer } = this;
        const after = plan.resume ? this.place.id : undefined;
        this.facts = { transport };
        const parts = { plan, dialer, after, signal: this.stop.signal };
        const link = await openLink(transport, parts, this.events(ended));
        wasOpen = true;
        this.begin(link);
      } catch (error) {
        ended.resolve({ how: connectionError(error), held: false });
      }
      const { how, held } = await ended.promise;
      this.link = undefined;
      this.isPaused = false;
      // A stream that is closing has its end, whatever the peer makes of it.
      if (this.closing !== undefined) this.end(this.closing);
      if (this.over !== undefined) return;
      const verdict = wasOpen && !held ? this.ways.lost(how) : this.ways.failed(how, held);
      if (verdict.end !== undefined) {
        this.end(verdict.end);
        return;
      }
      if (verdict.delay === 0) continue;
      const reason = how instanceof ConnectionError ? how.message : `closed with ${how.code} ${how.reason}`.trim();
      this.plan.onEvent({ type: 'waiting', reason, delay: verdict.delay });
      await sleep(verdict.delay, undefined, { signal: this.stop.signal }).catch(() => undefined);
    }
  }

  private begin(link: Link): void {
    if (this.over !== undefined) {
      link.terminate();
      return;
    }
    this.link = link;
    this.ways.opened();
    this.change.resolve();
    this.change = new Deferred();
    this.opened.resolve();
    if (this.inbox.isFull) this.hold(true);
    this.plan.onEvent({ type: 'open', facts: this.facts });
    if (this.closing !== undefined) link.close(this.closing);
  }

  private events(ended: Deferred<{ readonly how: Ending | ConnectionError; readonly held: boolean }>): LinkEvents {
    const { onEvent } = this.plan;
    return {
      facts: (facts) => {
        this.facts = { ...this.facts, ...facts };
      },
      position: (id) => {
        if (this.reach(id) && this.inbox.isEmpty) this.lastEventId = id;
      },
      message: (data, id, isText = typeof data === 'string') => {
        if (!this.reach(id)) return;
        this.ways.worked();
        if (this.doneReading) return;
        if (this.direct !== undefined) {
          this.give({ data, isText, id }, this.direct);
          return;
        }
        this.inbox.add({ data, isText, id });
        if (this.inbox.isFull && !this.isPaused) this.hold(true);
      },
      missed: (count) => onEvent({ type: 'missed', count }),
      notice: (text) => onEvent({ type: 'notice', text }),
      stderr: (text) => onEvent({ type: 'stderr', text }),
      ended: (how, held = false) => ended.resolve({ how, held }),
    };
  }

  private give(item: Item, direct: (item: Item) => boolean): void {
    if (item.id !== '') this.lastEventId = item.id;
    if (direct(item)) return;
    this.direct = undefined;
    this.inbox.wake();
  }

  /** Takes note of an id. False for a message that has come already. */
  private reach(id: string): boolean {
    const [, run, digits] = /^(.*)-(\d+)$/.exec(id) ?? [];
    if (run === undefined) return true;
    const number = Number(digits);
    if (run === this.place.run && number <= this.place.number) return false;
    this.place = { id, run, number };
    return true;
  }

  private hold(isPaused: boolean): void {
    this.isPaused = isPaused;
    if (isPaused) this.link?.pause();
    else this.link?.resume();
  }

  private end(how: Ending | ConnectionError): void {
    if (this.over !== undefined) return;
    this.over = how;
    this.stop.abort(how);
    this.link?.terminate();
    this.link = undefined;
    this.change.resolve();
    this.inbox.wake();
    const early = how instanceof ConnectionError ? how : this.unwritable();
    this.opened.reject(early);
    if (how instanceof ConnectionError) this.closed.reject(how);
    else this.closed.resolve(how);
  }
}
