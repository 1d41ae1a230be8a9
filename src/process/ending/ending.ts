/**
 * Ending a program: one table of steps, walked against the whole process group until nobody is left in it. The leader's
 * exit does not end the walk: what it left behind and what ignored every word is killed at the last step.
 */

import type { Child, Exit } from '../spawn.ts';
import { onlyZombies } from './process-table.ts';

/** Milliseconds. The configuration's interrupt_after, terminate_after and kill_after. */
export interface EndingTimes {
  /** From the closing of stdin to INT. */
  readonly interruptAfter: number;
  /** From INT to TERM. */
  readonly terminateAfter: number;
  /** From TERM to KILL. */
  readonly killAfter: number;
}

export type EndingStep = 'stdin' | 'interrupt' | 'terminate' | 'kill';

export interface Ended {
  /** How the leader ended. Undefined when not even KILL brought it to an end in time: it hangs in the kernel. */
  readonly exit: Exit | undefined;
  /** The last step that was taken. */
  readonly step: EndingStep;
  /** False when somebody is left who could not be killed: hanging in the kernel, or another user's. */
  readonly complete: boolean;
}

interface Step {
  readonly name: EndingStep;
  readonly signal: NodeJS.Signals | undefined;
  /** How long this step is given, milliseconds. */
  readonly time: (times: EndingTimes) => number;
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

export class Ending {
  /** Never rejects. Takes at most the three times and 2 seconds. */
  readonly done: Promise<Ended>;
  /** When each step is over, on the clock of `performance.now()`. */
  private deadlines: readonly number[];
  private exit: Exit | undefined;
  private wake: () => void = () => undefined;

  /** Begins at once. What the program still writes is the caller's to read or to leave: unread, it blocks at 64 KiB. */
  constructor(
    private readonly child: Child,
    times: EndingTimes,
  ) {
    this.deadlines = schedule(times);
    void child.exited.then((exit) => {
      this.exit = exit;
      this.wake();
    });
    this.done = this.walk();
  }

  /** Brings every step forward to these times from now where that is sooner. */
  hasten(times: EndingTimes): void {
    const sooner = schedule(times);
    this.deadlines = this.deadlines.map((deadline, index) => Math.min(deadline, sooner[index] ?? deadline));
    this.wake();
  }

  private async walk(): Promise<Ended> {
    // What was written before still reaches the program; then it reads the end.
    this.child.stdin?.end();
    let last: EndingStep = 'stdin';
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
export function within(times: EndingTimes, milliseconds: number): EndingTimes {
  const sum = times.interruptAfter + times.terminateAfter + times.killAfter;
  if (sum <= milliseconds) return times;
  const share = Math.max(0, milliseconds) / sum;
  return {
    interruptAfter: times.interruptAfter * share,
    terminateAfter: times.terminateAfter * share,
    killAfter: times.killAfter * share,
  };
}

function schedule(times: EndingTimes): readonly number[] {
  let at = performance.now();
  return STEPS.map((step) => {
    at += step.time(times);
    return at;
  });
}
