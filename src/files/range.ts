/** Parts of a file (RFC 9110 section 14): which ones a request asks for, and several of them in one answer. Pure. */
import { randomBytes } from 'node:crypto';

/** Bytes `start` up to and with `end`, counted from 0. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** More ranges than this in one request are nobody's honest wish: the whole file is sent (RFC 9110 section 14.2). */
const MAX_RANGES = 100;

/**
 * The parts of a file of `size` bytes that a Range field asks for, in the order asked; those that overlap or touch have become one, in
 * the place of the first of them (RFC 9110 section 15.3.7.2), so that no answer is longer than the file and what frames its parts.
 * "whole": the field is to be ignored (another unit, wrong syntax, too many); "unsatisfiable": 416.
 */
export function parseRange(field: string, size: number): readonly ByteRange[] | 'whole' | 'unsatisfiable' {
  const match = /^[ \t]*bytes[ \t]*=(.*)$/i.exec(field);
  if (match?.[1] === undefined) return 'whole';
  const ranges: ByteRange[] = [];
  let asked = 0;
  for (const part of match[1].split(',')) {
    const text = part.trim();
    if (text === '') continue;
    if (++asked > MAX_RANGES) return 'whole';
    const bounds = /^(\d*)-(\d*)$/.exec(text);
    const [first, last] = [bounds?.[1], bounds?.[2]];
    if (first === undefined || last === undefined || (first === '' && last === '')) return 'whole';
    if (first === '') {
      const length = Math.min(Number(last), size);
      if (length > 0) ranges.push({ start: size - length, end: size - 1 });
      continue;
    }
    const start = Number(first);
    const end = last === '' ? Number.POSITIVE_INFINITY : Number(last);
    if (end < start) return 'whole';
    if (start < size) ranges.push({ start, end: Math.min(end, size - 1) });
  }
  if (asked === 0) return 'whole';
  return ranges.length === 0 ? 'unsatisfiable' : coalesced(ranges);
}

interface Placed extends ByteRange {
  readonly place: number;
}

function coalesced(ranges: readonly ByteRange[]): readonly ByteRange[] {
  if (ranges.length === 1) return ranges;
  const byStart = ranges.map((range, place): Placed => ({ ...range, place })).sort((a, b) => a.start - b.start);
  const apart: Placed[] = [];
  for (const range of byStart) {
    const before = apart.at(-1);
    if (before === undefined || range.start > before.end + 1) apart.push(range);
    else
      apart[apart.length - 1] = {
        start: before.start,
        end: Math.max(before.end, range.end),
        place: Math.min(before.place, range.place),
      };
  }
  return apart.sort((a, b) => a.place - b.place).map(({ start, end }) => ({ start, end }));
}

/** The Content-Range of a part, or of a 416 when there is none. */
export function contentRange(range: ByteRange | undefined, size: number): string {
  return range ? `bytes ${range.start}-${range.end}/${size}` : `bytes */${size}`;
}

// ---- several parts in one answer: multipart/byteranges (section 14.6) ----

/** What goes onto the wire, in order: bytes as they are, and parts of the file. */
export type RangePiece = Uint8Array | ByteRange;

export interface Multipart {
  readonly contentType: string;
  readonly pieces: readonly RangePiece[];
}

/** The `ranges` of a file of `size` bytes and the type `type`, each with its own head. The boundary is a guess that nobody's file contains. */
export function multipart(
  ranges: readonly ByteRange[],
  type: string,
  size: number,
  boundary = randomBytes(12).toString('hex'),
): Multipart {
  const pieces = ranges.flatMap((range, index): RangePiece[] => {
    const head = `--${boundary}\r\ncontent-type: ${type}\r\ncontent-range: ${contentRange(range, size)}\r\n\r\n`;
    return [Buffer.from(index === 0 ? head : `\r\n${head}`), range];
  });
  pieces.push(Buffer.from(`\r\n--${boundary}--\r\n`));
  return { contentType: `multipart/byteranges; boundary=${boundary}`, pieces };
}

export function isRange(piece: RangePiece): piece is ByteRange {
  return 'start' in piece;
}

/** Bytes of all pieces together. */
export function lengthOf(pieces: readonly RangePiece[]): number {
  return pieces.reduce((sum, piece) => sum + (isRange(piece) ? piece.end - piece.start + 1 : piece.length), 0);
}

/** The pieces of a file that is in memory. */
export function assembled(pieces: readonly RangePiece[], file: Buffer): Buffer {
  return Buffer.concat(pieces.map((piece) => (isRange(piece) ? file.subarray(piece.start, piece.end + 1) : piece)));
}
