/**
 * Reaps the programs that `posix.ts` started, and nobody else's: node:child_process has children in this process too, and
 * would wait for ever for one that was taken from it.
 */
import { constants } from 'node:os';
import { P_ALL, type PosixCalls, WEXITED, WNOHANG, WNOWAIT } from './posix-calls.ts';
import type { Exit } from './spawn.ts';

/** siginfo_t as 32-bit words. */
const INFO_WORDS = 32;

export class Reaper {
  private readonly waiting = new Map<number, (exit: Exit) => void>();
  private readonly info = new Int32Array(INFO_WORDS);
  private readonly status = new Int32Array(1);
  private readonly names = signalNames();
  /** Which word of siginfo_t is si_pid: it lies behind a union that is aligned to pointers. */
  private readonly pidWord: number;

  constructor(private readonly calls: PosixCalls) {
    this.pidWord = calls.pointerSize === 8 ? 4 : 3;
    process.on('SIGCHLD', this.drain);
  }

  /** Calls `reaped` in the moment in which the child is reaped; it may have ended already. */
  watch(pid: number, reaped: (exit: Exit) => void): void {
    this.waiting.set(pid, reaped);
    // Its SIGCHLD may have come before it was known here.
    process.nextTick(() => this.take(pid));
  }

  close(): void {
    process.off('SIGCHLD', this.drain);
  }

  /** One signal may stand for many ends: look until there are no more, without taking anything (WNOWAIT). */
  private readonly drain = (): void => {
    while (this.waiting.size > 0) {
      this.info[this.pidWord] = 0;
      if (this.calls.waitid(P_ALL, 0, this.info, WNOHANG | WEXITED | WNOWAIT) !== 0) return;
      const pid = this.info[this.pidWord] ?? 0;
      if (pid === 0) return;
      if (!this.waiting.has(pid)) {
        // Somebody else's is first in line and stays there until its owner takes it: ask for each of ours.
        for (const ours of [...this.waiting.keys()]) this.take(ours);
        return;
      }
      this.take(pid);
    }
  };

  private take(pid: number): void {
    const reaped = this.waiting.get(pid);
    if (reaped === undefined) return;
    const answer = this.calls.waitpid(pid, this.status, WNOHANG);
    if (answer === 0) return;
    this.waiting.delete(pid);
    // -1 would mean that another part of this process took it; then nobody can know how it ended.
    reaped(answer === pid ? this.decode(this.status[0] ?? 0) : { code: undefined, signal: 'unknown' });
  }

  /** The status word of wait(2). */
  private decode(status: number): Exit {
    const signal = status & 0x7f;
    if (signal === 0) return { code: (status >> 8) & 0xff, signal: undefined };
    return { code: undefined, signal: this.names.get(signal) ?? `SIG${signal}` };
  }
}

/** The first name of each number, as Node has it: SIGABRT and not SIGIOT. */
function signalNames(): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const [name, number] of Object.entries(constants.signals)) if (!names.has(number)) names.set(number, name);
  return names;
}
