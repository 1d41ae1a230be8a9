/**
 * Reaps the programs that `posix.ts` started, and what they left behind where that falls to us; never the children that
 * node:child_process has in this process too: it would wait for ever for one that was taken from it.
 */
import { constants } from 'node:os';
import type { Exit } from '../spawn.ts';
import { P_ALL, type PosixCalls, WEXITED, WNOHANG, WNOWAIT } from './calls.ts';

/** siginfo_t as 32-bit words. */
const INFO_WORDS = 32;

/** A child that has ended and that nobody here knows: it is of node:child_process, or is just being started, or nobody's. */
interface UnclaimedChild {
  readonly pid: number;
  /** The number of the last start before it was seen. */
  readonly start: number;
  /** Since it was seen the event loop has turned, so node:child_process has taken it if it is one of its own. */
  turned: boolean;
}

export class Reaper {
  private readonly waiting = new Map<number, (exit: Exit) => void>();
  /** Programs that are being started, by number, the oldest first: until they are known here, an unclaimed child may be one of them. */
  private readonly starting = new Set<number>();
  private starts = 0;
  /** The first in line, while it is one. */
  private unclaimed: UnclaimedChild | undefined;
  private closed = false;
  /** Children may appear that somebody is about to `adopt`. */
  private held = false;
  private readonly info = new Int32Array(INFO_WORDS);
  private readonly status = new Int32Array(1);
  /** Which word of siginfo_t is si_pid: it lies behind a union that is aligned to pointers. */
  private readonly pidWord: number;

  constructor(private readonly calls: PosixCalls) {
    this.pidWord = calls.pointerSize === 8 ? 4 : 3;
    process.on('SIGCHLD', this.reapAll);
  }

  /** A program is about to be started. Answers with what `started` wants. */
  begin(): number {
    this.starts++;
    this.starting.add(this.starts);
    return this.starts;
  }

  /** It is known to `watch` now, or was not started. */
  started(start: number): void {
    this.starting.delete(start);
    if (this.unclaimed?.turned) process.nextTick(this.reapAll);
  }

  /** Calls `reaped` in the moment in which the child is reaped; it may have ended already. */
  watch(pid: number, reaped: (exit: Exit) => void): void {
    this.waiting.set(pid, reaped);
    // Its SIGCHLD may have come before it was known here.
    if (this.unclaimed !== undefined) process.nextTick(() => this.take(pid));
  }

  /** As `watch`, for a child that another process had started; it has ended perhaps, and perhaps that one has reaped it already. */
  adopt(pid: number, reaped: (exit: Exit) => void): void {
    this.waiting.set(pid, reaped);
    process.nextTick(() => this.take(pid));
  }

  /** Until `release` a child that nobody knows is not reaped. */
  hold(): void {
    this.held = true;
  }

  release(): void {
    this.held = false;
    if (this.unclaimed !== undefined) process.nextTick(this.reapAll);
  }

  close(): void {
    this.closed = true;
    process.off('SIGCHLD', this.reapAll);
  }

  /** One signal may stand for many ends: look until there are no more, without taking anything (WNOWAIT). */
  private readonly reapAll = (): void => {
    for (let pid = this.next(); pid !== 0; pid = this.next()) {
      if (this.waiting.has(pid)) this.take(pid);
      else if (this.isNobodys(pid)) this.calls.waitpid(pid, this.status, WNOHANG);
      else {
        // It stays first in line until it is taken: ask for each of ours.
        for (const ours of [...this.waiting.keys()]) this.take(ours);
        return;
      }
    }
    this.unclaimed = undefined;
  };

  /** The first in line of the children that have ended, 0 when there is none. */
  private next(): number {
    this.info[this.pidWord] = 0;
    const failed = this.calls.waitid(P_ALL, 0, this.info, WNOHANG | WEXITED | WNOWAIT) !== 0;
    return failed ? 0 : (this.info[this.pidWord] ?? 0);
  }

  /**
   * Where the gateway is the first process of a container, what programs leave behind becomes its child, and so does what a script had
   * started that then became the gateway; nobody else will reap them. Neither sessions nor groups tell them from children of
   * node:child_process. Time does: the signal that told us has told Node too, and in the same turn of the loop it takes its own.
   */
  private isNobodys(pid: number): boolean {
    const { unclaimed } = this;
    if (unclaimed?.pid === pid) {
      if (this.held) return false;
      const [oldest] = this.starting;
      return unclaimed.turned && (oldest === undefined || oldest > unclaimed.start);
    }
    const seen: UnclaimedChild = { pid, start: this.starts, turned: false };
    this.unclaimed = seen;
    // The first one comes in this turn, with signals perhaps still unread; between it and the second one they are read.
    setImmediate(() =>
      setImmediate(() => {
        seen.turned = true;
        if (!this.closed) this.reapAll();
      }),
    );
    return false;
  }

  private take(pid: number): void {
    const reaped = this.waiting.get(pid);
    if (reaped === undefined) return;
    const answer = this.calls.waitpid(pid, this.status, WNOHANG);
    if (answer === 0) return;
    this.waiting.delete(pid);
    // -1 would mean that another part of this process took it; then nobody can know how it ended.
    reaped(answer === pid ? exitOf(this.status[0] ?? 0) : { code: undefined, signal: 'unknown' });
  }
}

const NAMES = signalNames();

/** What the status word of wait(2) says. */
export function exitOf(status: number): Exit {
  const signal = status & 0x7f;
  if (signal === 0) return { code: (status >> 8) & 0xff, signal: undefined };
  return { code: undefined, signal: NAMES.get(signal) ?? `SIG${signal}` };
}

/** The first name of each number, as Node has it: SIGABRT and not SIGIOT. */
function signalNames(): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const [name, number] of Object.entries(constants.signals)) if (!names.has(number)) names.set(number, name);
  return names;
}
