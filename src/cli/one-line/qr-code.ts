/**
 * QR codes (ISO/IEC 18004) for an address: bytes, versions 1 to 6, error correction level M. Larger ones need version information, and do not
 * fit a terminal well. Pure.
 */

/** Rows of modules; true is dark. */
export type QrCode = readonly (readonly boolean[])[];

interface Version {
  /** Codewords in all. */
  readonly total: number;
  readonly blocks: number;
  /** Codewords for correction in each block. */
  readonly correction: number;
}

/** Table 9, level M: up to version 6 all blocks of a code are equally long. */
const VERSIONS: readonly Version[] = [
  { total: 26, blocks: 1, correction: 10 },
  { total: 44, blocks: 1, correction: 16 },
  { total: 70, blocks: 1, correction: 26 },
  { total: 100, blocks: 2, correction: 18 },
  { total: 134, blocks: 2, correction: 24 },
  { total: 172, blocks: 4, correction: 16 },
];

/** Table 10. */
const MASKS: readonly ((row: number, column: number) => boolean)[] = [
  (row, column) => (row + column) % 2 === 0,
  (row) => row % 2 === 0,
  (_row, column) => column % 3 === 0,
  (row, column) => (row + column) % 3 === 0,
  (row, column) => (Math.trunc(row / 2) + Math.trunc(column / 3)) % 2 === 0,
  (row, column) => ((row * column) % 2) + ((row * column) % 3) === 0,
  (row, column) => (((row * column) % 2) + ((row * column) % 3)) % 2 === 0,
  (row, column) => (((row + column) % 2) + ((row * column) % 3)) % 2 === 0,
];

/** Undefined for a text that is too long: more than 106 bytes. */
export function qrCode(text: string): QrCode | undefined {
  const bytes = Buffer.from(text);
  // Mode and length take 12 bits, so that with the end of the data two bytes are gone.
  const index = VERSIONS.findIndex(({ total, blocks, correction }) => bytes.length + 2 <= total - blocks * correction);
  const version = VERSIONS[index];
  if (version === undefined) return undefined;
  const bits = [...codewords(bytes, version)].flatMap((byte) => bitsOf(byte, 8));
  const plain = new Grid(index + 1);
  plain.placeData(bits);
  const masked = MASKS.map((_mask, number) => plain.masked(number));
  return masked.reduce((best, code) => (penalty(code) < penalty(best) ? code : best));
}

/** The data with its correction, the blocks interleaved (sections 7.4 to 7.6). */
function codewords(bytes: Buffer, { total, blocks, correction }: Version): Buffer {
  const room = total - blocks * correction;
  const data = Buffer.alloc(room);
  // Mode 0100 for bytes, eight bits of length, the bytes: all shifted by half a byte.
  const shifted = Buffer.from(`4${Buffer.from([bytes.length]).toString('hex')}${bytes.toString('hex')}0`, 'hex');
  shifted.copy(data);
  for (let at = shifted.length; at < room; at++) data[at] = (at - shifted.length) % 2 === 0 ? 0xec : 0x11;
  const length = room / blocks;
  const parts = Array.from({ length: blocks }, (_, at) => data.subarray(at * length, (at + 1) * length));
  return Buffer.concat([interleave(parts), interleave(parts.map((part) => remainder(part, correction)))]);
}

function interleave(parts: readonly Buffer[]): Buffer {
  const [first = Buffer.alloc(0)] = parts;
  return Buffer.from([...first.keys()].flatMap((at) => parts.map((part) => part[at] ?? 0)));
}

/** Reed-Solomon over GF(256) by x^8 + x^4 + x^3 + x^2 + 1 (section 7.5). */
function remainder(data: Buffer, length: number): Buffer {
  const generator = Buffer.alloc(length);
  generator[length - 1] = 1;
  for (let root = 1, step = 0; step < length; step++, root = multiply(root, 2))
    for (let at = 0; at < length; at++) generator[at] = multiply(generator[at] ?? 0, root) ^ (generator[at + 1] ?? 0);
  const rest = Buffer.alloc(length);
  for (const byte of data) {
    const factor = byte ^ (rest[0] ?? 0);
    rest.copyWithin(0, 1);
    rest[length - 1] = 0;
    for (let at = 0; at < length; at++) rest[at] = (rest[at] ?? 0) ^ multiply(generator[at] ?? 0, factor);
  }
  return rest;
}

function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ ((product >> 7) * 0x11d);
    product ^= ((b >> bit) & 1) * a;
  }
  return product;
}

/** The highest bit first. */
function bitsOf(value: number, count: number): readonly boolean[] {
  return Array.from({ length: count }, (_, at) => ((value >> (count - 1 - at)) & 1) === 1);
}

class Grid {
  private readonly size: number;
  private readonly dark: boolean[][];
  /** What is the same whatever the data: patterns and the place of the format. */
  private readonly fixed: boolean[][];

  constructor(version: number) {
    this.size = 17 + 4 * version;
    this.dark = this.empty();
    this.fixed = this.empty();
    const last = this.size - 7;
    for (let at = 0; at < this.size; at++) {
      this.set(6, at, at % 2 === 0);
      this.set(at, 6, at % 2 === 0);
    }
    for (const [top, left] of [
      [0, 0],
      [0, last],
      [last, 0],
    ] as const)
      this.square(top + 3, left + 3, 4, [0, 1, 3]);
    if (version > 1) this.square(this.size - 7, this.size - 7, 2, [0, 2]);
    this.placeFormat(0);
  }

  /** In columns of two from the right, up and down, past the upright line of the timing pattern (section 7.7.3). */
  placeData(bits: readonly boolean[]): void {
    const { size } = this;
    let next = 0;
    let up = true;
    for (let right = size - 1; right > 0; right -= right === 8 ? 3 : 2, up = !up)
      for (let step = 0; step < size; step++)
        for (const column of [right, right - 1]) {
          const row = up ? size - 1 - step : step;
          if (this.fixed[row]?.[column] === false) this.put(row, column, bits[next++] ?? false);
        }
  }

  masked(number: number): QrCode {
    const mask = MASKS[number];
    this.placeFormat(number);
    return this.dark.map((line, row) =>
      line.map((dark, column) => dark !== (this.fixed[row]?.[column] === false && mask?.(row, column) === true)),
    );
  }

  /** Level and mask, twice, with their own correction (section 7.9); level M is 00. */
  private placeFormat(mask: number): void {
    const { size } = this;
    let rest = mask;
    for (let step = 0; step < 10; step++) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
    const bits = bitsOf(((mask << 10) | rest) ^ 0x5412, 15);
    for (const [at, dark] of bits.entries()) {
      // Along the upper left corner, left out where the timing pattern is; and shared between the other two corners.
      if (at < 8) this.set(8, at < 6 ? at : at + 1, dark);
      else this.set(at === 8 ? 7 : 14 - at, 8, dark);
      if (at < 7) this.set(size - 1 - at, 8, dark);
      else this.set(8, size - 15 + at, dark);
    }
    this.set(size - 8, 8, true);
  }

  /** Rings around a centre, dark at these distances. */
  private square(row: number, column: number, radius: number, dark: readonly number[]): void {
    for (let y = -radius; y <= radius; y++)
      for (let x = -radius; x <= radius; x++)
        this.set(row + y, column + x, dark.includes(Math.max(Math.abs(x), Math.abs(y))));
  }

  private set(row: number, column: number, dark: boolean): void {
    const line = this.fixed[row];
    if (line?.[column] === undefined) return;
    line[column] = true;
    this.put(row, column, dark);
  }

  private put(row: number, column: number, dark: boolean): void {
    const line = this.dark[row];
    if (line !== undefined) line[column] = dark;
  }

  private empty(): boolean[][] {
    return Array.from({ length: this.size }, () => Array.from({ length: this.size }, () => false));
  }
}

/** How hard it is to read (section 7.8.3): runs, squares, what looks like a corner, and more of the one than of the other. */
function penalty(code: QrCode): number {
  const across = code.map((line) => line.map((dark) => (dark ? '1' : '0')).join(''));
  const down = across.map((_, column) => across.map((line) => line[column]).join(''));
  let points = 0;
  for (const line of [...across, ...down]) {
    for (const [run] of line.matchAll(/0{5,}|1{5,}/g)) points += run.length - 2;
    points += 40 * [...line.matchAll(/(?=10111010000|00001011101)/g)].length;
  }
  for (const [row, line] of across.entries())
    for (let column = 1; column < line.length; column++) {
      const four = `${line.slice(column - 1, column + 1)}${across[row + 1]?.slice(column - 1, column + 1) ?? ''}`;
      if (four === '0000' || four === '1111') points += 3;
    }
  const modules = code.length ** 2;
  const dark = across.join('').replaceAll('0', '').length;
  return points + 10 * Math.trunc(Math.abs((dark * 20) / modules - 10));
}
