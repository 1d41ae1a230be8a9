/** Several parts of a file in one answer: multipart/byteranges (RFC 9110 section 14.6). */
import { randomBytes } from 'node:crypto';
import { type ByteRange, contentRange } from './range.ts';

/** What goes onto the wire, in order: bytes as they are, and parts of the file. */
export type Piece = Uint8Array | ByteRange;

export interface Multipart {
  readonly contentType: string;
  readonly pieces: readonly Piece[];
}

/** The `ranges` of a file of `size` bytes and the type `type`, each with its own head. The boundary is a guess that nobody's file contains. */
export function multipart(
  ranges: readonly ByteRange[],
  type: string,
  size: number,
  boundary = randomBytes(12).toString('hex'),
): Multipart {
  const pieces = ranges.flatMap((range, index): Piece[] => {
    const head = `--${boundary}\r\ncontent-type: ${type}\r\ncontent-range: ${contentRange(range, size)}\r\n\r\n`;
    return [Buffer.from(index === 0 ? head : `\r\n${head}`), range];
  });
  pieces.push(Buffer.from(`\r\n--${boundary}--\r\n`));
  return { contentType: `multipart/byteranges; boundary=${boundary}`, pieces };
}

export function isRange(piece: Piece): piece is ByteRange {
  return 'start' in piece;
}

/** Bytes of all pieces together. */
export function lengthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + (isRange(piece) ? piece.end - piece.start + 1 : piece.length), 0);
}

/** The pieces of a file that is in memory. */
export function assembled(pieces: readonly Piece[], file: Buffer): Buffer {
  return Buffer.concat(pieces.map((piece) => (isRange(piece) ? file.subarray(piece.start, piece.end + 1) : piece)));
}
