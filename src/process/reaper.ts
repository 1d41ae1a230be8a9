/**
 * Reaps the programs that `posix.ts` started, and what they left behind where that falls to us; never the children that
 * node:child_process has in this process too: it would wait for ever for one that was taken from it.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { P_ALL, type PosixCalls, WEXITED, WNOHANG, WNOWAIT } from './posix-calls.ts';
import { type ProcessStat, parseStat } from './process-table.ts';
import type { Exit } from './spawn.ts';

/** siginfo_t as 32-bit words. */
const INFO_WORDS = 32;

export class Reaper {
  private readonly waiting = new Map<number, (exit: Exit) => void>();
  /** Programs that are being started: until they are known here, a child that is not may be one of them. */
  private starting = 0;
  private sawUnknown = false;
  private readonly info = new Int32Array(INFO_WORDS);
  private readonly status = new Int32Array(1);
  private readonly names = signalNames();
  /** Which word of siginfo_t is si_pid: it lies behind a union that is aligned to pointers. */
  private readonly pidWord: number;

  constructor(private readonly calls: PosixCalls) {
    this.pidWord = calls.pointerSize === 8 ? 4 : 3;
    process.on('SIGCHLD', this.drain);
  }

  /** A program is about to be started. */
  starts(): void {
    this.starting++;
  }

  /** It is known to `watch` now, or was not started. */
  started(): void {
    this.starting--;
    if (this.starting > 0 || !this.sawUnknown) return;
    this.sawUnknown = false;
    process.nextTick(this.drain);
  }

  /** Calls `reaped` in the moment in which the child is reaped; it may have ended already. */
  watch(pid: number, reaped: (exit: Exit) => void): void {
    this.waiting.set(pid, reaped);
    // Its SIGCHLD may have come before it was known here.
    if (this.sawUnknown) process.nextTick(() => this.take(pid));
  }

  close(): void {
    process.off('SIGCHLD', this.drain);
  }

  /** One signal may stand for many ends: look until there are no more, without taking anything (WNOWAIT). */
  private readonly drain = (): void => {
    for (;;) {
      this.info[this.pidWord] = 0;
      if (this.calls.waitid(P_ALL, 0, this.info, WNOHANG | WEXITED | WNOWAIT) !== 0) return;
      const pid = this.info[this.pidWord] ?? 0;
      if (pid === 0) return;
      if (this.waiting.has(pid)) this.take(pid);
      else if (this.starting === 0 && isOrphan(pid)) this.calls.waitpid(pid, this.status, WNOHANG);
      else {
        // Somebody else's is first in line and stays there until its owner takes it: ask for each of ours.
        this.sawUnknown = this.starting > 0;
        for (const ours of [...this.waiting.keys()]) this.take(ours);
        return;
      }
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

/**
 * Where the gateway is the first process of a container, what programs leave behind becomes its child, and nobody else will reap it.
 * It is told by its session: a child of node:child_process is in ours or leads its own.
 */
function isOrphan(pid: number): boolean {
  const stat = readStat(pid);
  return stat !== undefined && stat.session !== pid && stat.session !== readStat(process.pid)?.session;
}

function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    // Without /proc nothing is known of it, so it is left alone.
    return undefined;
  }
}

/** The first name of each number, as Node has it: SIGABRT and not SIGIOT. */
function signalNames(): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const [name, number] of Object.entries(constants.signals)) if (!names.has(number)) names.set(number, name);
  return names;
}
