/**
 * Starts programs with posix_spawn(3), called through FFI on a thread of Node's pool, so that the event loop waits neither
 * for the copying of page tables (it is a vfork) nor for a slow disk. A program gets real pipes, a session of its own, default
 * signals and the descriptors 0 to 2.
 */
import { closeSync, fchmodSync, fchownSync, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { type Child, type Exit, type Output, SpawnError, type Spawner, type SpawnOptions } from '../spawn.ts';
import { ProcessGroup } from '../termination/group.ts';
import { MFD_CLOEXEC, O_CLOEXEC, POLLIN, type PosixCalls, posixCalls, withAmbient } from './calls.ts';
import { Delay, LateReader } from './late-reader.ts';
import { Reaper } from './reaper.ts';
import { type ChildSetup, StartMemory } from './start-memory.ts';
import { type Terminal, Terminals } from './terminal.ts';
import { TerminalOutput } from './terminal-output.ts';

/** Starts at one time: one thread fewer than Node's pool has, so that a program on a slow disk does not stop all file access. */
const STARTS_AT_ONCE = 3;

/** Throws with the reason where posix_spawn cannot be used. `koffi` is what `loadKoffi` returned. */
export function posixSpawner(koffi: unknown): Spawner {
  return new PosixSpawner(posixCalls(koffi), () => new Terminals(koffi));
}

/** How late the first bytes of a program may be read, milliseconds: of a brief one's stdout, and of any one's stderr. */
const STDOUT_AFTER = 4;
const STDERR_AFTER = 20;
/** What a pipe holds. */
const PIPE_BYTES = 64 << 10;

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
  private readonly free: StartMemory[];
  private readonly queue: ((memory: StartMemory) => void)[] = [];
  private readonly two = new Int32Array(2);
  private readonly stdoutDelay = new Delay(STDOUT_AFTER);
  private readonly stderrDelay = new Delay(STDERR_AFTER);
  private readonly scratch = Buffer.allocUnsafeSlow(PIPE_BYTES);
  /** Declared with the first program that wants one: most gateways have none. */
  private loadedTerminals: Terminals | undefined;

  constructor(
    private readonly calls: PosixCalls,
    private readonly loadTerminals: () => Terminals,
  ) {
    this.free = Array.from({ length: STARTS_AT_ONCE }, () => new StartMemory(calls));
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

  async spawn(options: SpawnOptions, starts?: (pipe: number) => void): Promise<Child> {
    const memory = this.free.pop() ?? (await new Promise<StartMemory>((resolve) => this.queue.push(resolve)));
    const start = this.reaper.begin();
    try {
      return await this.start(memory, options, starts);
    } finally {
      this.reaper.started(start);
      const next = this.queue.shift();
      if (next) next(memory);
      else this.free.push(memory);
    }
  }

  memoryFile(): number {
    const descriptor = this.calls.memoryFile('runnel', MFD_CLOEXEC);
    if (descriptor < 0) throw new Error(`no file in memory: ${errorName(this.calls.errno())}`);
    return descriptor;
  }

  close(): void {
    this.reaper.close();
    for (const memory of this.free) memory.actions.close();
    closeSync(this.nothing);
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
    const open: number[] = [];
    const pipes = this.openPipes(options, open);
    const { pid } = memory;
    const { attributes, spawn, spawnHere } = this.calls;
    try {
      const known = recognisable(pipes);
      if (starts !== undefined && known !== undefined) starts(fstatSync(known).ino);
      const actions = memory.actions.get(this.setup(options, pipes));
      if (typeof actions === 'number') throw new SpawnError(file, errorName(actions));
      const { capabilities = [] } = options;
      const result =
        capabilities.length > 0
          ? withAmbient(this.calls, capabilities, () =>
              spawnHere(pid, file, actions, attributes, vectors.argv, vectors.envp),
            )
          : await new Promise<number>((resolve, reject) => {
              spawn(pid, file, actions, attributes, vectors.argv, vectors.envp, (error, errno) =>
                error ? reject(error) : resolve(errno),
              );
            });
      if (result !== 0) throw new SpawnError(file, errorName(result));
    } catch (error) {
      for (const descriptor of open) closeSync(descriptor);
      throw error instanceof SpawnError ? error : new SpawnError(file, 'EIO', { cause: error });
    }
    return this.adopt(pid.readInt32LE(0), pipes, options.brief === true);
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
      if (options.pipeOwner !== undefined) openTo(options.pipeOwner, stdin?.read, stdout, stderr?.write);
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

  private setup({ stdin, stderr, directory }: SpawnOptions, pipes: Pipes): ChildSetup {
    const input = pipes.stdin?.read ?? (typeof stdin === 'number' ? stdin : this.nothing);
    const error = pipes.stderr?.write ?? (typeof stderr === 'number' ? stderr : this.nothing);
    return { input, output: programsEnd(pipes.stdout), error, directory };
  }

  private readonly poll = (descriptor: number): number => {
    this.two[0] = descriptor;
    this.two[1] = POLLIN;
    this.calls.poll(this.two, 1, 0);
    return (this.two[1] ?? 0) >> 16;
  };

  /** Not `process.kill`, which throws where nobody is left: the usual case, once for every program, and dear. */
  private readonly send = (to: number, signal: NodeJS.Signals | 0): boolean =>
    this.calls.kill(to, signal === 0 ? 0 : constants.signals[signal]) === 0 ||
    this.calls.errno() === constants.errno.EPERM;

  private adopt(pid: number, pipes: Pipes, brief: boolean): Child {
    const group = new ProcessGroup(pid, this.send);
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
    const late = (descriptor: number, delay: Delay): Output =>
      new LateReader(descriptor, { delay, exited, poll: this.poll, scratch: this.scratch, open: reader });
    return {
      pid,
      stdin: stdin && writer(stdin.write),
      stdout:
        'slave' in stdout ? terminalReader(stdout) : brief ? late(stdout.read, this.stdoutDelay) : reader(stdout.read),
      stderr: stderr && late(stderr.read, this.stderrDelay),
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

/**
 * So that a program of another user can open /dev/stderr by its path. A pipe has none for whoever does not have it already, so it can be open to all,
 * which needs no right, as to give it away would. A terminal has a path, and is given away where that is allowed.
 */
function openTo(user: number, stdin: number | undefined, stdout: Pipe | Terminal, stderr: number | undefined): void {
  const pipes = [stdin, 'slave' in stdout ? undefined : stdout.write, stderr];
  for (const end of pipes) if (end !== undefined) fchmodSync(end, 0o666);
  if (!('slave' in stdout)) return;
  try {
    fchownSync(stdout.slave, user, -1);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
  }
}

/** A pipe that nobody but the program will have. A terminal's number may be somebody else's as soon as it is closed. */
function recognisable({ stdin, stdout, stderr }: Pipes): number | undefined {
  return 'slave' in stdout ? (stdin ?? stderr)?.read : stdout.read;
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
