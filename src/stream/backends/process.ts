/** A stream's backend that is a process: messages to its stdin, messages from its stdout, an ending from its exit. */
import type { Child, Exit } from '../../process/spawn.ts';
import { type Framing, FramingError } from '../framing.ts';
import { CLOSE, type Ending, endingOf } from '../message.ts';

export interface BackendEvents {
  /** Messages that lay in one read of the output, in order. */
  messages(batch: readonly Buffer[]): void;
  /** Everything that was waiting for the program has been taken by it. */
  drained(): void;
  /** Once, and last: stdout has ended and the process has exited, or what it printed could not be understood. */
  ended(ending: Ending): void;
}

export class ProcessBackend {
  private exit: Exit | undefined;
  private outputOver = false;
  private over = false;

  constructor(
    private readonly child: Child,
    private readonly framing: Framing,
    maxMessage: number,
    private readonly events: BackendEvents,
  ) {
    const decoder = framing.decoder(maxMessage);
    const decode = (step: () => Buffer[]): void => {
      if (this.over) return;
      try {
        const batch = step();
        if (batch.length > 0) this.events.messages(batch);
      } catch (error) {
        if (!(error instanceof FramingError)) throw error;
        this.finish({ code: CLOSE.internalError, reason: error.message });
      }
    };
    child.stdout.on('data', (chunk: Buffer) => decode(() => decoder.push(chunk)));
    child.stdout.on('close', () => {
      decode(() => decoder.end());
      this.outputOver = true;
      this.finishIfOver();
    });
    // A read error ends the stream like an end: 'close' follows, and the exit status tells the rest.
    child.stdout.on('error', () => undefined);
    child.stdin?.on('drain', () => this.events.drained());
    void child.exited.then((exit) => {
      this.exit = exit;
      this.finishIfOver();
    });
  }

  /** Bytes written that the program has not taken. */
  get waiting(): number {
    return this.child.stdin?.writableLength ?? 0;
  }

  /** Writes one message. False: the program is behind; `drained` will tell. What is written to a closed stdin is lost, as in any pipe. */
  write(message: Buffer): boolean {
    const { stdin } = this.child;
    if (stdin === undefined || !stdin.writable) return true;
    const pieces = this.framing.encode(message);
    if (pieces.length === 1 && pieces[0] !== undefined) return stdin.write(pieces[0]);
    // One write, not one for each piece: small messages go out in one system call.
    return stdin.write(Buffer.concat(pieces));
  }

  /** Closes the program's stdin while its stdout goes on. */
  endInput(): void {
    this.child.stdin?.end();
  }

  pause(): void {
    this.child.stdout.pause();
  }

  resume(): void {
    if (!this.over) this.child.stdout.resume();
  }

  /** Nobody listens any more: what the program still prints is thrown away, so that it does not block on it while it ends. */
  abandon(): void {
    this.over = true;
    this.child.stdout.resume();
  }

  private finishIfOver(): void {
    if (this.outputOver && this.exit !== undefined) this.finish(endingOf(this.exit));
  }

  private finish(ending: Ending): void {
    if (this.over) return;
    this.abandon();
    this.events.ended(ending);
  }
}
