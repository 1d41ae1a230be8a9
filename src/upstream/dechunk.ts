/**
 * Takes the chunks off a body (RFC 9112 section 7.1): of an upstream, or of a CGI program that has chunked its document by itself. Bare LF
 * and white space behind a size are taken. Pure.
 */

/** These are not chunks. */
export class ChunkError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'ChunkError';
  }
}

const LF = 0x0a;
/** Longest line of a chunk's size, extensions included, and longest trailer, bytes. */
const MAX_LINE = 4096;
/** Longest trailer in all, bytes. */
const MAX_TRAILER = 64 * 1024;

export class Dechunker {
  private state: 'size' | 'data' | 'after-data' | 'trailer' | 'over' = 'size';
  private line = '';
  private left = 0;
  private trailer = 0;
  private more = false;
  private chunks = 0;
  private sizesEndInCrlf = true;

  /** The body is over, its trailer too. */
  get over(): boolean {
    return this.state === 'over';
  }

  /** The last chunk has been seen: nothing of the body is missing. */
  get whole(): boolean {
    return this.state === 'over' || this.state === 'trailer';
  }

  /** A chunk has been seen with the line end behind it, or all of a body. */
  get proven(): boolean {
    return this.chunks > 0 || this.state === 'over';
  }

  /** There was a size, and each of them ended in CRLF. */
  get crlf(): boolean {
    return this.state !== 'size' && this.sizesEndInCrlf;
  }

  /** Something came after its end. */
  get surplus(): boolean {
    return this.more;
  }

  /** The body's parts of `bytes`. What follows its end is left out. Throws a `ChunkError` where something is wrong. */
  *feed(bytes: Buffer): IterableIterator<Buffer> {
    let at = 0;
    while (at < bytes.length && this.state !== 'over') {
      if (this.state === 'data') {
        const part = bytes.subarray(at, at + this.left);
        at += part.length;
        this.left -= part.length;
        if (this.left === 0) this.state = 'after-data';
        yield part;
        continue;
      }
      const newline = bytes.indexOf(LF, at);
      const end = newline < 0 ? bytes.length : newline;
      this.line += bytes.toString('latin1', at, end);
      if (this.line.length > MAX_LINE) throw new ChunkError('a line between its chunks is too long');
      if (this.state === 'after-data' && !/^\r?$/.test(this.line))
        throw new ChunkError('a chunk is longer than its stated size');
      at = end + 1;
      if (newline >= 0) this.takeLine();
    }
    if (at < bytes.length) this.more = true;
  }

  private takeLine(): void {
    const line = this.line.replace(/\r$/, '');
    if (this.state === 'size' && line === this.line) this.sizesEndInCrlf = false;
    this.line = '';
    if (this.state === 'after-data') {
      this.chunks++;
      this.state = 'size';
    } else if (this.state === 'trailer') {
      this.trailer += line.length;
      if (this.trailer > MAX_TRAILER) throw new ChunkError('the trailer after its chunks is too long');
      if (line === '') this.state = 'over';
    } else {
      const size = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;.*)?$/.exec(line)?.[1];
      if (size === undefined) throw new ChunkError(`not the size of a chunk: ${JSON.stringify(line.slice(0, 80))}`);
      this.left = Number.parseInt(size, 16);
      this.state = this.left === 0 ? 'trailer' : 'data';
    }
  }
}
