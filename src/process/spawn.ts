/**
 * Starting a program: the one interface, for CGI and streams alike. `starter/spawner.ts` (a small process that does it), `posix/posix.ts`
 * (posix_spawn by FFI, off the loop) and `child-process.ts` (plain Node) implement it; `spawner.ts` picks. One contract suite runs over all.
 */

export interface SpawnOptions {
  /** An absolute path, already found and resolved (see `findProgram`). */
  readonly file: string;
  /** `argv[0]` first. */
  readonly argv: readonly [string, ...string[]];
  /** The whole environment: nothing is inherited. */
  readonly env: ReadonlyMap<string, string>;
  readonly directory: string | undefined;
  /** A pipe, nothing, or an open descriptor (a spooled request body), which stays the caller's. */
  readonly stdin: 'pipe' | 'null' | number;
  /** Only a spawner that has `terminals` makes one; others take it for a pipe. A pipe when left out. */
  readonly stdout?: 'pipe' | 'terminal' | undefined;
  /** As `stdin`. */
  readonly stderr: 'pipe' | 'null' | number;
  /** It is likely to be over in a moment, so its first output may be handed on some milliseconds late if that spares work. */
  readonly brief?: boolean | undefined;
  /** The id of the user whose program it becomes when that is not the gateway's: its pipes are to be open to him. */
  readonly pipeOwner?: number | undefined;
  /** Numbers of capabilities(7) that it is to have, as far as this process may give them. Whoever gets any has to give them up. */
  readonly capabilities?: readonly number[] | undefined;
}

/** What a program reads, as it is written: a `Writable`, or as much of one as is used here. What is written behind its end is lost. */
export interface Input {
  /** It has not been ended, and nothing has failed. */
  readonly writable: boolean;
  /** @param taken called when the pipe has it, or with the reason why it never will; maybe before this returns */
  write(bytes: Uint8Array | string, taken?: (error?: Error | null) => void): unknown;
  /** Closes it behind what was written before, and behind `bytes`. */
  end(): unknown;
  end(bytes: Uint8Array | string | undefined): unknown;
  /** Closes it now. */
  destroy(): unknown;
}

/** What a program writes, as it comes: a `Readable`, or as much of one as is used here. */
export interface Output {
  /** 'close' has been told. */
  readonly closed: boolean;
  /** Listening to 'data' sets it flowing. 'close' comes behind an end, behind an error, and after `destroy`. */
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'end' | 'close' | 'error', listener: () => void): unknown;
  once(event: 'data', listener: (chunk: Buffer) => void): unknown;
  once(event: 'end' | 'close' | 'error', listener: () => void): unknown;
  off(event: 'data', listener: (chunk: Buffer) => void): unknown;
  pause(): unknown;
  resume(): unknown;
  destroy(): unknown;
}

/** How a process ended: a status or a signal. */
export type Exit =
  | { readonly code: number; readonly signal: undefined }
  | { readonly code: undefined; readonly signal: string };

/**
 * A started program, leader of its own session and process group. An error of one of its streams (EPIPE once nobody reads)
 * is told to the callback of the write and by 'close'; 'error' has a listener already, so that none can end the gateway.
 */
export interface Child {
  readonly pid: number;
  readonly stdin: Input | undefined;
  readonly stdout: Output;
  readonly stderr: Output | undefined;
  /** Settles when the process has been reaped. Output may follow, if grandchildren hold the pipe; or have ended before. */
  readonly exited: Promise<Exit>;
  /** Signals the whole process group, also after the leader has exited; 0 only asks. False when nobody is left in it. */
  signalGroup(signal: NodeJS.Signals | 0): boolean;
  /** What is left of its group is left alone, also when the gateway is killed. Where it is not there nobody would do anything about it. */
  readonly leaveGroup?: (() => void) | undefined;
}

export interface Spawner {
  readonly name: 'starter' | 'posix' | 'child_process';
  /** Whether it ends its programs by itself when the gateway has been killed. To be asked when `prepare` is done. */
  readonly guardsPrograms: boolean;
  /** The process id of what does that, for tests. */
  readonly guardPid?: number | undefined;
  /**
   * Whether a program's stdout can be a pseudo-terminal, so that its stdio hands on each line. In raw mode, so that the bytes are
   * those of a pipe; what differs: a program whose output nobody wants any more reads EIO and gets no SIGPIPE.
   */
  readonly terminals: boolean;
  /** To be called, and awaited, before each start. Never rejects. */
  prepare?(): Promise<void> | undefined;
  /**
   * Rejects with a `SpawnError` before anything ran.
   * @param starts is told before anything runs by what the program can be known that has no number yet, if there is a moment in
   * which it has none: the inode of a pipe that is its stdin, stdout or stderr
   */
  spawn(options: SpawnOptions, starts?: (pipe: number) => void): Promise<Child>;
  /** Opens an empty file without a name, in memory if there is a way; the caller closes it. Throws with the reason. */
  memoryFile(): number;
  /** Releases what the spawner holds (signal handlers, processes of its own). No child may be left. */
  close(): Promise<void>;
}

/** A program that could not be started. */
export class SpawnError extends Error {
  /** The system's name: ENOENT, EACCES, ENOEXEC, ENOTDIR, E2BIG, EAGAIN, EMFILE … */
  readonly code: string;
  /** @param because what is known beyond the code: a clause that says what is wrong and what to do. */
  constructor(file: string, code: string, options?: ErrorOptions & { readonly because?: string | undefined }) {
    const { because = SpawnError.explain(code), ...rest } = options ?? {};
    super(`cannot start ${file}: ${because}`, rest);
    this.name = 'SpawnError';
    this.code = code;
  }

  private static explain(code: string): string {
    const sentences: { readonly [code: string]: string } = {
      ENOENT: 'the file, the interpreter on its first line or its working directory does not exist (ENOENT)',
      EACCES: 'it is not executable for this user (EACCES); try chmod +x',
      ENOEXEC: 'not a program: no #! on its first line and not a binary for this machine (ENOEXEC)',
      ENOTDIR: 'a part of its path is not a folder (ENOTDIR)',
      E2BIG: 'its arguments and environment are too large (E2BIG)',
      EAGAIN: 'the limit on processes is reached (EAGAIN)',
      EMFILE: 'the limit on open files is reached (EMFILE)',
      ENOSPC: 'all pseudo-terminals are taken (ENOSPC); see /proc/sys/kernel/pty/max',
      ENOMEM: 'not enough memory (ENOMEM)',
      EINVAL: 'a NUL in its arguments, environment or working directory (EINVAL)',
    };
    return sentences[code] ?? code;
  }
}
