/** A reply's body of unknown length that is asked for piece by piece, at the client's pace. */
import type { BodySink, BodySource } from '../engine/engine.ts';

export interface Puller {
  /** The next bytes; undefined at the end. Never called before it has answered the last call. */
  next(): Promise<Uint8Array | undefined>;
  /** Lets go of everything: called exactly once in every ending, never while `next` is at work. */
  close(): Promise<void>;
}

export class PulledBody implements BodySource {
  readonly length = undefined;
  private sink: BodySink | undefined;
  private pulling = false;
  private waiting = false;
  private over = false;

  constructor(
    private readonly puller: Puller,
    /** Told when it could not let go of everything. */
    private readonly failed: (error: unknown) => void,
  ) {}

  start(sink: BodySink): void {
    this.sink = sink;
    void this.pull(sink);
  }

  resume(): void {
    if (!this.waiting || this.sink === undefined) return;
    this.waiting = false;
    if (!this.pulling) void this.pull(this.sink);
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    if (!this.pulling) this.close();
  }

  private async pull(sink: BodySink): Promise<void> {
    this.pulling = true;
    let ending: (() => void) | undefined;
    try {
      while (!this.over && !this.waiting) {
        const bytes = await this.puller.next();
        if (this.over) break;
        if (bytes === undefined) ending = () => sink.end();
        else {
          // Set before the write: the sink may call `resume` from inside it.
          this.waiting = true;
          if (sink.write(bytes)) this.waiting = false;
          continue;
        }
        break;
      }
    } catch (error) {
      ending = () => sink.fail(error instanceof Error ? error : new Error(String(error)));
    }
    this.pulling = false;
    if (ending !== undefined && !this.over) {
      this.over = true;
      this.close();
      ending();
    } else if (this.over) this.close();
  }

  private close(): void {
    this.puller.close().catch(this.failed);
  }
}
