/**
 * The document of a program that says `Transfer-Encoding: chunked`. NPH scripts mean it; scripts that pass an upstream's fields on
 * mostly have only the field, because their client has taken the chunks off. So nothing is believed before the first chunk is there
 * whole: what does not begin with one is the document itself. Pure.
 */
import { ChunkError, Dechunker } from '../../upstream/dechunk.ts';

/** A first chunk that is longer than this is believed, bytes. */
const MOST_HELD = 64 * 1024;

export interface Unchunked {
  readonly bytes: Buffer;
  /** The document is over, or what comes is wrong from here on. */
  readonly over: boolean;
  readonly wrong: ChunkError | undefined;
}

export class Unchunker {
  private readonly dechunker = new Dechunker();
  private state: 'undecided' | 'chunks' | 'plain' = 'undecided';
  /** As it came, and without chunks, while it is undecided. */
  private raw: Buffer[] = [];
  private parts: Buffer[] = [];
  private held = 0;

  feed(chunk: Buffer): Unchunked {
    if (this.state === 'plain') return { bytes: chunk, over: false, wrong: undefined };
    if (this.state === 'undecided') {
      this.raw.push(chunk);
      this.held += chunk.length;
    }
    let wrong: ChunkError | undefined;
    try {
      for (const part of this.dechunker.feed(chunk)) this.parts.push(part);
    } catch (error) {
      if (!(error instanceof ChunkError)) throw error;
      wrong = error;
    }
    if (this.state === 'undecided') {
      if (wrong !== undefined && !this.dechunker.proven) return this.plain();
      if (this.dechunker.proven || this.held > MOST_HELD) this.state = 'chunks';
      else return { bytes: Buffer.alloc(0), over: false, wrong: undefined };
    }
    this.raw = [];
    const bytes = Buffer.concat(this.parts);
    this.parts = [];
    return { bytes, over: this.dechunker.over || wrong !== undefined, wrong };
  }

  /** Nothing more comes. Line ends that only chunks have are taken for an unfinished one, so that it is not sent as a document. */
  end(): Unchunked {
    if (this.state === 'plain') return { bytes: Buffer.alloc(0), over: true, wrong: undefined };
    if (this.state === 'undecided' && !this.dechunker.crlf) return { ...this.plain(), over: true };
    const wrong = this.dechunker.whole ? undefined : new ChunkError('its output ended before its last chunk');
    return { bytes: Buffer.concat(this.parts), over: true, wrong };
  }

  private plain(): Unchunked {
    const bytes = Buffer.concat(this.raw);
    this.state = 'plain';
    this.raw = [];
    this.parts = [];
    return { bytes, over: false, wrong: undefined };
  }
}
