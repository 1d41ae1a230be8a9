/**
 * How messages lie in a program's bytes. Pure: bytes in, messages out, at any split; what is held between two
 * pushes is bounded by the largest message.
 */

import { afterLastReturn } from '../process/partial-line.ts';
import { JpegDecoder, type Losses } from './jpeg.ts';

export type FramingName = 'lines' | 'raw' | 'length-prefixed' | 'jpeg';

/** Takes a program's output apart. */
export interface Decoder {
  /** The messages that are whole now. The buffers may share memory with `chunk`. Throws a `FramingError`; then it is finished. */
  push(chunk: Buffer): Buffer[];
  /** What has come of a message whose end has not: a view that the next push changes. Only of lines. */
  readonly rest?: Buffer;
  /** The output has ended: what was left of it. Throws a `FramingError` if it broke off inside a message. */
  end(): Buffer[];
  /** What was left out since this was asked last; undefined for nothing. Only of pictures. */
  takeLosses?(): Losses | undefined;
}

export interface Framing {
  readonly name: FramingName;
  /** Whether its messages are binary to clients; otherwise they are text. */
  readonly binary: boolean;
  /** The media type of its messages, where they are pictures. Nothing is written in such a framing. */
  readonly picture?: string;
  /**
   * @param maxMessage bytes; a larger message is a `FramingError`, but a larger picture is left out
   * @param overwriting of a line that is larger because it is overwritten (at each CR), what a terminal still shows is the message
   */
  decoder(maxMessage: number, overwriting?: boolean): Decoder;
  /** One message as the program reads it, in pieces to be written in order. */
  encode(message: Buffer): readonly Buffer[];
}

/** Output that does not fit the framing. The message is for the log and the close reason. */
export class FramingError extends Error {
  override readonly name = 'FramingError';
}

export function framing(name: FramingName): Framing {
  switch (name) {
    case 'lines':
      return {
        name,
        binary: false,
        decoder: (max, overwriting = false) => new LineDecoder(max, overwriting),
        encode: encodeLine,
      };
    case 'raw':
      return { name, binary: true, decoder: (max) => new RawDecoder(max), encode: (message) => [message] };
    case 'length-prefixed':
      return { name, binary: true, decoder: (max) => new LengthDecoder(max), encode: encodeLength };
    case 'jpeg':
      return {
        name,
        binary: true,
        picture: 'image/jpeg',
        decoder: (max) => new JpegDecoder(max),
        encode: (message) => [message],
      };
  }
}

const LF = 0x0a;
const CR = 0x0d;
const NEWLINE = Buffer.from('\n');

/** A message that ends in a newline already is not given a second one. */
function encodeLine(message: Buffer): readonly Buffer[] {
  return message.at(-1) === LF ? [message] : [message, NEWLINE];
}

/** Lines end in LF or CRLF; the last one may have no end. An empty line is an empty message. */
class LineDecoder implements Decoder {
  /** The beginning of a line whose end has not come. */
  private readonly head = new PartialMessage();

  constructor(
    private readonly max: number,
    private readonly overwriting: boolean,
  ) {}

  get rest(): Buffer {
    return this.head.bytes;
  }

  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let from = 0;
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, from)) {
      lines.push(this.line(chunk.subarray(from, at)));
      from = at + 1;
    }
    if (from < chunk.length) this.keep(chunk.subarray(from));
    return lines;
  }

  end(): Buffer[] {
    return this.head.length > 0 ? [this.line(Buffer.alloc(0))] : [];
  }

  private line(tail: Buffer): Buffer {
    let line = tail;
    if (this.head.length > 0) {
      this.head.add(tail);
      line = this.head.take();
    }
    if (line.at(-1) === CR) line = line.subarray(0, -1);
    if (line.length > this.max && this.overwriting) line = afterLastReturn(line);
    if (line.length > this.max) throw tooLong('line', this.max);
    return line;
  }

  private keep(part: Buffer): void {
    // One more than the largest line may be waiting: it could be the CR of a CRLF.
    if (this.head.length + part.length <= this.max + 1) {
      this.head.add(part);
      return;
    }
    if (!this.overwriting) throw tooLong('line', this.max);
    const visible = afterLastReturn(Buffer.concat([this.head.take(), part]));
    if (visible.length > this.max + 1) throw tooLong('line', this.max);
    this.head.add(visible);
  }
}

/** Bytes that wait for more: copied, so that a short rest does not keep a read buffer alive, and grown by doubling. */
class PartialMessage {
  length = 0;
  private store = Buffer.alloc(0);

  add(part: Buffer): void {
    if (this.length + part.length > this.store.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(256, this.length + part.length, this.store.length * 2));
      this.store.copy(larger, 0, 0, this.length);
      this.store = larger;
    }
    part.copy(this.store, this.length);
    this.length += part.length;
  }

  get bytes(): Buffer {
    return this.store.subarray(0, this.length);
  }

  /** Everything, and starts anew. */
  take(): Buffer {
    const { bytes } = this;
    this.store = Buffer.alloc(0);
    this.length = 0;
    return bytes;
  }
}

/** Every read is a message; one larger than the largest message is cut into several, since its borders mean nothing. */
class RawDecoder implements Decoder {
  constructor(private readonly max: number) {}

  push(chunk: Buffer): Buffer[] {
    if (chunk.length <= this.max) return chunk.length === 0 ? [] : [chunk];
    const pieces: Buffer[] = [];
    for (let from = 0; from < chunk.length; from += this.max) pieces.push(chunk.subarray(from, from + this.max));
    return pieces;
  }

  end(): Buffer[] {
    return [];
  }
}

const PREFIX_BYTES = 4;

function encodeLength(message: Buffer): readonly Buffer[] {
  const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length);
  return [prefix, message];
}

/** A message is its length as an unsigned 32-bit big-endian number, then that many bytes. */
class LengthDecoder implements Decoder {
  private readonly waiting = new PartialMessage();
  /** Bytes that must be there before the next step is worth taking: a prefix, or a prefix and its message. */
  private wanted = PREFIX_BYTES;

  constructor(private readonly max: number) {}

  push(chunk: Buffer): Buffer[] {
    let bytes = chunk;
    if (this.waiting.length > 0 || chunk.length < this.wanted) {
      this.waiting.add(chunk);
      if (this.waiting.length < this.wanted) return [];
      bytes = this.waiting.take();
    }
    const messages: Buffer[] = [];
    this.wanted = PREFIX_BYTES;
    while (bytes.length >= PREFIX_BYTES) {
      const length = bytes.readUInt32BE(0);
      if (length > this.max) throw tooLong('message', this.max, length);
      if (bytes.length < PREFIX_BYTES + length) {
        this.wanted = PREFIX_BYTES + length;
        break;
      }
      messages.push(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length));
      bytes = bytes.subarray(PREFIX_BYTES + length);
    }
    if (bytes.length > 0) this.waiting.add(bytes);
    return messages;
  }

  end(): Buffer[] {
    if (this.waiting.length > 0)
      throw new FramingError(`output ended inside a message, ${this.waiting.length} bytes into it`);
    return [];
  }
}

function tooLong(what: string, max: number, length?: number): FramingError {
  return new FramingError(
    `${what} ${length === undefined ? '' : `of ${length} bytes `}over max_message (${max} bytes)`,
  );
}
