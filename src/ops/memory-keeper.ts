/** Keeps the gateway's memory small: once after the start, and again and again where the machine or its control group has little. */
import { readFileSync } from 'node:fs';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { collect, collectAll, forgetStart } from './collect.ts';
import { CompilerPause, majorFaults } from './compiler-pause.ts';
import type { Log } from './log.ts';
import { allocatorTrimmer, dropExecutable } from './memory.ts';

/** At or under this limit (bytes) the keeper goes on after the start. */
export const SMALL_MEMORY = 64 << 20;

/** Under this limit (bytes) there is never room for the optimising compiler: 4 MiB of code, and as much for its work. */
export const TINY_MEMORY = 30 << 20;

/** Milliseconds after the start, when what only the start needed is given back. */
const AFTER_START = 250;
/** Milliseconds between two looks. */
const EVERY = 500;
/** Bytes by which the heap may grow until it is collected. V8's own step is 16 MiB. */
const GROWTH = 2 << 20;
/** Microseconds of processor time between two looks, over which the gateway counts as busy. */
const BUSY = 50_000;

export class MemoryKeeper {
  /** True where memory is small. */
  readonly small: boolean;
  private readonly tiny: boolean;
  private timer: NodeJS.Timeout | undefined;
  private readonly pause = new CompilerPause();
  private trim: (() => boolean) | undefined;
  private heap = 0;
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
    // The listeners are still to come, and with them the other add-on.
    if (this.small) this.giveBack();
  }

  /** To be called when the gateway is ready. */
  start(): void {
    if (this.small)
      this.log.info(`memory is small: collecting early${this.tiny ? ', no optimising compiler' : ''}`, {
        bytes: this.limit,
      });
    this.timer = setTimeout(() => this.afterStart(), AFTER_START).unref();
  }

  stop(): void {
    clearTimeout(this.timer);
    if (this.pause.paused) setFlagsFromString('--opt');
  }

  private afterStart(): void {
    this.giveBack();
    if (this.small) this.timer = setInterval(() => this.look(), EVERY).unref();
  }

  private giveBack(): void {
    forgetStart();
    if (this.addon !== undefined) {
      try {
        this.trim ??= allocatorTrimmer(this.addon);
        this.trim();
        const bytes = this.own ? dropExecutable(this.addon) : 0;
        this.log.debug('gave back what only the start needed', { bytes });
      } catch (error) {
        this.log.debug(`could not give back memory: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    this.remember();
  }

  private look(): void {
    const { user, system } = process.cpuUsage();
    const busy = user + system - this.processor > BUSY;
    this.processor = user + system;
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
