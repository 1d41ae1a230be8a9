/** A stream's source that is a process: messages to its stdin, messages from its stdout, an ending from its exit. */

import type { Program } from '../../../process/programs.ts';
import type { Exit } from '../../../process/spawn.ts';
import { StderrLines } from '../../../process/stderr.ts';
import type { Source, SourceEvents } from '../../ends.ts';
import { type Framing, FramingError } from '../../framing.ts';
import { CLOSE, type Ending, endingOf } from '../../message.ts';
import { SourceInput } from '../input.ts';

export interface ProgramSourceOptions {
  readonly framing: Framing;
  /** Bytes. */
  readonly maxMessage: number;
  /** Whether stderr goes to `stderr`. */
  readonly stderrToClient: boolean;
  /** Ends the program, if it has not ended. */
  endProgram(program: Program): void;
}

export class ProgramSource implements Source {
  private exit: Exit | undefined;
  private outputOver = false;
  private over = false;
  private readonly input: SourceInput | undefined;

  constructor(
    private readonly program: Program,
    private readonly options: ProgramSourceOptions,
    private readonly events: SourceEvents,
  ) {
    const { stdout, stdin, stderr } = program;
    const decoder = options.framing.decoder(options.maxMessage);
    stdout.on('data', (chunk: Buffer) => this.decode(() => decoder.push(chunk)));
    stdout.on('close', () => {
      this.decode(() => decoder.end());
      this.outputOver = true;
      this.finishIfOver();
    });
    // A read error ends the stream like an end: 'close' follows, and the exit status tells the rest.
    stdout.on('error', () => undefined);
    this.input = stdin === undefined ? undefined : new SourceInput(stdin, () => events.drain());
    if (stderr !== undefined && options.stderrToClient) {
      new StderrLines(stderr, {
        line: (text) => {
          if (!this.over) events.stderr(Buffer.from(text));
        },
        maxLine: options.maxMessage,
        linesPerSecond: Number.POSITIVE_INFINITY,
      });
    }
    void program.exited.then((exit) => {
      this.exit = exit;
      this.finishIfOver();
    });
  }

  /** Bytes written that the program has not taken. */
  get waiting(): number {
    return this.input?.waiting ?? 0;
  }

  /** Writes one message. False: the program is behind; `drain` will tell. */
  write(message: Buffer): boolean {
    return this.input?.write(this.options.framing.encode(message)) ?? true;
  }

  /** Closes the program's stdin while its stdout goes on. */
  endInput(): void {
    this.input?.end();
  }

  pause(): void {
    this.program.stdout.pause();
    if (this.options.stderrToClient) this.program.stderr?.pause();
  }

  resume(): void {
    if (this.over) return;
    this.program.stdout.resume();
    if (this.options.stderrToClient) this.program.stderr?.resume();
  }

  /** Nobody needs it any more: what it still prints is thrown away, so that it does not block on it, and it is ended. */
  release(): void {
    this.over = true;
    this.program.stdout.resume();
    this.program.stderr?.resume();
    this.input?.flush();
    this.options.endProgram(this.program);
  }

  private decode(step: () => Buffer[]): void {
    if (this.over) return;
    try {
      const batch = step();
      if (batch.length > 0) this.events.messages(batch);
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.finish({ code: CLOSE.internalError, reason: error.message });
    }
  }

  private finishIfOver(): void {
    if (this.outputOver && this.exit !== undefined) this.finish(endingOf(this.exit));
  }

  private finish(ending: Ending): void {
    if (this.over) return;
    this.over = true;
    this.events.ended(ending);
  }
}
