/** One starter: the process, the socket and the pipe to it, and its table. What is asked of it and answered is `spawner.ts`'s. */
import { closeSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import {
  AF_UNIX,
  MFD_CLOEXEC,
  MFD_EXEC,
  O_CLOEXEC,
  type PosixCalls,
  PR_SET_CHILD_SUBREAPER,
  SOCK_SEQPACKET,
} from '../posix/calls.ts';
import { errorName } from '../posix/pipes.ts';
import type { PosixSpawner } from '../posix/posix.ts';
import type { Child, SpawnOptions } from '../spawn.ts';
import {
  ANSWER,
  AnswerReader,
  RequestWriter,
  SLOT_BYTES,
  SLOTS,
  type StartDescriptors,
  type TakeAnswer,
} from './protocol.ts';

/** capabilities(7): those that programs can need at their start, and that of signalling other users' programs. */
const CAPABILITIES: readonly number[] = [5, 6, 7];
/** How long it may take to be ready, milliseconds. It takes one, and a busy board with a slow disk a hundred. */
const READY_WITHIN = 10_000;
/** How long it may take to end when its socket is closed, milliseconds. */
const CLOSE_WITHIN = 3000;

export interface StarterParts {
  readonly calls: PosixCalls;
  /** Starts the starter. */
  readonly posix: PosixSpawner;
  /** The program, as bytes. Throws with the reason where there is none. */
  readonly program: () => Buffer;
}

export class StarterProcess {
  /** Settles when it has been reaped and all its answers have been told. */
  readonly over: Promise<void>;

  private constructor(
    private readonly child: Child,
    private readonly socket: number,
    private readonly table: number,
    private readonly requests: RequestWriter,
  ) {
    const closed = new Promise<void>((resolve) => child.stdout.once('close', resolve));
    this.over = Promise.all([child.exited, closed]).then(() => undefined);
  }

  /** Rejects with the reason when there is none after all. `take` gets its answers from then on. */
  static async start(parts: StarterParts, take: TakeAnswer): Promise<StarterProcess> {
    const { calls } = parts;
    if (!inheritPrograms(calls, true)) throw failure('prctl', calls);
    const open: number[] = [];
    const close = (): void => {
      for (const descriptor of open.splice(0)) closeSync(descriptor);
    };
    try {
      const table = calls.memoryFile('runnel-programs', MFD_CLOEXEC);
      if (table < 0) throw failure('memfd_create', calls);
      open.push(table);
      ftruncateSync(table, SLOTS * SLOT_BYTES);
      const two = new Int32Array(2);
      if (calls.socketpair(AF_UNIX, SOCK_SEQPACKET | O_CLOEXEC, 0, two) !== 0) throw failure('socketpair', calls);
      const [ours = -1, its = -1] = two;
      open.push(ours, its);
      const code = openCode(parts);
      open.push(code);
      const child = await parts.posix.spawn(optionsOf(its, code));
      for (const descriptor of open.splice(2)) closeSync(descriptor);
      const requests = new RequestWriter(calls);
      const starter = new StarterProcess(child, ours, table, requests);
      open.length = 0;
      await starter.ready(take);
      return starter;
    } catch (error) {
      close();
      throw error;
    }
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Settles in the moment in which it has been reaped. */
  get exited(): Promise<unknown> {
    return this.child.exited;
  }

  sendStart(slot: number, options: SpawnOptions, descriptors: StartDescriptors): number | 'E2BIG' {
    return this.requests.sendStart(this.socket, slot, options, descriptors);
  }

  sendSignal(slot: number, signal: number): number {
    return this.requests.sendSignal(this.socket, slot, signal);
  }

  sendGuard(slot: number, group: number): number {
    return this.requests.sendGuard(this.socket, slot, group);
  }

  sendForget(slot: number): number {
    return this.requests.sendForget(this.socket, slot);
  }

  kill(): void {
    this.child.signalGroup('SIGKILL');
  }

  /** Lets it go on where it was stopped. */
  wake(): void {
    this.child.signalGroup('SIGCONT');
  }

  /** When it is over: the number of the program that was started in this slot; 0 when none was. */
  startedIn(slot: number): number {
    const number = new Int32Array(1);
    readSync(this.table, number, 0, 4, slot * SLOT_BYTES);
    return number[0] ?? 0;
  }

  /** Releases what is left of it when it is over. */
  release(): void {
    closeSync(this.socket);
    closeSync(this.table);
  }

  /** Ends it, and all that still runs. */
  async close(): Promise<void> {
    closeSync(this.socket);
    const timer = setTimeout(() => this.kill(), CLOSE_WITHIN);
    await this.over;
    clearTimeout(timer);
    closeSync(this.table);
  }

  private async ready(take: TakeAnswer): Promise<void> {
    const { stdout } = this.child;
    const wait = new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), READY_WITHIN);
      const settle = (ready: boolean): void => {
        clearTimeout(timer);
        resolve(ready);
      };
      const answers = new AnswerReader((kind, slot, pid, value) => {
        if (kind === ANSWER.ready) settle(true);
        else take(kind, slot, pid, value);
      });
      stdout.on('data', (chunk: Buffer) => answers.feed(chunk));
      stdout.once('close', () => settle(false));
    });
    const failed = this.requests.sendTable(this.socket, this.table);
    if (failed === 0 && (await wait)) return;
    const { exited } = this.child;
    await this.close();
    const { code, signal } = await exited;
    throw new Error(failed === 0 ? `it was not ready: ${signal ?? `exit ${code}`}` : `sendmsg: ${errorName(failed)}`);
  }
}

/** Whether the children of a starter that has ended become ours. False when that cannot be. */
export function inheritPrograms(calls: PosixCalls, wanted: boolean): boolean {
  return calls.prctl(PR_SET_CHILD_SUBREAPER, wanted ? 1 : 0, 0, 0, 0) === 0;
}

/** A file in memory, because no folder of a board need let code run. */
function openCode({ calls, program }: StarterParts): number {
  const bytes = program();
  let file = calls.memoryFile('runnel-starter', MFD_CLOEXEC | MFD_EXEC);
  if (file < 0) file = calls.memoryFile('runnel-starter', MFD_CLOEXEC);
  if (file < 0) throw failure('memfd_create', calls);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** The code is its descriptor 2, because by then nothing above is left; and what it is called has to be its own: this process may be closed to others. */
function optionsOf(socket: number, code: number): SpawnOptions {
  return {
    file: '/proc/self/fd/2',
    argv: ['runnel-starter'],
    env: new Map(),
    directory: undefined,
    stdin: socket,
    stderr: code,
    // With some it is also started on this thread, and not while another one has the umask changed.
    capabilities: CAPABILITIES,
  };
}

function failure(what: string, calls: PosixCalls): Error {
  return new Error(`${what}: ${errorName(calls.errno())}`);
}
