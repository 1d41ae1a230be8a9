/** A reply's body on its way out: counted, and cut off when its client takes it too slowly. */
import type { BodySink, BodySource } from '../../engine/engine.ts';
import { CutReply } from '../errors.ts';

export interface Pace {
  /** Bytes a second that a client must take while it keeps the reply waiting; 0 for no minimum. */
  readonly rate: number;
  /** Milliseconds over which that is measured. */
  readonly window: number;
}

/** Why a body was not sent whole, where it is no failure of its source. */
export const LEFT = 'the client left';
export const TOO_SLOW = 'the client took its answer too slowly (limits.reply_rate)';

export class MeteredBody implements BodySource, BodySink {
  readonly length: number | undefined;
  private sent = 0;
  private sink: BodySink | undefined;
  private timer: NodeJS.Timeout | undefined;
  private isOver = false;
  /** Bytes taken within the present window, and for how long of it the client kept us waiting. */
  private taken = 0;
  private waited = 0;
  private waitingSince: number | undefined;

  constructor(
    private readonly inner: BodySource,
    private readonly pace: Pace,
    /** Called once, with what was sent and why that is not all of it; undefined when it is. */
    private readonly over: (sent: number, cut: string | undefined) => void,
  ) {
    this.length = inner.length;
  }

  start(sink: BodySink): void {
    this.sink = sink;
    this.inner.start(this);
  }

  // ---- what the body writes to ----

  write(chunk: Uint8Array, free?: () => void): boolean {
    return this.counted(chunk.length, this.sink?.write(chunk, free) === true);
  }

  lend(chunk: Uint8Array): boolean {
    return this.counted(chunk.length, this.sink?.lend(chunk) === true);
  }

  private counted(bytes: number, more: boolean): boolean {
    this.sent += bytes;
    this.taken += bytes;
    if (!more) this.waits();
    return more;
  }

  sendFile(file: number, position: number, length: number): number | undefined {
    const count = this.sink?.sendFile?.(file, position, length);
    if (count !== undefined) {
      this.sent += count;
      this.taken += count;
    }
    return count;
  }

  end(): void {
    this.sink?.end();
    this.finish(undefined);
  }

  fail(error: Error): void {
    this.sink?.fail(new CutReply(error));
    this.finish(error.message);
  }

  // ---- what the engine reads from ----

  resume(): void {
    if (this.waitingSince !== undefined) {
      this.waited += performance.now() - this.waitingSince;
      this.waitingSince = undefined;
      clearTimeout(this.timer);
    }
    this.inner.resume();
  }

  cancel(): void {
    this.inner.cancel();
    this.finish(LEFT);
  }

  /** The client is behind. Only such time counts: a program that prints slowly is no fault of its client. */
  private waits(): void {
    const { rate, window } = this.pace;
    if (rate === 0 || this.isOver || this.waitingSince !== undefined) return;
    if (this.waited >= window) {
      // What was taken was paid for with this much waiting. A window that was good enough is followed by a new one.
      if (this.taken * 1000 < rate * this.waited) {
        this.cut();
        return;
      }
      this.taken = 0;
      this.waited = 0;
    }
    this.waitingSince = performance.now();
    this.timer = setTimeout(() => this.late(), window - this.waited);
  }

  /** A whole window has passed since the client last took anything, or more of it. */
  private late(): void {
    this.waited = this.pace.window;
    if (this.taken * 1000 < this.pace.rate * this.waited) {
      this.cut();
      return;
    }
    this.taken = 0;
    this.waited = 0;
    this.waitingSince = performance.now();
    this.timer = setTimeout(() => this.late(), this.pace.window);
  }

  /** Not from within the source's own `write`: it must be able to finish what it is doing. */
  private cut(): void {
    queueMicrotask(() => {
      if (this.isOver) return;
      this.inner.cancel();
      this.finish(TOO_SLOW);
      this.sink?.fail(new CutReply(new Error(TOO_SLOW)));
    });
  }

  private finish(cut: string | undefined): void {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.timer);
    this.over(this.sent, cut);
  }
}
