/** The document of a CGI program as it is written, at the client's pace. */

import type { BodySink, BodySource } from '../../engine/engine.ts';
import type { Output } from '../../process/spawn.ts';

export class CgiBody implements BodySource {
  private sink: BodySink | undefined;
  /** What of a promised length has not been written yet. */
  private remaining: number;
  /** What came before `start`: the rest of the chunk that ended the header, and what was on its way when `pause` was called. */
  private early: Buffer[] = [];
  private resumed = false;
  private over = false;
  private outcome: { readonly error: Error | undefined } | undefined;

  constructor(
    private readonly stdout: Output,
    readonly length: number | undefined,
    /** The client has left. */
    private readonly left: () => void,
  ) {
    this.remaining = length ?? Number.POSITIVE_INFINITY;
    stdout.pause();
  }

  start(sink: BodySink): void {
    this.sink = sink;
    const early = Buffer.concat(this.early);
    this.early = [];
    if (this.remaining === 0) {
      this.complete();
      return;
    }
    this.resumed = true;
    if (early.length > 0) this.push(early);
    if (this.over) return;
    if (this.outcome) this.concludeSoon();
    else if (this.resumed) this.stdout.resume();
  }

  resume(): void {
    this.resumed = true;
    if (!this.over) this.stdout.resume();
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.left();
  }

  /** Takes what the program has written. */
  push(chunk: Buffer): void {
    if (this.over) return;
    if (!this.sink) {
      this.early.push(chunk);
      return;
    }
    const part = chunk.length > this.remaining ? chunk.subarray(0, this.remaining) : chunk;
    this.remaining -= part.length;
    this.resumed = false;
    const more = this.sink.write(part);
    if (this.remaining === 0) this.complete();
    else if (more) this.resumed = true;
    else if (!this.resumed) this.stdout.pause();
  }

  /** Whether its end depends on how it was ended. */
  wantsEnding(): boolean {
    return !this.over && this.length === undefined;
  }

  /** Nothing more comes; `error` says that this was not the end of the document. The first call counts. */
  finish(error: Error | undefined): void {
    if (this.over || this.outcome) return;
    this.outcome = { error };
    if (this.sink) this.concludeSoon();
  }

  /** A cut waits for the next turn, so that the client gets at least the head and what there was. */
  private concludeSoon(): void {
    const error = this.outcome?.error ?? this.shortfall();
    if (error) setImmediate(() => this.conclude(error));
    else this.conclude(undefined);
  }

  private conclude(error: Error | undefined): void {
    if (this.over) return;
    this.over = true;
    if (error) this.sink?.fail(error);
    else this.sink?.end();
    // What still comes is read and forgotten.
    this.stdout.resume();
  }

  private shortfall(): Error | undefined {
    if (this.length === undefined || this.remaining === 0) return undefined;
    return new Error(`it announced ${this.length} bytes and wrote ${this.length - this.remaining}`);
  }

  /** Takes nothing more and tells nobody. */
  close(): void {
    this.over = true;
  }

  /** All of the promised length is there; what the program still writes is read and forgotten. */
  private complete(): void {
    this.over = true;
    this.sink?.end();
    this.stdout.resume();
  }
}
