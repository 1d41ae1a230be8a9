/** The pipes, or the pseudo-terminal, between the gateway and a program: made before it starts, and its streams once it has started. */
import { closeSync, fchmodSync, fchownSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { type Input, type Output, SpawnError, type SpawnOptions } from '../spawn.ts';
import { F_SETFL, O_CLOEXEC, O_NONBLOCK, POLLIN, type PosixCalls } from './calls.ts';
import { Delay, LateReader } from './late-reader.ts';
import { PipeInput } from './pipe-input.ts';
import type { Terminal, Terminals } from './terminal.ts';
import { TerminalOutput } from './terminal-output.ts';

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

/** What one program has, both ends of each. */
export interface Pipes {
  readonly stdin: Pipe | undefined;
  readonly stdout: Pipe | Terminal;
  readonly stderr: Pipe | undefined;
}

/** The gateway's ends, as streams. */
export interface ProgramStreams {
  readonly stdin: Input | undefined;
  readonly stdout: Output;
  readonly stderr: Output | undefined;
}

export interface StreamOptions {
  /** Settles when the program has been reaped. */
  readonly exited: Promise<unknown>;
  /** How soon its output has to be watched: that of a brief one is later, and of one that is over never, unless others hold its pipes. */
  readonly life: 'long' | 'brief' | 'over';
}

/** Makes them for all programs of one spawner. */
export class PipeMaker {
  private readonly two = new Int32Array(2);
  private readonly stdoutDelay = new Delay(STDOUT_AFTER);
  private readonly stderrDelay = new Delay(STDERR_AFTER);
  private readonly scratch = Buffer.allocUnsafeSlow(PIPE_BYTES);
  /** Declared with the first program that wants one: most gateways have none. */
  private loadedTerminals: Terminals | undefined;

  constructor(
    private readonly calls: PosixCalls,
    private readonly loadTerminals: () => Terminals,
  ) {}

  /** Whether there are pseudo-terminals. */
  get terminals(): boolean {
    try {
      for (const descriptor of Object.values(this.openTerminal())) closeSync(descriptor);
      return true;
    } catch {
      return false;
    }
  }

  /** Throws a `SpawnError`, and leaves nothing open then. */
  open(options: SpawnOptions): Pipes {
    const open: number[] = [];
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

  /** The program has its ends: ours of them are closed, and the others become streams. */
  adopt({ stdin, stdout, stderr }: Pipes, { exited, life }: StreamOptions): ProgramStreams {
    if (stdin) closeSync(stdin.read);
    closeSync(programsEnd(stdout));
    if (stderr) closeSync(stderr.write);
    const late = (descriptor: number, after: Delay): Output => {
      const delay = life === 'over' ? undefined : after;
      return new LateReader(descriptor, { delay, exited, poll: this.poll, scratch: this.scratch, open: reader });
    };
    return {
      stdin: stdin && new PipeInput(stdin.write, this.inputParts),
      stdout:
        'slave' in stdout
          ? terminalReader(stdout)
          : life === 'long'
            ? reader(stdout.read)
            : late(stdout.read, this.stdoutDelay),
      stderr: stderr && late(stderr.read, this.stderrDelay),
    };
  }

  private readonly inputParts = {
    // Of this end alone: the program's waits, as programs expect it.
    unblock: (descriptor: number): void => void this.calls.fcntl(descriptor, F_SETFL, O_NONBLOCK),
    open: writer,
  };

  private readonly poll = (descriptor: number): number => {
    this.two[0] = descriptor;
    this.two[1] = POLLIN;
    this.calls.poll(this.two, 1, 0);
    return (this.two[1] ?? 0) >> 16;
  };

  private openPipe(file: string): Pipe {
    if (this.calls.pipe2(this.two, O_CLOEXEC) !== 0) throw new SpawnError(file, errorName(this.calls.errno()));
    const [read = -1, write = -1] = this.two;
    return { read, write };
  }

  private openTerminal(): Terminal {
    this.loadedTerminals ??= this.loadTerminals();
    return this.loadedTerminals.open();
  }
}

/** The program was not started. */
export function closePipes({ stdin, stdout, stderr }: Pipes): void {
  for (const ends of [stdin, stdout, stderr])
    if (ends) for (const descriptor of Object.values(ends)) closeSync(descriptor);
}

/** What the program gets as its descriptor 1. */
export function programsEnd(stdout: Pipe | Terminal): number {
  return 'slave' in stdout ? stdout.slave : stdout.write;
}

/** Node's table of errors has not all that exec can fail with; the other one has two names for EAGAIN. */
export function errorName(errno: number): string {
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

function terminalReader({ master, spare }: Terminal): Readable {
  return new TerminalOutput(master, spare).on('error', () => undefined);
}

/** An error reaches whoever wrote through the callback, and everybody through 'close'; without a listener it would end the gateway too. */
function harmless(socket: Socket): Socket {
  return socket.on('error', () => undefined);
}
