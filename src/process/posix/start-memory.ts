/** Memory that posix_spawn(3) reads and writes in one start: where it lies must not change while the call runs on another thread. */
import { ACTIONS_BYTES, type PosixCalls } from './calls.ts';

/** More than a pid_t needs: over 64, so that V8 keeps it off its heap, where it might move. */
const PID_BYTES = 128;

/** What one start in progress needs to itself. */
export class StartMemory {
  readonly vectors: VectorMemory;
  readonly actions: FileActions;
  /** Where posix_spawn writes the number of the process. */
  readonly pid = Buffer.allocUnsafeSlow(PID_BYTES);

  constructor(calls: PosixCalls) {
    this.vectors = new VectorMemory(calls.pointerSize, calls.address);
    this.actions = new FileActions(calls);
  }
}

/** The kernel allows a quarter of the stack's limit, 2 MiB by default; nobody needs more than this. */
const MAX_BYTES = 8 << 20;
/** A block above this size is not kept for the next program. */
const KEEP_BYTES = 256 << 10;
const FIRST_BYTES = 8 << 10;

/**
 * The argument vector and the environment of a program, as execve(2) wants them: tables of pointers to NUL-ended strings. For one start at a
 * time. It lies outside V8's heap and does not move.
 */
export class VectorMemory {
  private block = Buffer.alloc(0);
  /** The same memory, for pointers. */
  private words = new Uint32Array(0);
  private base = 0n;
  /** The two halves of `base`. */
  private low = 0;
  private high = 0;

  constructor(
    private readonly pointerSize: number,
    private readonly address: (buffer: Buffer) => bigint,
  ) {}

  /**
   * Writes both; the addresses are good until the next call. Answers the system's name of what is wrong instead: E2BIG, or
   * EINVAL for a NUL, which would end a string early, so that what follows it could pass for a variable of its own.
   */
  write(
    argv: readonly string[],
    env: ReadonlyMap<string, string>,
  ): { argv: bigint; envp: bigint } | 'E2BIG' | 'EINVAL' {
    // In one string, because each writing into memory outside of the heap costs more than what it writes.
    let strings = '';
    for (const argument of argv) strings += `${argument}\0`;
    for (const [name, value] of env) strings += `${name}=${value}\0`;
    const count = argv.length + env.size;
    const tables = (count + 2) * this.pointerSize;
    // UTF-8 takes at most three bytes for one unit of a string.
    const needed = tables + strings.length * 3;
    if (needed > MAX_BYTES) return 'E2BIG';
    this.makeRoom(needed);
    const end = tables + this.block.write(strings, tables);
    let start = tables;
    for (let index = 0; index < count; index++) {
      // The null pointer between the two tables is one slot.
      this.point(index < argv.length ? index : index + 1, start);
      while (this.block[start] !== 0) start++;
      start++;
    }
    if (start !== end) return 'EINVAL';
    this.point(argv.length, undefined);
    this.point(count + 1, undefined);
    return { argv: this.base, envp: this.base + BigInt((argv.length + 1) * this.pointerSize) };
  }

  private makeRoom(needed: number): void {
    const large = this.block.length > KEEP_BYTES;
    if (needed <= this.block.length && !large) return;
    this.block = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, (needed + 7) & ~7));
    this.words = new Uint32Array(this.block.buffer, this.block.byteOffset, this.block.length >> 2);
    this.base = this.address(this.block);
    this.low = Number(this.base & 0xffffffffn);
    this.high = Number(this.base >> 32n);
  }

  /** Writes a pointer to the byte at `offset` into a slot of the tables, least significant word first; the null pointer for undefined. */
  private point(slot: number, offset: number | undefined): void {
    const at = (slot * this.pointerSize) >> 2;
    const low = offset === undefined ? 0 : this.low + offset;
    this.words[at] = low;
    if (this.pointerSize === 8) this.words[at + 1] = offset === undefined ? 0 : this.high + (low > 0xffffffff ? 1 : 0);
  }
}

/** Kept at a time. */
const KEPT_ACTIONS = 32;

/** The descriptors and the folder with which a program begins. */
export interface ChildSetup {
  readonly input: number;
  readonly output: number;
  readonly error: number;
  readonly directory: string | undefined;
}

/**
 * What a program does between fork and exec: its descriptors 0 to 2, its working directory. To prepare it takes a dozen calls, and
 * descriptors have few different numbers, so what was prepared is kept. For one start at a time: what `get` answers is good until the next call.
 */
export class FileActions {
  private readonly prepared = new Map<string, Buffer>();

  constructor(private readonly calls: PosixCalls) {}

  /** Answers an error number instead where it fails. */
  get(setup: ChildSetup): Buffer | number {
    const key = `${setup.input} ${setup.output} ${setup.error} ${setup.directory ?? ''}`;
    const known = this.prepared.get(key);
    if (known !== undefined) return known;
    this.makeRoom();
    const actions = Buffer.allocUnsafeSlow(ACTIONS_BYTES);
    const failed = this.calls.actionsInit(actions);
    if (failed !== 0) return failed;
    const errno = this.fill(actions, setup);
    if (errno === 0) this.prepared.set(key, actions);
    else this.calls.actionsDestroy(actions);
    return errno === 0 ? actions : errno;
  }

  close(): void {
    for (const actions of this.prepared.values()) this.calls.actionsDestroy(actions);
    this.prepared.clear();
  }

  private fill(actions: Buffer, { input, output, error, directory }: ChildSetup): number {
    const { actionsDup2, actionsChdir, actionsCloseFrom } = this.calls;
    return (
      actionsDup2(actions, input, 0) ||
      actionsDup2(actions, output, 1) ||
      actionsDup2(actions, error, 2) ||
      (directory === undefined ? 0 : actionsChdir(actions, directory)) ||
      (actionsCloseFrom?.(actions, 3) ?? 0)
    );
  }

  /** The one that was prepared first goes first. */
  private makeRoom(): void {
    if (this.prepared.size < KEPT_ACTIONS) return;
    const [oldest] = this.prepared;
    if (oldest === undefined) return;
    this.calls.actionsDestroy(oldest[1]);
    this.prepared.delete(oldest[0]);
  }
}
