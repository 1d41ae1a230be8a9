/**
 * What a program does between fork and exec, prepared for posix_spawn(3): its descriptors 0 to 2, its working directory. To prepare it
 * takes a dozen calls, and descriptors have few different numbers, so what was prepared is kept.
 */
import { ACTIONS_BYTES, type PosixCalls } from './calls.ts';

/** Kept at a time. */
const KEPT = 32;

export interface Before {
  readonly input: number;
  readonly output: number;
  readonly error: number;
  readonly directory: string | undefined;
}

/** For one start at a time: what `get` answers is good until the next call. */
export class FileActions {
  private readonly prepared = new Map<string, Buffer>();

  constructor(private readonly calls: PosixCalls) {}

  /** Answers an error number instead where it fails. */
  get(before: Before): Buffer | number {
    const key = `${before.input} ${before.output} ${before.error} ${before.directory ?? ''}`;
    const known = this.prepared.get(key);
    if (known !== undefined) return known;
    this.makeRoom();
    const actions = Buffer.allocUnsafeSlow(ACTIONS_BYTES);
    const failed = this.calls.actionsInit(actions);
    if (failed !== 0) return failed;
    const errno = this.fill(actions, before);
    if (errno === 0) this.prepared.set(key, actions);
    else this.calls.actionsDestroy(actions);
    return errno === 0 ? actions : errno;
  }

  close(): void {
    for (const actions of this.prepared.values()) this.calls.actionsDestroy(actions);
    this.prepared.clear();
  }

  private fill(actions: Buffer, { input, output, error, directory }: Before): number {
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
    if (this.prepared.size < KEPT) return;
    const [oldest] = this.prepared;
    if (oldest === undefined) return;
    this.calls.actionsDestroy(oldest[1]);
    this.prepared.delete(oldest[0]);
  }
}
