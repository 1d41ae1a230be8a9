/**
 * Supervises the source of a shared stream: starts it with the first client or at boot, stops it after the last one has left, restarts
 * it while there are clients.
 */

import type { Level, Log } from '../../ops/log.ts';
import type { SourceStatus } from '../../ops/status.ts';
import type { Ending } from '../message.ts';
import { Backoff, type BackoffTimes } from './backoff.ts';
import type { SharedSource } from './source.ts';

export interface SupervisorOptions {
  /** Milliseconds after the last client has left until the source is stopped; undefined: it always runs. */
  readonly idleStop: number | undefined;
  /** Whether a source with this ending is started again for those who are there. */
  restartWanted(ending: Ending): boolean;
  readonly restart: BackoffTimes;
}

export interface SupervisorParts {
  readonly log: Log;
  readonly route: string;
  start(): Promise<SharedSource>;
  /** Whether anybody is there. */
  inUse(): boolean;
  started(source: SharedSource): void;
  /** A sentence about the stream for everybody. */
  notice(text: string): void;
  /** The source was stopped, or could not be started, and there is no client. */
  emptied(): void;
}

/** How long a client that was let in may take to join, milliseconds. */
const ARRIVAL = 10_000;

export class SourceSupervisor {
  /** The one that runs. */
  source: SharedSource | undefined;
  private since = 0;
  private starting: Promise<void> | undefined;
  private restarting: NodeJS.Timeout | undefined;
  private idle: NodeJS.Timeout | undefined;
  private readonly backoff: Backoff;
  private isAway = false;
  private over = false;
  /** How often it was started again because it had ended. */
  restarts = 0;
  private endedWith = '';

  constructor(
    private readonly options: SupervisorOptions,
    private readonly parts: SupervisorParts,
  ) {
    this.backoff = new Backoff(options.restart);
  }

  /**
   * A client is about to join. Undefined: a source runs, or is about to be restarted. Else a promise that resolves when that is so, and
   * rejects when it cannot be started.
   */
  ready(): Promise<void> | undefined {
    this.expect();
    if (this.source !== undefined || this.restarting !== undefined) return undefined;
    this.starting ??= this.start().finally(() => {
      this.starting = undefined;
    });
    return this.starting;
  }

  /** Starts it now, and again until it runs. */
  boot(): void {
    this.ready()?.catch((error: unknown) => this.again(error instanceof Error ? error.message : String(error), 'warn'));
  }

  /** A client has joined. */
  used(): void {
    clearTimeout(this.idle);
    this.idle = undefined;
  }

  /** A client has left. */
  unused(): void {
    const { idleStop } = this.options;
    if (idleStop !== undefined) this.stopAfter(idleStop);
  }

  /** It has ended by itself. False when it is not started again. */
  ended(ending: Ending): boolean {
    this.source?.release();
    this.source = undefined;
    const needed = this.parts.inUse() || this.options.idleStop === undefined;
    if (!this.options.restartWanted(ending)) return false;
    if (needed) this.again(ending.reason);
    return true;
  }

  /** What the operator sees of it. */
  status(): SourceStatus {
    const { source } = this;
    if (source !== undefined) {
      const since = Math.round(performance.timeOrigin + this.since);
      return { state: 'running', since, ...source.status?.() };
    }
    if (this.over) return { state: 'ended' };
    // Without viewers nothing waits to be started.
    if (this.starting === undefined && this.restarting === undefined) return { state: 'idle' };
    return this.isAway ? { state: 'restarting', why: this.endedWith } : { state: 'starting' };
  }

  /** For good. */
  stop(): void {
    this.over = true;
    this.release();
  }

  private async start(): Promise<void> {
    try {
      this.attach(await this.parts.start());
    } catch (error) {
      if (!this.parts.inUse()) this.parts.emptied();
      throw error;
    }
  }

  private attach(source: SharedSource): void {
    if (this.over) {
      source.release();
      return;
    }
    this.source = source;
    this.since = performance.now();
    this.parts.started(source);
    if (this.isAway) this.parts.notice('the program runs again');
    this.isAway = false;
    this.expect();
  }

  /** Without this it could be stopped between the answer to a client and its arrival. */
  private expect(): void {
    const { idleStop } = this.options;
    this.used();
    if (idleStop !== undefined) this.stopAfter(Math.max(idleStop, ARRIVAL));
  }

  private stopAfter(milliseconds: number): void {
    if (this.over || this.idle !== undefined || this.parts.inUse()) return;
    this.idle = setTimeout(() => {
      this.idle = undefined;
      // It is looked at again when it has started.
      if (this.starting !== undefined) return;
      this.release();
      this.parts.emptied();
    }, milliseconds);
  }

  /** @param level of the line about it: that a program has failed is said elsewhere, that it cannot be started is not */
  private again(why: string, level: Level = 'info'): void {
    if (this.over) return;
    const wait = this.backoff.next(performance.now() - this.since);
    // Said once until it runs.
    if (!this.isAway) {
      const { log, route } = this.parts;
      log[level]('the program is restarted', { route, ended: why, ms: Math.round(wait) });
      this.parts.notice(`the program has ended (${why}) and is restarted`);
    }
    this.isAway = true;
    this.endedWith = why;
    this.restarts++;
    // What comes now is waiting, not running.
    this.since = performance.now() + wait;
    this.restarting = setTimeout(() => {
      this.restarting = undefined;
      if (this.parts.inUse() || this.options.idleStop === undefined) this.boot();
    }, wait);
  }

  private release(): void {
    clearTimeout(this.idle);
    clearTimeout(this.restarting);
    this.idle = undefined;
    this.restarting = undefined;
    const { source } = this;
    this.source = undefined;
    source?.release();
  }
}
