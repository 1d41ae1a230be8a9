/**
 * Starts programs with posix_spawn(3), called through FFI on a thread of Node's pool, so that the event loop waits neither
 * for the copying of page tables (it is a vfork) nor for a slow disk. A program gets real pipes, a session of its own, default
 * signals and the descriptors 0 to 2.
 */
import { closeSync, fchownSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { ProcessGroup } from './group.ts';
import { ACTIONS_BYTES, O_CLOEXEC, type PosixCalls, posixCalls } from './posix-calls.ts';
import { type Terminal, Terminals } from './posix-terminal.ts';
import { VectorMemory } from './posix-vectors.ts';
import { Reaper } from './reaper.ts';
import { type Child, type Exit, SpawnError, type Spawner, type SpawnOptions } from './spawn.ts';
import { TerminalOutput } from './terminal-output.ts';

/** Starts at one time: one thread fewer than Node's pool has, so that a program on a slow disk does not stop all file access. */
const SLOTS = 3;

/** Throws with the reason where posix_spawn cannot be used. `koffi` is what `loadKoffi` returned. */
export function posixSpawner(koffi: unknown): Spawner {
  return new PosixSpawner(posixCalls(koffi), () => new Terminals(koffi));
}

/** What one start in progress needs to itself. */
interface Slot {
  readonly vectors: VectorMemory;
  readonly actions: Buffer;
  readonly pid: Buffer;
}

/** The two descriptors of a pipe. */
interface Pipe {
  readonly read: number;
  readonly write: number;
}

interface Pipes {
  readonly stdin: Pipe | undefined;
  readonly stdout: Pipe | Terminal;
  readonly stderr: Pipe | undefined;
}

class PosixSpawner implements Spawner {
  readonly name = 'posix';
  private readonly reaper: Reaper;
  private readonly nothing: number;
  private readonly free: Slot[];
  private readonly queue: ((slot: Slot) => void)[] = [];
  private readonly two = new Int32Array(2);
  /** Declared with the first program that wants one: most gateways have none. */
  private loadedTerminals: Terminals | undefined;

  constructor(
    private readonly calls: PosixCalls,
    private readonly loadTerminals: () => Terminals,
  ) {
    this.free = Array.from({ length: SLOTS }, () => ({
      vectors: new VectorMemory(calls.pointerSize, calls.address),
      actions: Buffer.allocUnsafeSlow(ACTIONS_BYTES),
      pid: Buffer.allocUnsafeSlow(ACTIONS_BYTES),
    }));
    this.nothing = openSync('/dev/null', 'r+');
    this.reaper = new Reaper(calls);
  }

  get terminals(): boolean {
    try {
      for (const descriptor of Object.values(this.openTerminal())) closeSync(descriptor);
      return true;
    } catch {
      return false;
    }
  }

  async spawn(options: SpawnOptions): Promise<Child> {
    const slot = this.free.pop() ?? (await new Promise<Slot>((resolve) => this.queue.push(resolve)));
    try {
      return await this.start(slot, options);
    } finally {
      const next = this.queue.shift();
      if (next) next(slot);
      else this.free.push(slot);
    }
  }

  close(): void {
    this.reaper.close();
    closeSync(this.nothing);
  }

  private async start(slot: Slot, options: SpawnOptions): Promise<Child> {
    const { file, argv, env, directory } = options;
    const vectors = slot.vectors.write(argv, env);
    if (typeof vectors === 'string') throw new SpawnError(file, vectors);
    if (file.includes('\0') || directory?.includes('\0')) throw new SpawnError(file, 'EINVAL');
    const open: number[] = [];
    const pipes = this.openPipes(options, open);
    const { actions, pid } = slot;
    const { attributes, spawn } = this.calls;
    let initialised = false;
    try {
      this.need(file, this.calls.actionsInit(actions));
      initialised = true;
      this.fillActions(actions, options, pipes);
      const result = await new Promise<number>((resolve, reject) => {
        spawn(pid, file, actions, attributes, vectors.argv, vectors.envp, (error, errno) =>
          error ? reject(error) : resolve(errno),
        );
      });
      this.need(file, result);
    } catch (error) {
      for (const descriptor of open) closeSync(descriptor);
      throw error instanceof SpawnError ? error : new SpawnError(file, 'EIO', { cause: error });
    } finally {
      if (initialised) this.calls.actionsDestroy(actions);
    }
    return this.adopt(pid.readInt32LE(0), pipes);
  }

  private openPipes(options: SpawnOptions, open: number[]): Pipes {
    try {
      const pipe = (): Pipe => {
        const made = this.openPipe(options.file);
        open.push(made.read, made.write);
        return made;
      };
      const stdin = options.stdin === 'pipe' ? pipe() : undefined;
      const stdout = options.stdout === 'terminal' ? this.openTerminal() : pipe();
      if ('slave' in stdout) open.push(...Object.values(stdout));
      const stderr = options.stderr === 'pipe' ? pipe() : undefined;
      const { pipeOwner } = options;
      if (pipeOwner !== undefined) {
        // So that a program of another user can open /dev/stderr by its path. Its ends only: a terminal's other end is /dev/ptmx.
        for (const end of [stdin?.read, programsEnd(stdout), stderr?.write])
          if (end !== undefined) fchownSync(end, pipeOwner, -1);
      }
      return { stdin, stdout, stderr };
    } catch (error) {
      for (const descriptor of open) closeSync(descriptor);
      throw error instanceof SpawnError ? error : new SpawnError(options.file, codeOf(error), { cause: error });
    }
  }

  private openPipe(file: string): Pipe {
    if (this.calls.pipe2(this.two, O_CLOEXEC) !== 0) throw new SpawnError(file, errorName(this.calls.errno()));
    const [read = -1, write = -1] = this.two;
    return { read, write };
  }

  private openTerminal(): Terminal {
    this.loadedTerminals ??= this.loadTerminals();
    return this.loadedTerminals.open();
  }

  private fillActions(actions: Buffer, options: SpawnOptions, pipes: Pipes): void {
    const { file, stdin, directory } = options;
    const { actionsDup2, actionsChdir, actionsCloseFrom } = this.calls;
    const input = pipes.stdin?.read ?? (typeof stdin === 'number' ? stdin : this.nothing);
    this.need(file, actionsDup2(actions, input, 0));
    this.need(file, actionsDup2(actions, programsEnd(pipes.stdout), 1));
    this.need(file, actionsDup2(actions, pipes.stderr?.write ?? this.nothing, 2));
    if (directory !== undefined) this.need(file, actionsChdir(actions, directory));
    if (actionsCloseFrom) this.need(file, actionsCloseFrom(actions, 3));
  }

  /** Throws for an error number other than 0. */
  private need(file: string, errno: number): void {
    if (errno !== 0) throw new SpawnError(file, errorName(errno));
  }

  private adopt(pid: number, pipes: Pipes): Child {
    const group = new ProcessGroup(pid);
    const exited = new Promise<Exit>((resolve) => {
      this.reaper.watch(pid, (exit) => {
        group.leaderReaped();
        resolve(exit);
      });
    });
    const { stdin, stdout, stderr } = pipes;
    if (stdin) closeSync(stdin.read);
    closeSync(programsEnd(stdout));
    if (stderr) closeSync(stderr.write);
    return {
      pid,
      stdin: stdin && writer(stdin.write),
      stdout: 'slave' in stdout ? terminalReader(stdout) : reader(stdout.read),
      stderr: stderr && reader(stderr.read),
      exited,
      signalGroup: (signal) => group.signal(signal),
    };
  }
}

/** Node's table of errors has not all that exec can fail with; the other one has two names for EAGAIN. */
function errorName(errno: number): string {
  const name = getSystemErrorName(-errno);
  if (/^E[A-Z0-9]+$/.test(name)) return name;
  return Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `error ${errno}`;
}

/** The system's name of an error of Node's or of `Terminals`. */
function codeOf(error: unknown): string {
  const { errno } = error as { readonly errno?: unknown };
  return typeof errno === 'number' ? errorName(Math.abs(errno)) : 'EIO';
}

function reader(descriptor: number): Socket {
  return harmless(new Socket({ fd: descriptor, readable: true, writable: false }));
}

function writer(descriptor: number): Socket {
  return harmless(new Socket({ fd: descriptor, readable: false, writable: true }));
}

function programsEnd(stdout: Pipe | Terminal): number {
  return 'slave' in stdout ? stdout.slave : stdout.write;
}

function terminalReader({ master, spare }: Terminal): Readable {
  return new TerminalOutput(master, spare).on('error', () => undefined);
}

/** An error reaches whoever wrote through the callback, and everybody through 'close'; without a listener it would end the gateway too. */
function harmless(socket: Socket): Socket {
  return socket.on('error', () => undefined);
}
