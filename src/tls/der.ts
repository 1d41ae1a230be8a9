/** Writes and reads the few parts of DER (ITU-T X.690) that certificates are made of. */

/** A tag, a length, and the content. */
function element(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const size: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) size.unshift(rest % 256);
  const head = length < 128 ? [tag, length] : [tag, 0x80 | size.length, ...size];
  return Buffer.concat([Buffer.from(head), content]);
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return element(0x30, Buffer.concat(parts));
}

export function set(...parts: readonly Uint8Array[]): Buffer {
  return element(0x31, Buffer.concat(parts));
}

/** A positive number, given as its bytes with the most significant first. */
export function positive(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const short = start === -1 ? Buffer.from([0]) : Buffer.from(bytes.subarray(start));
  // A leading one would be the sign.
  return element(0x02, (short[0] ?? 0) < 0x80 ? short : Buffer.concat([Buffer.from([0]), short]));
}

export function boolean(value: boolean): Buffer {
  return element(0x01, Buffer.from([value ? 0xff : 0]));
}

export function octets(content: Uint8Array): Buffer {
  return element(0x04, content);
}

/** Whole bytes. */
export function bits(content: Uint8Array): Buffer {
  return element(0x03, Buffer.concat([Buffer.from([0]), content]));
}

/** Single flags by their numbers, without trailing zeros (X.690 section 11.2.2): at most eight. */
export function flags(...numbers: readonly number[]): Buffer {
  const byte = numbers.reduce((sum, number) => sum | (0x80 >> number), 0);
  return element(0x03, Buffer.from([7 - Math.max(...numbers), byte]));
}

/** "1.2.840.10045.4.3.2". */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const digits = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      digits.unshift(0x80 | (left & 0x7f));
    bytes.push(...digits);
  }
  return element(0x06, Buffer.from(bytes));
}

export function utf8(text: string): Buffer {
  return element(0x0c, Buffer.from(text));
}

/** UTCTime up to 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5); to the second. */
export function time(date: Date): Buffer {
  const digits = `${date.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
  return date.getUTCFullYear() < 2050
    ? element(0x17, Buffer.from(digits.slice(2)))
    : element(0x18, Buffer.from(digits));
}

/** `[number]` around whole elements. */
export function explicit(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return element(0xa0 | number, Buffer.concat(parts));
}

/** `[number]` in the place of a primitive element's own tag. */
export function implicit(number: number, content: Uint8Array): Buffer {
  return element(0x80 | number, content);
}

export interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/** The elements that `bytes` is a sequence of. Throws a `RangeError` for what is not DER. */
export function elements(bytes: Buffer): readonly Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at] ?? 0;
    let length = bytes[at + 1] ?? 0;
    let start = at + 2;
    if (length >= 0x80) {
      const size = length & 0x7f;
      if (size === 0 || size > 4) throw new RangeError('a length that DER does not have');
      length = bytes.readUIntBE(start, size);
      start += size;
    }
    const end = start + length;
    if (end > bytes.length) throw new RangeError('an element that ends behind its bytes');
    found.push({ tag, content: bytes.subarray(start, end) });
    at = end;
  }
  return found;
}

/** The dotted form of an object identifier's content. */
export function oidText(content: Buffer): string {
  const [first = 0, ...rest] = content;
  const arcs = [Math.min(2, Math.floor(first / 40))];
  arcs.push(first - (arcs[0] ?? 0) * 40);
  let arc = 0;
  for (const byte of rest) {
    arc = arc * 128 + (byte & 0x7f);
    if (byte >= 0x80) continue;
    arcs.push(arc);
    arc = 0;
  }
  return arcs.join('.');
}

/** Milliseconds since 1970 of a UTCTime or GeneralizedTime as certificates have them: to the second, with "Z". Throws a `RangeError`. */
export function parseTime({ tag, content }: Element): number {
  const digits = content.toString('latin1');
  // Two digits are 1950 to 2049 (RFC 5280 section 4.1.2.5.1).
  const full = tag === 0x17 ? (Number(digits.slice(0, 2)) < 50 ? '20' : '19') + digits : digits;
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(full)?.slice(1).map(Number);
  const [year, month, date, hour, minute, second] = parts ?? [];
  if (year === undefined || month === undefined) throw new RangeError('not a time');
  return Date.UTC(year, month - 1, date, hour, minute, second);
}
