/**
 * What comes over a connection to an upstream, read into memory that is used again and again. Node's own way makes 64 KiB of new memory for each
 * read: its page faults and its garbage cost more than the bytes themselves.
 */
import type { OnReadOpts, Socket } from 'node:net';

/** What is read until a head is there: it holds most heads, and most pages with them. Bytes. */
const SHORT = 15 * 1024;
/** What is read of a longer body at a time. Bytes. */
const LONG = 128 * 1024;

const NOTHING = Buffer.alloc(0);

/** For all connections of one thread: whoever gets bytes of them is done with them when it returns. */
export class ReadBuffers {
  readonly short = Buffer.allocUnsafeSlow(SHORT);
  private made: Buffer | undefined;

  /** Made with the first long body, and kept. */
  get long(): Buffer {
    this.made ??= Buffer.allocUnsafeSlow(LONG);
    return this.made;
  }
}

/** Takes bytes that are the connection's again when it returns, and says whether it wants more: false until the socket's `resume`. */
export type Taker = (bytes: Buffer) => boolean;

export class Incoming {
  /** To be given to Node with the socket that is made. */
  readonly onread: OnReadOpts;
  /** A long body is being read. */
  isLong = false;
  private taker: Taker | undefined;
  /** What TLS had read already when nobody took it: no pause stops that. A copy, of one read of the system's at most. */
  private unasked: Buffer[] = [];

  constructor(buffers: ReadBuffers) {
    this.onread = {
      // Asked before the first read, and behind every read for the next one.
      buffer: () => (this.isLong ? buffers.long : buffers.short),
      callback: (count, { buffer, byteOffset }) => this.take(Buffer.from(buffer, byteOffset, count)),
    };
  }

  /** What came while there was no taker, given away: empty but for TLS. */
  takeUnasked(): Buffer {
    const bytes = this.unasked.length === 0 ? NOTHING : Buffer.concat(this.unasked);
    this.unasked = [];
    return bytes;
  }

  /** Whatever comes goes to `taker` from here on; undefined: it stays with the system. */
  goTo(taker: Taker | undefined): void {
    this.taker = taker;
  }

  private take(bytes: Buffer): boolean {
    if (this.taker !== undefined) return this.taker(bytes);
    this.unasked.push(Buffer.from(bytes));
    return false;
  }
}

/** A connection to an upstream. */
export interface Connection {
  readonly socket: Socket;
  readonly incoming: Incoming;
}
