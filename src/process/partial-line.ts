/** Tells the beginning of a line before its end has come (a progress bar, a prompt), a few times a second at most. */

/** Milliseconds. */
const PAUSE = 100;
/** Bytes that are told: the end of a longer one. */
const MOST = 4096;
const CR = 0x0d;

export class PartialLine {
  private timer: NodeJS.Timeout | undefined;
  private told = Buffer.alloc(0);

  /** @param rest what has come of the line, which may be a view of memory that changes */
  constructor(
    private readonly rest: () => Buffer,
    private readonly tell: (text: Buffer) => void,
  ) {}

  /** More has come. @param ended whether that was the end of a line: the next one may begin with the same words */
  look(ended: boolean): void {
    if (ended) this.told = Buffer.alloc(0);
    if (this.timer !== undefined || this.rest().length === 0) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      const text = visibleEnd(this.rest());
      if (text.length === 0 || text.equals(this.told)) return;
      this.told = Buffer.from(text);
      this.tell(this.told);
    }, PAUSE);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}

/** What of a line a terminal still shows that returns to its beginning at a CR: what follows the last one that something follows. */
export function afterLastReturn(line: Buffer): Buffer {
  return line.subarray(line.lastIndexOf(CR, -2) + 1);
}

/** All of a short line, because a short text leaves the end of a longer one before it. */
function visibleEnd(line: Buffer): Buffer {
  if (line.length <= MOST) return line;
  const end = line.subarray(-MOST);
  const first = end.indexOf(CR);
  return end.subarray(first === -1 ? 0 : first + 1);
}
