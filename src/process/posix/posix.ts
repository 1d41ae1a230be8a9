/**
 * Starts programs with posix_spawn(3), called through FFI on a thread of Node's pool, so that the event loop waits neither
 * for the copying of page tables (it is a vfork) nor for a slow disk. A program gets real pipes, a session of its own, default
 * signals and the descriptors 0 to 2.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { type Child, type Exit, SpawnError, type Spawner, type SpawnOptions } from '../spawn.ts';
import { ProcessGroup, type SendSignal } from '../termination/group.ts';
import { MFD_CLOEXEC, type PosixCalls, posixCalls, withAmbient } from './calls.ts';
import { closePipes, errorName, PipeMaker, type Pipes, programsEnd } from './pipes.ts';
import { Reaper } from './reaper.ts';
import { type ChildSetup, StartMemory } from './start-memory.ts';
import { Terminals } from './terminal.ts';

/** Starts at one time: one thread fewer than Node's pool has, so that a program on a slow disk does not stop all file access. */
const STARTS_AT_ONCE = 3;

/** What a spawner of this process has to work with, whichever way it starts programs. */
export interface PosixParts {
  readonly calls: PosixCalls;
  readonly pipes: PipeMaker;
  readonly reaper: Reaper;
  /** kill(2), without an exception where nobody is left. */
  readonly send: SendSignal;
}

/** Throws with the reason where the C library cannot be used. `koffi` is what `loadKoffi` returned. */
export function posixParts(koffi: unknown): PosixParts {
  const calls = posixCalls(koffi);
  return {
    calls,
    pipes: new PipeMaker(calls, () => new Terminals(koffi)),
    reaper: new Reaper(calls),
    // Not `process.kill`, which throws where nobody is left: the usual case, once for every program, and dear.
    send: (to, signal) =>
      calls.kill(to, signal === 0 ? 0 : constants.signals[signal]) === 0 || calls.errno() === constants.errno.EPERM,
  };
}

export class PosixSpawner implements Spawner {
  readonly name = 'posix';
  readonly guardsPrograms = false;
  private readonly nothing: number;
  private readonly free: StartMemory[];
  private readonly queue: ((memory: StartMemory) => void)[] = [];

  constructor(private readonly parts: PosixParts) {
    this.free = Array.from({ length: STARTS_AT_ONCE }, () => new StartMemory(parts.calls));
    this.nothing = openSync('/dev/null', 'r+');
  }

  get terminals(): boolean {
    return this.parts.pipes.terminals;
  }

  async spawn(options: SpawnOptions, starts?: (pipe: number) => void): Promise<Child> {
    const memory = this.free.pop() ?? (await new Promise<StartMemory>((resolve) => this.queue.push(resolve)));
    const start = this.parts.reaper.begin();
    try {
      return await this.start(memory, options, starts);
    } finally {
      this.parts.reaper.started(start);
      const next = this.queue.shift();
      if (next) next(memory);
      else this.free.push(memory);
    }
  }

  memoryFile(): number {
    const descriptor = this.parts.calls.memoryFile('runnel', MFD_CLOEXEC);
    if (descriptor < 0) throw new Error(`no file in memory: ${errorName(this.parts.calls.errno())}`);
    return descriptor;
  }

  close(): Promise<void> {
    this.parts.reaper.close();
    for (const memory of this.free) memory.actions.close();
    closeSync(this.nothing);
    return Promise.resolve();
  }

  private async start(
    memory: StartMemory,
    options: SpawnOptions,
    starts: ((pipe: number) => void) | undefined,
  ): Promise<Child> {
    const { file, argv, env, directory } = options;
    const vectors = memory.vectors.write(argv, env);
    if (typeof vectors === 'string') throw new SpawnError(file, vectors);
    if (file.includes('\0') || directory?.includes('\0')) throw new SpawnError(file, 'EINVAL');
    const pipes = this.parts.pipes.open(options);
    const { pid } = memory;
    const { attributes, spawn, spawnHere } = this.parts.calls;
    try {
      const known = recognisable(pipes);
      if (starts !== undefined && known !== undefined) starts(fstatSync(known).ino);
      const actions = memory.actions.get(this.setup(options, pipes));
      if (typeof actions === 'number') throw new SpawnError(file, errorName(actions));
      const { capabilities = [] } = options;
      const result =
        capabilities.length > 0
          ? withAmbient(this.parts.calls, capabilities, () =>
              spawnHere(pid, file, actions, attributes, vectors.argv, vectors.envp),
            )
          : await new Promise<number>((resolve, reject) => {
              spawn(pid, file, actions, attributes, vectors.argv, vectors.envp, (error, errno) =>
                error ? reject(error) : resolve(errno),
              );
            });
      if (result !== 0) throw new SpawnError(file, errorName(result));
    } catch (error) {
      closePipes(pipes);
      throw error instanceof SpawnError ? error : new SpawnError(file, 'EIO', { cause: error });
    }
    return this.adopt(pid.readInt32LE(0), pipes, options.brief === true);
  }

  private setup({ stdin, stderr, directory }: SpawnOptions, pipes: Pipes): ChildSetup {
    const input = pipes.stdin?.read ?? (typeof stdin === 'number' ? stdin : this.nothing);
    const error = pipes.stderr?.write ?? (typeof stderr === 'number' ? stderr : this.nothing);
    return { input, output: programsEnd(pipes.stdout), error, directory };
  }

  private adopt(pid: number, pipes: Pipes, brief: boolean): Child {
    const { reaper, send } = this.parts;
    const group = new ProcessGroup(pid, send);
    const exited = new Promise<Exit>((resolve) => {
      reaper.watch(pid, (exit) => {
        group.leaderReaped();
        resolve(exit);
      });
    });
    const { stdin, stdout, stderr } = this.parts.pipes.adopt(pipes, { exited, life: brief ? 'brief' : 'long' });
    return { pid, stdin, stdout, stderr, exited, signalGroup: (signal) => group.signal(signal) };
  }
}

/** A pipe that nobody but the program will have. A terminal's number may be somebody else's as soon as it is closed. */
function recognisable({ stdin, stdout, stderr }: Pipes): number | undefined {
  return 'slave' in stdout ? (stdin ?? stderr)?.read : stdout.read;
}
