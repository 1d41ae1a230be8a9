/**
 * The gateway's programs: the one place where they are started, counted, watched over and ended, CGI and streams alike.
 */
import type { Log } from '../ops/log.ts';
import type { Tallies } from '../ops/tallies.ts';
import { Deferred } from '../ownership/deferred.ts';
import { type Wrapper, wrap } from './confinement/confine.ts';
import { explainStart } from './find-program.ts';
import { type Child, type Exit, SpawnError, type Spawner, type SpawnOptions } from './spawn.ts';
import { Termination, type TerminationResult, type TerminationTimes, within } from './termination/termination.ts';
import { Watchdog, type WatchdogEntry } from './termination/watchdog.ts';

export interface StartOptions extends SpawnOptions {
  /** Whose program it is, for counts and logs: the route. */
  readonly owner: string;
  /** How it is ended when it has to be. */
  readonly termination: TerminationTimes;
  /** From `planConfinement`: what makes it another user's, and limits it. */
  readonly wrapper?: Wrapper | undefined;
}

export interface Program extends Child {
  readonly owner: string;
  /**
   * Settles when nothing more is to be done about it: its leader has been reaped and its stdout is closed (so read stdout to
   * its end, or destroy it), or it was ended. Background processes that it left, without its stdout, are left alone.
   */
  readonly over: Promise<void>;
  /** Who reads its stderr line by line, set by that reader: for its last words. */
  stderrLines?: { readonly lastLines: readonly string[] } | undefined;
}

/** A program that runs, for the operator. */
export interface RunningProgram {
  readonly owner: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly ending: boolean;
  /** Its last words on stderr. */
  readonly words: readonly string[];
}

/** The last program of an owner that failed. */
export interface FailedProgram {
  readonly owner: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly exit: Exit;
  readonly words: readonly string[];
}

/** How a program came to its end: status 0, another status, a signal, ended by us, or ended by us but long after KILL was sent. */
export type EndReason = 'ok' | 'failed' | 'signal' | 'ended' | 'abandoned';

/** Who counts and logs. Called synchronously; must not throw. */
export interface ProgramEvents {
  /** @param milliseconds since it was wanted */
  started(owner: string, milliseconds: number): void;
  /** Once for every `started`, but never for a program that hangs in the kernel for ever. */
  ended(owner: string, reason: EndReason, exit: Exit): void;
  /** `code` is "max" at the bound of all programs, "stopping", or the system's name of the error. */
  refused(owner: string, code: string): void;
  /** Programs are without their watchdog: a sentence for the log. */
  watchdogLost(reason: string): void;
}

/** No program may be started now: there are as many as there may be, or the gateway is stopping. */
export class TooManyPrograms extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TooManyPrograms';
  }
}

/** How often a group that its leader has left is looked at, milliseconds: far sooner than process numbers come round. */
const GROUP_LOOK = 1000;

/** What it said last may be read only after its end. */
interface Failure extends Omit<FailedProgram, 'words'> {
  readonly lines: Program['stderrLines'];
}

/** Owners whose last failure is kept. */
const MAX_FAILURES = 256;

interface ProgramRecord {
  /** When it was started: milliseconds of `performance.now()`. */
  readonly since: number;
  readonly program: Program;
  readonly times: TerminationTimes;
  readonly over: Deferred;
  termination: Termination | undefined;
  /** Set when its leader has been reaped. */
  exit: Exit | undefined;
  /** That came before anybody wanted it ended. */
  exitedByItself: boolean;
  /** What the watchdog knows of it. */
  readonly watched: WatchdogEntry;
  groupTimer: NodeJS.Timeout | undefined;
}

export class Programs {
  private readonly records = new Map<Child, ProgramRecord>();
  private readonly starting = new Set<Promise<unknown>>();
  private readonly watchdog: Watchdog;
  private closing: Promise<void> | undefined;
  /** By owner. */
  private readonly failures = new Map<string, Failure>();

  /**
   * @param spawner Is closed by `closeAll`.
   * @param max How many programs there may be at one time, all routes together.
   */
  constructor(
    private readonly spawner: Spawner,
    private max: number,
    private readonly events: ProgramEvents,
  ) {
    this.watchdog = new Watchdog(spawner, (reason) => events.watchdogLost(reason));
  }

  /** Whether a program's stdout can be a pseudo-terminal. */
  get terminals(): boolean {
    return this.spawner.terminals;
  }

  /** Programs that run or are being started. */
  get size(): number {
    return this.records.size + this.starting.size;
  }

  /** Those that run, in the order of their starts. */
  list(): readonly RunningProgram[] {
    return [...this.records.values()].map(({ program: { owner, pid, stderrLines }, since, termination }) => ({
      ...{ owner, pid, since: Math.round(performance.timeOrigin + since), ending: termination !== undefined },
      words: stderrLines?.lastLines ?? [],
    }));
  }

  /** For each owner the last of its programs that ended with another status than 0 or by a signal, and not because we ended it. */
  lastFailures(): readonly FailedProgram[] {
    return [...this.failures.values()].map(({ lines, ...failed }) => ({ ...failed, words: lines?.lastLines ?? [] }));
  }

  /** Ends the program with this number; whose it is does then what it does when a program ends. Undefined where there is none, else its owner. */
  endByNumber(pid: number): string | undefined {
    const record = [...this.records.values()].find(({ program }) => program.pid === pid);
    if (record !== undefined) void this.end(record.program);
    return record?.program.owner;
  }

  /** Another bound from now on. Programs above it go on. */
  allow(max: number): void {
    this.max = max;
  }

  /** The process id of what ends the programs of a gateway that was killed, the starter or a shell; it is not one of the programs. */
  get watchdogPid(): number | undefined {
    return this.spawner.guardPid ?? this.watchdog.pid;
  }

  /** Rejects with `TooManyPrograms`, or with `SpawnError` when it cannot be started; nothing runs then. */
  async start(options: StartOptions): Promise<Program> {
    if (this.closing !== undefined) throw this.refuse(options.owner, 'stopping', 'the gateway is stopping');
    if (this.size >= this.max) throw this.refuse(options.owner, 'max', `${this.max} programs are running already`);
    const starting = this.spawn(options);
    this.starting.add(starting);
    try {
      return await starting;
    } catch (error) {
      this.events.refused(options.owner, error instanceof SpawnError ? error.code : 'error');
      throw error;
    } finally {
      this.starting.delete(starting);
    }
  }

  /**
   * Ends the whole process group, step by step. Never rejects; settles when nobody is left, at the latest 2 seconds after KILL was due.
   * When it is being ended already, the sooner times hold. A program that is over already: nothing happens.
   */
  async end(program: Program, times?: TerminationTimes): Promise<TerminationResult> {
    const record = this.records.get(program);
    if (record === undefined) return { exit: await program.exited, step: 'stdin', complete: true };
    if (record.termination !== undefined) {
      record.termination.hasten(times ?? record.times);
      return await record.termination.done;
    }
    record.termination = new Termination(program, times ?? record.times);
    const ended = await record.termination.done;
    program.stdout.destroy();
    program.stderr?.destroy();
    if (ended.exit !== undefined) this.over(record, ended.exit, record.exitedByItself ? reasonOf(ended.exit) : 'ended');
    else void program.exited.then((exit) => this.over(record, exit, 'abandoned'));
    return ended;
  }

  /**
   * Stopping: nothing is started any more, everything is ended within `milliseconds` (KILL included, and 2 seconds more for the
   * kernel), the watchdog and the spawner are closed.
   */
  closeAll(milliseconds: number): Promise<void> {
    this.closing ??= this.close(performance.now() + milliseconds);
    return this.closing;
  }

  private async close(deadline: number): Promise<void> {
    // `start` is refused from now on, but what is on its way will still appear.
    await Promise.allSettled([...this.starting]);
    const left = deadline - performance.now();
    await Promise.all([...this.records.values()].map((record) => this.end(record.program, within(record.times, left))));
    await this.watchdog.close();
    await this.spawner.close();
  }

  private refuse(owner: string, code: string, message: string): TooManyPrograms {
    this.events.refused(owner, code);
    return new TooManyPrograms(message);
  }

  private async spawn(options: StartOptions): Promise<Program> {
    const wanted = performance.now();
    const preparing = this.spawner.prepare?.();
    if (preparing !== undefined) await preparing;
    const watching = this.spawner.guardsPrograms ? undefined : this.watchdog.ready();
    if (watching !== undefined) await watching;
    const watched = this.watchdog.entry();
    const child = await this.begin(options, watched);
    const over = new Deferred();
    // Written out: to spread an object into another one costs more than all else here.
    const { pid, stdin, stdout, stderr, exited, signalGroup, leaveGroup } = child;
    const program: Program = {
      pid,
      stdin,
      stdout,
      stderr,
      exited,
      signalGroup,
      leaveGroup,
      owner: options.owner,
      over: over.promise,
    };
    const record: ProgramRecord = {
      since: performance.now(),
      program,
      times: options.termination,
      over,
      termination: undefined,
      exit: undefined,
      exitedByItself: false,
      watched,
      groupTimer: undefined,
    };
    this.records.set(program, record);
    watched.runs(pid);
    this.events.started(options.owner, performance.now() - wanted);
    void exited.then((exit) => {
      record.exit = exit;
      record.exitedByItself = record.termination === undefined;
      this.lookAtGroup(record);
      this.overByItself(record);
    });
    stdout.once('close', () => this.overByItself(record));
    return program;
  }

  private async begin(options: StartOptions, watched: WatchdogEntry): Promise<Child> {
    const { file, argv, wrapper } = options;
    const wrapped = wrapper?.length ? { ...options, ...wrap(wrapper, file, argv) } : options;
    try {
      return await this.spawner.spawn(wrapped, watched.starts);
    } catch (error) {
      watched.leave();
      throw error instanceof SpawnError ? explainStart(error, wrapped.file, options.directory) : error;
    }
  }

  /**
   * The leader is gone. Once nobody is left in its group the number may be anybody's, also while the program is not over because
   * something that has left the group still has its stdout.
   */
  private lookAtGroup(record: ProgramRecord): void {
    if (!record.program.signalGroup(0)) record.watched.leave();
    else record.groupTimer = setTimeout(() => this.lookAtGroup(record), GROUP_LOOK).unref();
  }

  private overByItself(record: ProgramRecord): void {
    const { exit, termination, program } = record;
    if (termination === undefined && exit !== undefined && program.stdout.closed)
      this.over(record, exit, reasonOf(exit));
  }

  private over(record: ProgramRecord, exit: Exit, reason: EndReason): void {
    const { program } = record;
    if (!this.records.delete(program)) return;
    clearTimeout(record.groupTimer);
    record.watched.leave();
    program.leaveGroup?.();
    program.stdin?.destroy();
    if (reason === 'failed' || reason === 'signal') this.remember(program, exit);
    this.events.ended(program.owner, reason, exit);
    record.over.resolve();
  }

  private remember({ owner, pid, stderrLines }: Program, exit: Exit): void {
    // The oldest first, so that it is the one that goes.
    this.failures.delete(owner);
    this.failures.set(owner, { owner, pid, time: Date.now(), exit, lines: stderrLines });
    if (this.failures.size <= MAX_FAILURES) return;
    for (const oldest of this.failures.keys()) {
      this.failures.delete(oldest);
      return;
    }
  }
}

function reasonOf(exit: Exit): EndReason {
  if (exit.code === 0) return 'ok';
  return exit.signal === undefined ? 'failed' : 'signal';
}

/** Feeds the counts and the log from what happens to programs. */
export function programEvents(tallies: Tallies, log: Log): ProgramEvents {
  return {
    started(owner, milliseconds) {
      tallies.startTimes.series(owner).observe(milliseconds / 1000);
      tallies.processesStarted.add(1, owner);
      tallies.processes.add(1, owner);
    },
    ended(owner, reason, exit) {
      tallies.processes.add(-1, owner);
      tallies.processesEnded.add(1, owner, reason);
      if (reason === 'abandoned') log.error('a program hangs in the kernel and cannot be killed', { route: owner });
      else log.debug('program ended', { route: owner, reason, exit: exit?.signal ?? exit?.code });
    },
    refused: (owner, code) => tallies.processesRefused.add(1, owner, code),
    watchdogLost: (reason) => log.warn(reason),
  };
}
