/**
 * Starts programs by a small process of its own (`starter.c`): asked over a Unix socket that also carries their descriptors, it starts them, reaps
 * them, and ends them when the gateway is gone. When it is killed the gateway inherits its programs, and starts another one for the next.
 */
import { constants } from 'node:os';
import { Deferred } from '../../ownership/deferred.ts';
import { closePipes, errorName, type Pipes, programsEnd } from '../posix/pipes.ts';
import { type PosixParts, PosixSpawner } from '../posix/posix.ts';
import { exitOf } from '../posix/reaper.ts';
import { type Child, type Exit, SpawnError, type Spawner, type SpawnOptions } from '../spawn.ts';
import { ProcessGroup } from '../termination/group.ts';
import { ANSWER, SLOTS } from './protocol.ts';
import { inheritPrograms, StarterProcess } from './starter-process.ts';

/**
 * Starts that are on their way. Their packets have to fit into what a socket's queue holds, some 200 KB; most take 2 of them. What the system allows
 * one user in descriptors that are on their way is as much as he may have open.
 */
const MAX_UNDER_WAY = 64;
/** Milliseconds until a request that found the queue full is tried again, if no answer comes before. */
const TRY_AGAIN = 5;
/** A starter that has lived for less, in milliseconds, is not followed by another. */
const YOUNG = 1000;
/** One that is asked and says nothing for this long, milliseconds, is killed: it hangs with a program on a disk that does not answer. */
const SILENCE = 15_000;

/** A program, from the wish for it to the end of its group. */
class Start {
  slot = -1;
  pipes: Pipes | undefined;
  /** Undefined until it has been told that it runs. */
  group: ProcessGroup | undefined;
  pid = 0;
  /** The starter that had it is gone: it is a child of this process. */
  inherited = false;
  /** Nothing of it is left, or nothing is to be done about it. */
  gone = false;
  /** Its group has been told to end at once; the starter may have died before it passed that on. */
  killed = false;
  readonly exited = new Deferred<Exit>();

  constructor(
    readonly options: SpawnOptions,
    readonly resolve: (child: Child) => void,
    readonly reject: (error: unknown) => void,
  ) {}
}

export interface StarterSpawnerOptions {
  /** The program, as bytes. Throws with the reason where there is none. */
  readonly program: () => Buffer;
  /** Is told in a sentence when the starter was lost, and what follows. */
  readonly lost: (reason: string) => void;
  /** For tests: in the place of `YOUNG` and `SILENCE`. */
  readonly young?: number;
  readonly silence?: number;
}

export class StarterSpawner implements Spawner {
  readonly name = 'starter';
  private readonly posix: PosixSpawner;
  private starter: StarterProcess | undefined;
  private starting: Promise<void> | undefined;
  /** There will be no starter any more: posix_spawn does it. */
  private fallenBack = false;
  private closed = false;
  private readonly starts: (Start | undefined)[] = [];
  private readonly free: number[] = [];
  private readonly queue: Start[] = [];
  private underWay = 0;
  private again: NodeJS.Timeout | undefined;
  private hearing: NodeJS.Timeout | undefined;
  /** Something has been answered since the last look. */
  private heard = false;

  constructor(
    private readonly parts: PosixParts,
    private readonly options: StarterSpawnerOptions,
  ) {
    this.posix = new PosixSpawner(parts);
  }

  get guardsPrograms(): boolean {
    return !this.fallenBack;
  }

  get terminals(): boolean {
    return this.parts.pipes.terminals;
  }

  get guardPid(): number | undefined {
    return this.starter?.pid;
  }

  prepare(): Promise<void> | undefined {
    if (this.starter !== undefined || this.fallenBack || this.closed) return undefined;
    this.starting ??= this.startStarter().finally(() => {
      this.starting = undefined;
    });
    return this.starting;
  }

  async spawn(options: SpawnOptions, starts?: (pipe: number) => void): Promise<Child> {
    const preparing = this.prepare();
    if (preparing !== undefined) await preparing;
    if (this.fallenBack) return await this.posix.spawn(options, starts);
    if (this.closed) throw new SpawnError(options.file, 'ECANCELED');
    return await new Promise<Child>((resolve, reject) => {
      this.queue.push(new Start(options, resolve, reject));
      this.pump();
    });
  }

  memoryFile(): number {
    return this.posix.memoryFile();
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.starting;
    clearTimeout(this.again);
    clearTimeout(this.hearing);
    const { starter } = this;
    this.starter = undefined;
    // What programs have left behind is nobody's from here on.
    if (starter !== undefined) inheritPrograms(this.parts.calls, false);
    await starter?.close();
    await this.posix.close();
  }

  // ---- requests ----

  private pump(): void {
    while (this.underWay < MAX_UNDER_WAY && this.starter !== undefined) {
      const start = this.queue.shift();
      if (start === undefined) return;
      if (!this.begin(this.starter, start)) {
        this.queue.unshift(start);
        this.again ??= setTimeout(() => {
          this.again = undefined;
          this.pump();
        }, TRY_AGAIN);
        return;
      }
    }
  }

  /** False when it has to wait for room. */
  private begin(starter: StarterProcess, start: Start): boolean {
    const { options } = start;
    if (start.slot < 0) {
      const slot = this.free.pop() ?? this.starts.length;
      if (slot >= SLOTS) {
        start.reject(new SpawnError(options.file, 'EAGAIN'));
        return true;
      }
      start.slot = slot;
      this.starts[slot] = start;
    }
    try {
      start.pipes ??= this.parts.pipes.open(options);
    } catch (error) {
      this.drop(start);
      start.reject(error);
      return true;
    }
    const failed = starter.sendStart(start.slot, options, descriptorsOf(options, start.pipes));
    // Also when the starter is gone, which will be heard of soon: then it is asked again.
    const { EAGAIN, ENOBUFS, ETOOMANYREFS, EPIPE, ECONNRESET } = constants.errno as { readonly [name: string]: number };
    if (failed === EAGAIN || failed === ENOBUFS || failed === (ETOOMANYREFS ?? 109)) return false;
    this.underWay++;
    this.hearing ??= this.listen();
    if (failed !== 0 && failed !== EPIPE && failed !== ECONNRESET)
      this.refuse(start, typeof failed === 'string' ? failed : errorName(failed));
    return true;
  }

  /** It does not run. */
  private refuse(start: Start, code: string): void {
    this.underWay--;
    this.drop(start);
    if (start.pipes !== undefined) closePipes(start.pipes);
    start.reject(new SpawnError(start.options.file, code));
  }

  private drop(start: Start): void {
    start.gone = true;
    if (this.starts[start.slot] !== start) return;
    this.starts[start.slot] = undefined;
    this.free.push(start.slot);
  }

  private listen(): NodeJS.Timeout {
    this.heard = false;
    const look = (): void => {
      this.hearing = undefined;
      if (this.underWay === 0) return;
      if (this.heard) this.hearing = this.listen();
      else this.starter?.kill();
    };
    return setTimeout(look, this.options.silence ?? SILENCE).unref();
  }

  // ---- answers ----

  private readonly take = (kind: number, slot: number, pid: number, value: number): void => {
    this.heard = true;
    const start = this.starts[slot];
    if (start === undefined) return;
    if (start.group === undefined) this.takeFirst(start, kind, pid, value);
    // Of a group that was left alone an answer may still have been on its way.
    else if (start.pid === pid) this.takeNext(start, kind, value);
  };

  private takeFirst(start: Start, kind: number, pid: number, value: number): void {
    if (kind === ANSWER.failed) this.refuse(start, errorName(value));
    else if (kind === ANSWER.started) this.run(start, pid, false);
    else if (kind === ANSWER.exited || kind === ANSWER.left) {
      this.run(start, pid, true);
      const { group } = start;
      group?.leaderReaped(kind === ANSWER.left);
      if (kind === ANSWER.exited) this.drop(start);
      // Whoever waited for the start hears of it, in however many steps, before anybody hears of the end.
      queueMicrotask(() => process.nextTick(() => start.exited.resolve(exitOf(value))));
    }
    this.pump();
  }

  private takeNext(start: Start, kind: number, value: number): void {
    if (kind === ANSWER.empty) start.group?.leaderReaped(false);
    else if (kind === ANSWER.exited || kind === ANSWER.left) {
      start.group?.leaderReaped(kind === ANSWER.left);
      start.exited.resolve(exitOf(value));
    }
    if (kind === ANSWER.exited || kind === ANSWER.empty) this.drop(start);
  }

  /** It runs, or has ended already. */
  private run(start: Start, pid: number, ended: boolean): void {
    const { pipes, exited } = start;
    if (pipes === undefined) throw new TypeError('a program was started without pipes');
    this.underWay--;
    start.pid = pid;
    const group = new ProcessGroup(pid, (to, signal) => this.signal(start, to, signal));
    start.group = group;
    start.resolve({
      pid,
      ...this.parts.pipes.adopt(pipes, { exited: exited.promise, life: ended ? 'over' : 'long' }),
      exited: exited.promise,
      signalGroup: (signal) => group.signal(signal),
      leaveGroup: () => this.leave(start),
    });
  }

  /** Through the starter, which knows whether the number still is this program's. */
  private signal(start: Start, to: number, signal: NodeJS.Signals | 0): boolean {
    const { starter } = this;
    if (signal === 'SIGKILL') start.killed = true;
    if (signal === 0 || start.inherited || starter === undefined) return this.parts.send(to, signal);
    // Somebody may have stopped it: then it passes nothing on, and tells of no end.
    starter.wake();
    return starter.sendSignal(start.slot, constants.signals[signal]) === 0 || this.parts.send(to, signal);
  }

  private leave(start: Start): void {
    if (start.gone) return;
    this.starter?.sendForget(start.slot);
    this.drop(start);
  }

  // ---- the starter ----

  private async startStarter(): Promise<void> {
    try {
      const { calls } = this.parts;
      const { program } = this.options;
      const starter = await StarterProcess.start({ calls, posix: this.posix, program }, this.take);
      this.starter = starter;
      const born = performance.now();
      void starter.exited.then(() => this.parts.reaper.hold());
      void starter.over.then(() => this.isOver(starter, performance.now() - born < (this.options.young ?? YOUNG)));
      for (const start of this.starts) if (start?.group !== undefined) starter.sendGuard(start.slot, start.pid);
      this.pump();
    } catch (error) {
      this.fallBack(error instanceof Error ? error.message : String(error));
    }
  }

  /** Posix_spawn starts what waits, and all that follows. */
  private fallBack(reason: string): void {
    this.fallenBack = true;
    this.options.lost(
      `the process that starts programs cannot be used, so each start takes a little longer, and programs that run now continue if the gateway is killed: ${reason}`,
    );
    for (const start of this.queue.splice(0)) {
      if (start.pipes !== undefined) closePipes(start.pipes);
      this.posix.spawn(start.options).then(start.resolve, start.reject);
    }
  }

  /** All that it has said has been told. What it had started is ours now; what it had not is started by the next one. */
  private isOver(starter: StarterProcess, young: boolean): void {
    if (this.closed || this.starter !== starter) return;
    this.starter = undefined;
    const waiting: Start[] = [];
    for (const start of this.starts) {
      if (start === undefined) continue;
      const pid = start.group === undefined ? starter.startedIn(start.slot) : 0;
      if (pid > 0) this.run(start, pid, false);
      if (start.group !== undefined) this.inherit(start);
      else waiting.push(start);
    }
    starter.release();
    this.parts.reaper.release();
    this.underWay = 0;
    this.queue.unshift(...waiting);
    const reason = 'the process that starts programs has died';
    if (young) this.fallBack(reason);
    else {
      this.options.lost(`${reason}; programs continue, and another one is started`);
      void this.prepare();
    }
  }

  private inherit(start: Start): void {
    start.inherited = true;
    const { group } = start;
    if (start.killed) group?.signal('SIGKILL');
    if (group === undefined || group.hasLostLeader) return;
    this.parts.reaper.adopt(start.pid, (exit) => {
      group.leaderReaped();
      start.exited.resolve(exit);
    });
  }
}

function descriptorsOf({ stdin, stderr }: SpawnOptions, pipes: Pipes) {
  return {
    input: pipes.stdin?.read ?? (typeof stdin === 'number' ? stdin : undefined),
    output: programsEnd(pipes.stdout),
    error: pipes.stderr?.write ?? (typeof stderr === 'number' ? stderr : undefined),
  };
}
