/** Parts of a file (RFC 9110 section 14). Pure. */

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
