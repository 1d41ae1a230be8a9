/**
 * What waits for a program's stdin, or for the server of a connection. It is written in pieces of a bounded size, so that the number of
 * bytes that wait is true: a stream of Node's counts everything that it was given as waiting until the last byte of it is gone. Small
 * messages that come while a piece is being written, or behind one in the same turn of the event loop, go out together in one system call.
 */
import type { Input } from '../../process/spawn.ts';

/** As much as a pipe holds. */
const PIECE = 64 * 1024;
/** Pieces that wait are put together up to this size. */
const SMALL = 4096;

export class SourceInput {
  /** Bytes that have not been taken. */
  waiting = 0;
  private queue: Buffer[] = [];
  private underWay = false;
  /** Something was written in this turn of the event loop: what comes behind it waits for the turn's end. */
  private gathers = false;
  private ending = false;

  /**
   * @param drain called whenever everything has been taken: who waits for that has a bound of its own, which may be smaller than
   * what `write` calls behind
   */
  constructor(
    private readonly stdin: Input,
    private readonly drain: () => void,
  ) {}

  /** False: taken, but the other end is behind. What is written after it has closed is lost, as in any pipe. */
  write(pieces: readonly Buffer[]): boolean {
    if (!this.stdin.writable || this.ending) return true;
    for (const piece of pieces) this.push(piece);
    const due = !this.gathers || this.waiting >= PIECE;
    if (due && !this.underWay && this.queue.length > 0) this.next();
    return this.waiting <= PIECE;
  }

  /** Small pieces are put together, because each by itself costs more than it holds; empty ones are nothing. */
  private push(piece: Buffer): void {
    if (piece.length === 0) return;
    this.waiting += piece.length;
    const last = this.queue.length - 1;
    const before = this.queue[last];
    if (before !== undefined && before.length + piece.length <= SMALL)
      this.queue[last] = Buffer.concat([before, piece]);
    else this.queue.push(piece);
  }

  /** Closes stdin behind what waits. */
  end(): void {
    this.ending = true;
    if (!this.underWay && this.queue.length === 0) this.stdin.end();
  }

  /** Gives everything to the stream at once and stops counting: the other end is about to be ended. */
  flush(): void {
    if (this.queue.length > 0 && this.stdin.writable) this.stdin.write(Buffer.concat(this.queue));
    this.queue = [];
  }

  private next(): void {
    const piece = this.take();
    this.underWay = true;
    this.stdin.write(piece, (error) => {
      this.underWay = false;
      this.waiting -= piece.length;
      if (error != null) {
        // The other end has closed: nothing that waits will ever be read.
        this.queue = [];
        this.waiting = 0;
      }
      if (this.queue.length > 0) this.next();
      else this.empty();
    });
    this.gather();
  }

  /** uWebSockets.js calls for each message of one read by itself, and what a first one began is over before the second one comes. */
  private gather(): void {
    if (this.gathers) return;
    this.gathers = true;
    setImmediate(() => {
      this.gathers = false;
      if (!this.underWay && this.queue.length > 0) this.next();
    });
  }

  private empty(): void {
    if (this.ending) this.stdin.end();
    this.drain();
  }

  /** The next piece: whole messages up to the size of a piece, or a part of a large one. */
  private take(): Buffer {
    const [first = Buffer.alloc(0)] = this.queue;
    if (first.length > PIECE) {
      this.queue[0] = first.subarray(PIECE);
      return first.subarray(0, PIECE);
    }
    let count = 0;
    let bytes = 0;
    for (const message of this.queue) {
      if (bytes + message.length > PIECE) break;
      bytes += message.length;
      count++;
    }
    const taken = this.queue.splice(0, count);
    return taken.length === 1 ? first : Buffer.concat(taken, bytes);
  }
}
