/** Keeps the gateway's memory small: once after the start, and again and again where the machine or its control group has little. */
import { readFileSync } from 'node:fs';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import type { Log } from '../log.ts';
import { residentBytes } from '../system/resident.ts';
import { collect, collectAll, forgetStart } from './collect.ts';
import { CompilerPause, majorFaults } from './compiler-pause.ts';
import { allocatorTrimmer, dropExecutable } from './memory.ts';

/** At or under this limit (bytes) the keeper goes on after the start. */
export const SMALL_MEMORY = 64 << 20;

/** Under this limit (bytes) there is never room for the optimising compiler: 4 MiB of code, and as much for its work. */
export const TINY_MEMORY = 30 << 20;

/** Milliseconds after the start, when what only the start needed is given back. */
const AFTER_START = 250;
/** Milliseconds between two looks where memory is small, and between two where it is not. */
const EVERY = 500;
const SELDOM = 30_000;
/** Bytes by which the heap may grow until it is collected. V8's own step is 16 MiB. */
const GROWTH = 2 << 20;
/** Bytes by which resident memory may grow until the allocator's free pages are given back: that stops everything for some milliseconds. */
const GROWTH_RESIDENT = 4 << 20;
/** Microseconds of processor time between two looks, over which the gateway counts as busy. */
const BUSY = 50_000;

export class MemoryKeeper {
  /** True where memory is small. */
  readonly small: boolean;
  private readonly tiny: boolean;
  private timer: NodeJS.Timeout | undefined;
  private readonly pause = new CompilerPause();
  private readonly trim: (() => boolean) | undefined;
  private heap = 0;
  /** Resident memory after free pages were given back, or less if there was less since. */
  private resident = 0;
  private processor = 0;
  private wasBusy = false;

  /**
   * @param limit bytes; undefined for no known one.
   * @param addon the FFI add-on; without it only V8's own memory is kept small.
   * @param own whether the executable is ours alone: the pages of a Node that others run too are no loss.
   */
  constructor(
    private readonly limit: number | undefined,
    private readonly addon: unknown,
    private readonly own: boolean,
    private readonly log: Log,
  ) {
    this.small = limit !== undefined && limit <= SMALL_MEMORY;
    this.tiny = limit !== undefined && limit < TINY_MEMORY;
    if (this.tiny) setFlagsFromString('--no-opt');
    // Before there are threads, each of which would get an arena.
    this.trim = trimmer(addon, log);
    // The listeners are still to come, and with them the other add-on.
    if (this.small) this.giveBack();
  }

  /** To be called when the gateway is ready. */
  start(): void {
    if (this.small)
      this.log.info(
        `little memory: garbage is collected early${this.tiny ? ', and the optimising compiler is off' : ''}`,
        {
          bytes: this.limit,
        },
      );
    this.timer = setTimeout(() => this.afterStart(), AFTER_START).unref();
  }

  stop(): void {
    clearTimeout(this.timer);
    if (this.pause.paused) setFlagsFromString('--opt');
  }

  private afterStart(): void {
    this.giveBack();
    this.resident = residentBytes();
    const look = this.small ? () => this.look() : () => this.lookSeldom();
    this.timer = setInterval(look, this.small ? EVERY : SELDOM).unref();
  }

  private giveBack(): void {
    forgetStart();
    this.trim?.();
    if (this.addon !== undefined) {
      try {
        const bytes = this.own ? dropExecutable(this.addon) : 0;
        this.log.debug('memory that only the start needed was released', { bytes });
      } catch (error) {
        this.log.debug(`could not give back memory: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    this.remember();
  }

  /** What the allocator has free between what is in use grows under any mixed load, and nothing else gives it back. */
  private lookSeldom(): void {
    if (!this.isBusy()) return;
    const now = residentBytes();
    if (now - this.resident > GROWTH_RESIDENT) {
      this.trim?.();
      this.resident = residentBytes();
    } else this.resident = Math.min(this.resident, now);
  }

  /** Since the last look. */
  private isBusy(): boolean {
    const { user, system } = process.cpuUsage();
    const busy = user + system - this.processor > BUSY;
    this.processor = user + system;
    return busy;
  }

  private look(): void {
    const busy = this.isBusy();
    if (busy && getHeapStatistics().used_heap_size - this.heap > GROWTH) {
      collect();
      this.remember();
    } else if (this.wasBusy && !busy) {
      collectAll();
      this.remember();
    }
    if (busy || this.wasBusy) this.trim?.();
    this.wasBusy = busy;
    if (!this.tiny) this.watchCompiler();
  }

  private remember(): void {
    this.heap = getHeapStatistics().used_heap_size;
  }

  private watchCompiler(): void {
    if (!this.pause.look(majorFaults(readFileSync('/proc/self/stat', 'latin1')), EVERY / 1000)) return;
    setFlagsFromString(this.pause.paused ? '--no-opt' : '--opt');
    this.log.debug(
      this.pause.paused ? 'memory is tight: the optimising compiler pauses' : 'the optimising compiler goes on',
    );
  }
}

function trimmer(addon: unknown, log: Log): (() => boolean) | undefined {
  if (addon === undefined) return undefined;
  try {
    return allocatorTrimmer(addon);
  } catch (error) {
    log.debug(`the allocator is left as it is: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}
