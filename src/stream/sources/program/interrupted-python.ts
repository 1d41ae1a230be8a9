/** Python prints a traceback when INT ends it, as it does for every viewer who leaves: that is no error, and is told in one line. */

const FIRST = 'Traceback (most recent call last):';
const LAST = /^KeyboardInterrupt\b/;
/** Lines of a traceback that are held back; of a longer one all are told. */
const MOST = 200;

/** Stands between a program's stderr and the log. */
export class InterruptedPython {
  private held: string[] = [];

  /**
   * @param isEnding whether the program has been told to end
   * @param line is told every line that is not part of such a traceback
   * @param interrupted is told once such a traceback is over, in its place
   */
  constructor(
    private readonly isEnding: () => boolean,
    private readonly line: (text: string) => void,
    private readonly interrupted: () => void,
  ) {}

  take(text: string): void {
    if (this.held.length === 0) {
      if (text === FIRST && this.isEnding()) this.held.push(text);
      else this.line(text);
      return;
    }
    if (LAST.test(text)) {
      this.held = [];
      this.interrupted();
      return;
    }
    this.held.push(text);
    // The traceback's own lines are indented.
    if (!text.startsWith(' ') || this.held.length > MOST) this.flush();
  }

  /** Nothing more comes: what is held back was something else. */
  flush(): void {
    const { held } = this;
    this.held = [];
    for (const text of held) this.line(text);
  }
}
