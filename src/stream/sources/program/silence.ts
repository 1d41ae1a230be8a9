/** The hint for a program that is alive and has printed nothing: the classic trap of stdio, which holds output back from a pipe. */
import type { Log } from '../../../ops/log.ts';
import type { Program } from '../../../process/programs.ts';

const SILENCE = 10_000;

/** Says it once for a stream, not for each of its programs. */
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
      'the program is alive and has printed nothing for a while: if it should have, its output may be stuck in its buffer; try unbuffer = true',
      {
        route: this.route,
      },
    );
  }
}
