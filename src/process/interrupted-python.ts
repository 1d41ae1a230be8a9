/**
 * Python prints a traceback when INT or a closed pipe ends it, as it does for every client who leaves: that is no error, and is told in
 * one line.
 */
import type { Log } from '../ops/log.ts';

const FIRST = /^(?:Traceback \(most recent call last\):$|Exception ignored )/;
const LAST = /^(?:KeyboardInterrupt|BrokenPipeError)\b/;
/** Between the tracebacks of an exception that came while another was handled, as with asyncio. */
const BETWEEN =
  /^(?:|During handling of the above exception, another exception occurred:|The above exception was the direct cause of the following exception:)$/;
/** Lines of a traceback that are held back; of a longer one all are told. */
const MOST = 200;

/** Stands between a program's stderr and the log. */
export class InterruptedPython {
  private held: string[] = [];
  /** `within` a traceback, or where a traceback has ended and one that belongs to it may follow. */
  private state: 'outside' | 'within' | 'behind' = 'outside';

  /**
   * @param isEnding whether the program has been told to end
   * @param line is told every line that is not part of such a traceback
   * @param interrupted is told at the end of each such traceback, in its place
   */
  constructor(
    private readonly isEnding: () => boolean,
    private readonly line: (text: string) => void,
    private readonly interrupted: () => void,
  ) {}

  take(text: string): void {
    if (this.state === 'behind' && !FIRST.test(text) && !BETWEEN.test(text)) this.flush();
    if (this.state === 'outside' && !(FIRST.test(text) && this.isEnding())) {
      this.line(text);
      return;
    }
    if (this.state === 'within' && LAST.test(text)) {
      this.held = [];
      this.state = 'behind';
      this.interrupted();
      return;
    }
    this.held.push(text);
    if (FIRST.test(text)) this.state = 'within';
    // The traceback's own lines are indented; the line that is not says what the exception was.
    else if (this.state === 'within' && !text.startsWith(' ')) this.state = 'behind';
    if (this.held.length > MOST) this.flush();
  }

  /** Nothing more comes that belongs to it: what is held back was something else. */
  flush(): void {
    const { held } = this;
    this.held = [];
    this.state = 'outside';
    for (const text of held) this.line(text);
  }
}

const INTERRUPTED =
  'a Python program was interrupted because its client left or the gateway stops; this is not an error, and its traceback is left out; docs/processes.md says how to prevent it';

/** Tells of the interrupted programs of one route: once where everybody sees it, because it means the same for each client that leaves. */
export class InterruptionNotes {
  private before = false;

  constructor(
    private readonly route: string,
    private readonly log: Log,
  ) {}

  tell(pid: number): void {
    const level = this.before ? 'debug' : 'info';
    this.before = true;
    this.log[level](INTERRUPTED, { route: this.route, pid });
  }
}
