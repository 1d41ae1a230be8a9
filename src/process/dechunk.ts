/**
 * Takes the chunks off a document that a program has chunked by itself (RFC 9112 section 7.1), as NPH scripts may: the engine frames
 * the reply, and framed twice it would be garbage. Pure.
 */
import { CgiOutputError } from './cgi-output.ts';

const LF = 0x0a;
/** Longest line of a chunk's size, extensions included, and longest trailer, bytes. */
const MAX_LINE = 4096;

export class Dechunker {
  private state: 'size' | 'data' | 'after-data' | 'trailer' | 'over' = 'size';
  private line = '';
  private left = 0;

  /** The last chunk has been seen: the document is whole. */
  get over(): boolean {
    return this.state === 'over';
  }

  /** The document's parts of `bytes`. What follows its end is left out. Throws a `CgiOutputError` where something is wrong. */
  *feed(bytes: Buffer): IterableIterator<Buffer> {
    for (let at = 0; at < bytes.length && this.state !== 'over'; ) {
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
      if (this.line.length > MAX_LINE) throw new CgiOutputError('a line between its chunks is too long');
      if (this.state === 'after-data' && !/^\r?$/.test(this.line))
        throw new CgiOutputError('a chunk is longer than it says');
      at = end + 1;
      if (newline >= 0) this.takeLine();
    }
  }

  private takeLine(): void {
    const line = this.line.replace(/\r$/, '');
    this.line = '';
    if (this.state === 'after-data') {
      this.state = 'size';
    } else if (this.state === 'trailer') {
      if (line === '') this.state = 'over';
    } else {
      const size = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;.*)?$/.exec(line)?.[1];
      if (size === undefined) throw new CgiOutputError(`not the size of a chunk: ${JSON.stringify(line.slice(0, 80))}`);
      this.left = Number.parseInt(size, 16);
      this.state = this.left === 0 ? 'trailer' : 'data';
    }
  }
}
