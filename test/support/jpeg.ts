/** Real JPEG pictures of one colour, as small or as large as a test wants them: baseline, without subsampling, no coefficient but the first. */

export interface PictureOptions {
  /** Pixels, multiples of 8. */
  readonly width?: number;
  readonly height?: number;
  /** Bytes of comments, which make it larger. */
  readonly padding?: number;
  /** Further segments behind the SOI, markers and lengths included. */
  readonly segments?: Buffer;
}

/** A segment: marker, length and content. */
export function segment(marker: number, content: Buffer): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(content.length + 2, 2);
  return Buffer.concat([head, content]);
}

const SOI = Buffer.from([0xff, 0xd8]);
const EOI = Buffer.from([0xff, 0xd9]);
const MAX_COMMENT = 65_533;

/** @param color red, green and blue, 0 to 255 */
export function picture(color: readonly [number, number, number], options: PictureOptions = {}): Buffer {
  const { width = 16, height = 16, padding = 0, segments = Buffer.alloc(0) } = options;
  const size = Buffer.from([8, height >> 8, height & 255, width >> 8, width & 255]);
  return Buffer.concat([
    SOI,
    segments,
    ...comments(padding),
    segment(0xdb, Buffer.from([0, ...Array(64).fill(8)])),
    segment(0xc0, Buffer.concat([size, Buffer.from([3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])])),
    // Twelve classes of differences, four bits each; and of the other coefficients nothing but the end.
    segment(0xc4, Buffer.from([0x00, 0, 0, 0, 12, ...Array(12).fill(0), ...Array(12).keys()])),
    segment(0xc4, Buffer.from([0x10, 1, ...Array(15).fill(0), 0])),
    segment(0xda, Buffer.from([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])),
    scan(color, (width / 8) * (height / 8)),
    EOI,
  ]);
}

function comments(bytes: number): Buffer[] {
  const all: Buffer[] = [];
  for (let left = bytes; left > 0; left -= MAX_COMMENT)
    all.push(segment(0xfe, Buffer.alloc(Math.min(left, MAX_COMMENT), 'a picture that is larger than it need be; ')));
  return all;
}

function scan([red, green, blue]: readonly [number, number, number], blocks: number): Buffer {
  const levels = [
    0.299 * red + 0.587 * green + 0.114 * blue - 128,
    -0.1687 * red - 0.3313 * green + 0.5 * blue,
    0.5 * red - 0.4187 * green - 0.0813 * blue,
  ].map(Math.round);
  const bits = `${levels.map((level) => `${difference(level)}0`).join('')}${'000000000000000'.repeat(blocks - 1)}`;
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1');
  const bytes: number[] = [];
  for (let at = 0; at < padded.length; at += 8) {
    const byte = Number.parseInt(padded.slice(at, at + 8), 2);
    bytes.push(byte);
    if (byte === 0xff) bytes.push(0);
  }
  return Buffer.from(bytes);
}

/** Its class in four bits, and so many bits of its own (T.81 section F.1.2.1). */
function difference(value: number): string {
  const size = value === 0 ? 0 : Math.floor(Math.log2(Math.abs(value))) + 1;
  const own = size === 0 ? '' : (value < 0 ? value + 2 ** size - 1 : value).toString(2).padStart(size, '0');
  return size.toString(2).padStart(4, '0') + own;
}
