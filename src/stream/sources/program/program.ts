/** A source that is a program: messages to its stdin, messages from its stdout, an ending from its exit. */
import type { Log } from '../../../ops/log.ts';
import type { Program } from '../../../process/programs.ts';
import type { Exit } from '../../../process/spawn.ts';
import { StderrLines } from '../../../process/stderr.ts';
import { endingOf } from '../../message.ts';
import { FramedSource, type FramingOptions } from '../framed.ts';
import type { SourceEvents } from '../source.ts';

export interface ProgramSourceOptions extends FramingOptions {
  /** Whether stderr goes to `SourceEvents.stderr`. */
  readonly stderrToClient: boolean;
  /** Ends the program, if it has not ended. */
  endProgram(program: Program): void;
  /** It has ended, by itself or not, and all that it printed has been told. */
  readonly over?: ((exit: Exit) => void) | undefined;
}

export class ProgramSource extends FramedSource {
  private exit: Exit | undefined;
  private outputOver = false;

  constructor(
    private readonly program: Program,
    private readonly options: ProgramSourceOptions,
    events: SourceEvents,
  ) {
    super(options, events, program.stdin);
    const { stdout, stderr } = program;
    stdout.on('data', (chunk: Buffer) => this.decode(chunk));
    stdout.on('close', () => {
      this.decode(undefined);
      this.outputOver = true;
      this.finishIfOver();
    });
    // A read error ends the stream like an end: 'close' follows, and the exit status tells the rest.
    stdout.on('error', () => undefined);
    if (stderr !== undefined && options.stderrToClient) {
      const { partialLines = false } = options;
      program.stderrLines = new StderrLines(stderr, {
        line: (text) => {
          if (!this.over) events.stderr(Buffer.from(text));
        },
        maxLine: options.maxMessage,
        linesPerSecond: Number.POSITIVE_INFINITY,
        ...(partialLines
          ? {
              partial: (text: string) => {
                if (!this.over) events.partial?.(Buffer.from(text), 'stderr');
              },
            }
          : {}),
      });
    }
    void program.exited.then((exit) => {
      this.exit = exit;
      this.finishIfOver();
    });
  }

  status(): { readonly pid: number } {
    return { pid: this.program.pid };
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

  /** What it still prints is thrown away, so that it does not block on it, and it is ended. */
  release(): void {
    this.over = true;
    this.program.stdout.resume();
    this.program.stderr?.resume();
    this.flush();
    this.options.endProgram(this.program);
  }

  private finishIfOver(): void {
    if (!this.outputOver || this.exit === undefined) return;
    this.finish(endingOf(this.exit));
    this.options.over?.(this.exit);
  }
}

/** Milliseconds. */
const SILENCE = 10_000;

/**
 * The hint for a program that is alive and has printed nothing: the classic trap of stdio, which holds output back from a pipe. Given once
 * for a stream, not for each of its programs.
 */
export class SilenceHint {
  private said = false;

  constructor(
    private readonly route: string,
    private readonly log: Log,
    /** Milliseconds. */
    private readonly after = SILENCE,
  ) {}

  watch(program: Program): void {
    if (this.said) return;
    const timer = setTimeout(() => this.say(), this.after);
    const stop = (): void => clearTimeout(timer);
    program.stdout.once('data', stop);
    program.stdout.once('close', stop);
  }

  private say(): void {
    if (this.said) return;
    this.said = true;
    this.log.info(
      'the program is running, but it has printed nothing for a while; if its output stays in a buffer, set unbuffer = true',
      { route: this.route },
    );
  }
}
