/**
 * The termination of a program: one table of steps, walked against the whole process group until nobody is left in it. The leader's
 * exit does not end the walk: what it left behind and what ignored every word is killed at the last step.
 */

import { promises } from 'node:fs';
import { statFields } from '../../ops/system/proc.ts';
import type { Child, Exit } from '../spawn.ts';

/** Milliseconds. The configuration's interrupt_after, terminate_after and kill_after. */
export interface TerminationTimes {
  /** From the closing of stdin to INT. */
  readonly interruptAfter: number;
  /** From INT to TERM. */
  readonly terminateAfter: number;
  /** From TERM to KILL. */
  readonly killAfter: number;
}

export type TerminationStep = 'stdin' | 'interrupt' | 'terminate' | 'kill';

export interface TerminationResult {
  /** How the leader ended. Undefined when not even KILL brought it to an end in time: it hangs in the kernel. */
  readonly exit: Exit | undefined;
  /** The last step that was taken. */
  readonly step: TerminationStep;
  /** False when somebody is left who could not be killed: hanging in the kernel, or another user's. */
  readonly complete: boolean;
}

interface Step {
  readonly name: TerminationStep;
  readonly signal: NodeJS.Signals | undefined;
  /** How long this step is given, milliseconds. */
  readonly time: (times: TerminationTimes) => number;
}

/** The kernel may need a moment to take a killed process apart: it writes its memory map back, closes its files. */
const AFTER_KILL = 2000;

const STEPS: readonly Step[] = [
  { name: 'stdin', signal: undefined, time: (times) => times.interruptAfter },
  { name: 'interrupt', signal: 'SIGINT', time: (times) => times.terminateAfter },
  { name: 'terminate', signal: 'SIGTERM', time: (times) => times.killAfter },
  { name: 'kill', signal: 'SIGKILL', time: () => AFTER_KILL },
];

/**
 * Nobody tells when the last of a group is gone whose leader has been reaped: ask, soon at first, then less often, and when
 * that has taken this long, look more closely, and begin anew. Milliseconds.
 */
const FIRST_LOOK = 5;
const NEXT_SCAN = 100;

export class Termination {
  /** Never rejects. Takes at most the three times and 2 seconds. */
  readonly done: Promise<TerminationResult>;
  /** When each step is over, on the clock of `performance.now()`. */
  private deadlines: readonly number[];
  private exit: Exit | undefined;
  private wake: () => void = () => undefined;

  /** Begins at once. What the program still writes is the caller's to read or to leave: unread, it blocks at 64 KiB. */
  constructor(
    private readonly child: Child,
    times: TerminationTimes,
  ) {
    this.deadlines = schedule(times);
    void child.exited.then((exit) => {
      this.exit = exit;
      this.wake();
    });
    this.done = this.walk();
  }

  /** Brings every step forward to these times from now where that is sooner. */
  hasten(times: TerminationTimes): void {
    const sooner = schedule(times);
    this.deadlines = this.deadlines.map((deadline, index) => Math.min(deadline, sooner[index] ?? deadline));
    this.wake();
  }

  private async walk(): Promise<TerminationResult> {
    // What was written before still reaches the program; then it reads the end.
    this.child.stdin?.end();
    let last: TerminationStep = 'stdin';
    let complete = false;
    for (const [index, step] of STEPS.entries()) {
      if (step.signal !== undefined && this.child.signalGroup(step.signal)) last = step.name;
      complete = await this.emptyBefore(index);
      if (complete) break;
    }
    this.child.stdin?.destroy();
    return { exit: this.exit, step: last, complete };
  }

  /** Waits for the end of the group, but not beyond the step's deadline. */
  private async emptyBefore(index: number): Promise<boolean> {
    let look = FIRST_LOOK;
    for (;;) {
      const left = (this.deadlines[index] ?? 0) - performance.now();
      if (this.exit === undefined) {
        if (left <= 0) return false;
        await this.pause(left);
        continue;
      }
      if (!this.child.signalGroup(0)) return true;
      // Where orphans are reaped late or never (a container whose first process does not care), a dead group stays visible.
      if (look >= NEXT_SCAN || left <= 0) {
        if (await onlyZombies(this.child.pid)) return true;
        look = FIRST_LOOK;
      }
      if (left <= 0) return false;
      await this.pause(Math.min(look, left));
      look *= 2;
    }
  }

  /** Until the time is over, the leader has exited or `hasten` was called. */
  private pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake(), milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = () => undefined;
        resolve();
      };
    });
  }
}

/** The times, shortened in proportion where they are longer than `milliseconds` together. */
export function within(times: TerminationTimes, milliseconds: number): TerminationTimes {
  const sum = times.interruptAfter + times.terminateAfter + times.killAfter;
  if (sum <= milliseconds) return times;
  const share = Math.max(0, milliseconds) / sum;
  return {
    interruptAfter: times.interruptAfter * share,
    terminateAfter: times.terminateAfter * share,
    killAfter: times.killAfter * share,
  };
}

function schedule(times: TerminationTimes): readonly number[] {
  let at = performance.now();
  return STEPS.map((step) => {
    at += step.time(times);
    return at;
  });
}

/** What proc_pid_stat(5) says of a process. */
export interface ProcessStat {
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
}

/** Reads the text of /proc/PID/stat. */
export function parseStat(text: string): ProcessStat | undefined {
  const [state, parent, group, session] = statFields(text);
  if (state === undefined || session === undefined) return undefined;
  return { state, parent: Number(parent), group: Number(group), session: Number(session) };
}

/** Whether everybody who is left in this group is dead and only waits to be reaped by whoever inherited it. */
export async function onlyZombies(group: number): Promise<boolean> {
  let names: string[];
  try {
    names = await promises.readdir('/proc');
  } catch {
    // Without /proc nobody can tell; somebody may be alive.
    return false;
  }
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    // It may be gone by now, and then it does not count.
    const text = await promises.readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
    const stat = parseStat(text);
    if (stat?.group === group && stat.state !== 'Z' && stat.state !== 'X') return false;
  }
  return true;
}
