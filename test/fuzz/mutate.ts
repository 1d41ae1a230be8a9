/** Bytes made from seeds by chance, the same ones for the same number: so that what was found can be found again. */

/** A small generator of numbers (mulberry32): not good ones, but always the same for one start. */
export class Chance {
  constructor(private state: number) {}

  /** A whole number below `bound`. */
  below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  }
}

/** Where parsers have their corners. */
const CORNERS = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ':',
  '"',
  "'",
  '%',
  '%2e',
  '..',
  '//',
  '\\',
  '[',
  ']',
  '{',
  '}',
  '=',
  ',',
  ' ',
  '\t',
  '#',
  '?',
]
  .concat([
    '\x7f',
    '\xff',
    '\xc3\xa9',
    '\u202e',
    '-1',
    '99999999999999999999',
    '0x10',
    'chunked',
    'Content-Length: 1\r\n',
    '$2y$10$',
    '"""',
  ])
  .map((text) => Buffer.from(text));
const MAX_LENGTH = 20_000;

/** A descendant of one of the seeds. */
export function mutated(seeds: readonly Buffer[], chance: Chance): Buffer {
  let bytes = seeds[chance.below(seeds.length)] ?? Buffer.alloc(0);
  for (let rounds = 1 + chance.below(6); rounds > 0; rounds--) bytes = once(bytes, seeds, chance);
  return bytes.subarray(0, MAX_LENGTH);
}

function once(bytes: Buffer, seeds: readonly Buffer[], chance: Chance): Buffer {
  const at = chance.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + chance.below(16));
  const [head, middle, tail] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)];
  switch (chance.below(7)) {
    case 0:
      return Buffer.concat([head, tail]);
    case 1:
      return Buffer.concat([head, CORNERS[chance.below(CORNERS.length)] ?? head, middle, tail]);
    case 2:
      return Buffer.concat([head, CORNERS[chance.below(CORNERS.length)] ?? head, tail]);
    case 3:
      return Buffer.concat([head, Buffer.from([chance.below(256)]), tail]);
    case 4:
      return Buffer.concat([head, ...new Array<Buffer>(1 + chance.below(50)).fill(middle), tail]);
    case 5: {
      const other = seeds[chance.below(seeds.length)] ?? head;
      return Buffer.concat([head, other.subarray(chance.below(other.length + 1))]);
    }
    default: {
      const changed = Buffer.from(bytes);
      if (changed.length > 0)
        changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ (1 << chance.below(8));
      return changed;
    }
  }
}
