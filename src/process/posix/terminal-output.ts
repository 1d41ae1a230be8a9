/** What a program prints to a pseudo-terminal, as a stream like that of a pipe. */
import { close, read } from 'node:fs';
import type { OnReadOpts, SocketConstructorOpts } from 'node:net';
import { Readable } from 'node:stream';
import { ReadStream } from 'node:tty';

const HIGH_WATER = 64 << 10;
/** The kernel hands out less than this at a time. */
const CHUNK = 16 << 10;
/** Milliseconds until the next look at a terminal that has ended and was opened again by its path. */
const LOOK_AGAIN = 50;

/**
 * Ends when the last process that holds the program's end has closed it, with all that was printed before. Node's stream for
 * terminals would lose some of it: once the other end is closed, libuv takes the first read that did not fill its buffer for
 * the last one, while the kernel still has more; and the EIO with which a terminal says that it is over discards what such a
 * stream has in its own buffer. So that stream only waits, past its buffer, and when it is done the rest is read here.
 */
export class TerminalOutput extends Readable {
  private readonly waiting: ReadStream;
  private readonly buffer = Buffer.allocUnsafeSlow(CHUNK);
  /** The waiting one has closed: what is left is read through `spare`. */
  private atRest = false;
  private reading = false;
  /** There is room for more. */
  private wanted = false;
  private again: NodeJS.Timeout | undefined;

  /** @param master and `spare`, its duplicate: they become this stream's, which closes them. */
  constructor(
    master: number,
    private readonly spare: number,
  ) {
    super({ highWaterMark: HIGH_WATER });
    // Documented for sockets, of which a terminal is one; only the types do not know.
    const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = {
      // What `hand` answers stops the reading at once when it is false.
      onread: { buffer: this.buffer, callback: (length) => this.hand(length) },
    };
    this.waiting = new ReadStream(master, options);
    this.waiting.on('error', () => undefined);
    this.waiting.once('close', () => {
      this.atRest = true;
      if (this.wanted) this.readRest();
    });
  }

  override _read(): void {
    this.wanted = true;
    if (this.atRest) this.readRest();
    else this.waiting.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.again);
    this.waiting.destroy();
    // Not under a read that is on its way: its number may be another file's by then.
    if (!this.reading) close(this.spare, () => undefined);
    done(error);
  }

  private hand(length: number): boolean {
    this.wanted = this.push(Buffer.from(this.buffer.subarray(0, length)));
    return this.wanted;
  }

  private readRest(): void {
    if (this.reading || this.destroyed) return;
    this.reading = true;
    clearTimeout(this.again);
    read(this.spare, this.buffer, 0, CHUNK, null, (error, length) => {
      this.reading = false;
      if (this.destroyed) close(this.spare, () => undefined);
      else if (error?.code === 'EAGAIN') this.again = setTimeout(() => this.readRest(), LOOK_AGAIN);
      // EIO is how it says that there is no more.
      else if (error !== null || length === 0) this.push(null);
      else this.hand(length);
    });
  }
}
