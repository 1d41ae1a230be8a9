/**
 * Reads what a program writes to stderr, line by line. It is always read, so that the program is never blocked by it; what is kept
 * and told is bounded: the length of a line, the lines a second, the number of last lines.
 */
import { afterLastReturn, PartialLine } from './partial-line.ts';
import type { Output } from './spawn.ts';

export interface StderrOptions {
  /** Is told each line, without its line break. What follows in a line that is too long is left out and marked. */
  readonly line: (text: string) => void;
  /** Bytes of a line that are kept. */
  readonly maxLine?: number;
  /** Lines that are told in one second; of the rest only the number is, in a line of its own. */
  readonly linesPerSecond?: number;
  /** How many of the last lines are kept for an error message. */
  readonly keep?: number;
  /**
   * Is told the beginning of a line, again and again, before its end has come. Of a line that is too long because it is overwritten (at
   * each CR) only what is visible is kept.
   */
  readonly partial?: (text: string) => void;
}

const CUT = ' … (cut)';
const SECOND = 1000;
const NEWLINE = 0x0a;
const NOTHING = Buffer.alloc(0);

export class StderrLines {
  /** Lines that were read but not told. */
  dropped = 0;
  private readonly last: string[] = [];
  private readonly maxLine: number;
  private readonly linesPerSecond: number;
  private readonly keep: number;
  /** The beginning of a line whose end has not come yet; never longer than `maxLine`. */
  private partial = NOTHING;
  /** The rest of the present line is too much, and is skipped. */
  private skipping = false;
  private told = 0;
  private droppedNow = 0;
  private second: NodeJS.Timeout | undefined;
  private readonly partialLine: PartialLine | undefined;

  constructor(
    stream: Output,
    private readonly options: StderrOptions,
  ) {
    this.maxLine = options.maxLine ?? 4096;
    this.linesPerSecond = options.linesPerSecond ?? 100;
    this.keep = options.keep ?? 10;
    const { partial } = options;
    if (partial !== undefined)
      this.partialLine = new PartialLine(
        () => this.partial,
        (bytes) => partial(text(bytes)),
      );
    stream.on('data', (chunk: Buffer) => this.take(chunk));
    stream.once('close', () => this.finish());
  }

  /** The last lines that came, oldest first, those that were not told included; an unfinished one too. */
  get lastLines(): readonly string[] {
    if (this.partial.length === 0) return [...this.last];
    return [...this.last, text(this.partial)].slice(-this.keep);
  }

  private take(chunk: Buffer): void {
    let start = 0;
    while (start < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, start);
      const end = newline === -1 ? chunk.length : newline;
      if (!this.skipping) this.append(chunk.subarray(start, end));
      if (newline !== -1) {
        if (!this.skipping) this.emit('');
        this.skipping = false;
      }
      start = end + 1;
    }
    this.partialLine?.look(chunk.includes(NEWLINE));
  }

  private append(bytes: Buffer): void {
    const room = this.maxLine - this.partial.length;
    // A copy either way: the chunk is the stream's.
    this.partial = Buffer.concat([this.partial, bytes.subarray(0, room)]);
    if (bytes.length <= room) return;
    if (this.partialLine !== undefined) {
      const visible = afterLastReturn(Buffer.concat([this.partial, bytes.subarray(room)]));
      if (visible.length <= this.maxLine) {
        this.partial = Buffer.from(visible);
        return;
      }
    }
    // Told now and not at its end, because that may never come.
    this.emit(CUT);
    this.skipping = true;
  }

  private emit(mark: string): void {
    const line = text(this.partial) + mark;
    this.partial = NOTHING;
    this.last.push(line);
    if (this.last.length > this.keep) this.last.shift();
    this.second ??= setTimeout(() => this.newSecond(), SECOND).unref();
    if (this.told < this.linesPerSecond) {
      this.told++;
      this.options.line(line);
    } else {
      this.dropped++;
      this.droppedNow++;
    }
  }

  private newSecond(): void {
    clearTimeout(this.second);
    this.second = undefined;
    this.told = 0;
    if (this.droppedNow > 0) this.options.line(`(${this.droppedNow} more lines in this second were dropped)`);
    this.droppedNow = 0;
  }

  private finish(): void {
    this.partialLine?.stop();
    if (this.partial.length > 0) this.emit('');
    this.newSecond();
  }
}

/** A line as text; what is not UTF-8, or was cut within a character, is replaced. */
function text(bytes: Buffer): string {
  const end = bytes.at(-1) === 0x0d ? bytes.length - 1 : bytes.length;
  return bytes.toString('utf8', 0, end);
}
