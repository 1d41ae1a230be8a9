/**
 * Takes a multipart body apart (RFC 2046 section 5.1), part by part as they come: cameras and old pages send `multipart/x-mixed-replace`. At any
 * split, bounded by the largest part. Pure.
 *
 * Cameras write the boundary in quotes or not, declare it with the dashes that belong in front of it, or send others than they declare; so
 * the first line that is the declared boundary but for dashes shows what the boundary is. Some send it right behind a picture, without a line
 * end before it. Content-Length is believed until what it says is wrong: from then on only boundaries count.
 */
import { isToken } from '../engine/heads.ts';
import { UpstreamError } from './faults.ts';

export interface Part {
  /** The Content-Type; "" for none, but for a JPEG picture. */
  readonly type: string;
  readonly data: Buffer;
}

const LF = 0x0a;
const CR = 0x0d;
const DASH = 0x2d;
/** Longest head of one part, and longest line between parts, bytes. */
const MAX_HEAD = 16 * 1024;
/** As much may come before the first boundary, or in one part that nobody wants any more. Bytes. */
const MAX_WITHOUT_BOUNDARY = 64 * 1024 * 1024;

/** The boundary that a Content-Type declares; undefined for one that has none, and for what is not multipart. */
export function boundaryOf(contentType: string): string | undefined {
  if (!/^\s*multipart\//i.test(contentType)) return undefined;
  const [, quoted, plain] = /;\s*boundary\s*=\s*(?:"([^"]*)"|([^\s;]*))/i.exec(contentType) ?? [];
  const boundary = (quoted ?? plain ?? '').trim();
  return withoutDashes(boundary) === '' ? undefined : boundary;
}

export class MultipartReader {
  /** Parts that were left out because they were too large. */
  oversized = 0;
  /** Stretches that belong to no part. */
  stray = 0;
  /** The last boundary has come. */
  over = false;
  /** Behind a part whose length was told, a boundary has to come. */
  private state: 'between' | 'behind' | 'head' | 'body' = 'between';
  /** The beginning of a line, or of a head. */
  private line = '';
  private headBytes = 0;
  private type = '';
  /** Of the part; undefined where its head does not say. */
  private length: number | undefined;
  private readonly core: string;
  /** A boundary with its dashes, as it is sent; undefined before the first. */
  private delimiter: Buffer | undefined;
  private readonly body: GrowingBuffer;
  /** Bytes that have come since the last boundary. */
  private passed = 0;
  private isTooLarge = false;
  /** What comes up to the next boundary belongs to no part. */
  private isStray = false;
  private lengthsAreWrong = false;

  /** @param max bytes of one part */
  constructor(
    boundary: string,
    private readonly max: number,
  ) {
    this.core = withoutDashes(boundary);
    // The largest part, a window behind it, and the longest boundary.
    this.body = new GrowingBuffer(max + 2 * WINDOW);
  }

  /** The parts that are whole now. Throws an `UpstreamError`. */
  push(chunk: Buffer): Part[] {
    const parts: Part[] = [];
    let at = 0;
    while (at < chunk.length && !this.over) {
      if (this.state === 'body') at = this.takeBody(chunk, at, parts);
      else at = this.takeLine(chunk, at, parts);
    }
    return parts;
  }

  // ---- lines: boundaries and heads ----

  private takeLine(chunk: Buffer, from: number, parts: Part[]): number {
    const newline = chunk.indexOf(LF, from);
    const end = newline < 0 ? chunk.length : newline + 1;
    this.count(end - from);
    // What comes before the first boundary may be one long line: its end would be enough, but there is nothing to be found in it.
    if (this.line.length < MAX_HEAD) this.line += chunk.toString('latin1', from, end);
    else if (this.state === 'head') throw tooMuch('the head of a part of its response is too large');
    if (newline < 0) {
      if (this.state === 'behind' && this.line.length > MAX_BOUNDARY) this.loseWay(parts);
      return end;
    }
    if (this.state === 'behind' && this.line.trim() !== '' && !this.isWholeBoundary(this.line)) {
      this.loseWay(parts);
      return end;
    }
    const line = this.line.replace(/\r?\n$/, '');
    this.line = '';
    if (this.state === 'head') this.takeField(line);
    else this.takeBoundary(line);
    return end;
  }

  private takeBoundary(line: string): void {
    if (!this.isBoundary(line)) return;
    const text = line.trim();
    const [before = '', after = ''] = text.split(this.core, 2);
    if (after.length >= 2 && this.delimiter !== undefined) {
      this.over = true;
      return;
    }
    this.delimiter ??= Buffer.from(`${before}${this.core}`, 'latin1');
    this.beginHead();
  }

  /** Whether a line is the boundary, but for dashes. */
  private isBoundary(line: string): boolean {
    const text = line.trim();
    const first = text.indexOf(this.core);
    return first >= 0 && /^-*$/.test(text.slice(0, first)) && /^-*$/.test(text.slice(first + this.core.length));
  }

  /** With no dash less than before: else the length that was told has taken some of it. */
  private isWholeBoundary(line: string): boolean {
    return this.isBoundary(line) && line.includes(this.delimiter?.toString('latin1') ?? '');
  }

  /** The part before this line had another length than it said: the line is in the middle of something. */
  private loseWay(parts: Part[]): void {
    this.lengthsAreWrong = true;
    this.stray++;
    this.isStray = true;
    this.state = 'body';
    this.body.add(Buffer.from(this.line, 'latin1'));
    this.line = '';
    // A boundary can only be at the end of the line, so nothing is left over.
    this.seekBoundary(0, parts);
  }

  private beginHead(): void {
    this.state = 'head';
    this.line = '';
    this.headBytes = 0;
    this.type = '';
    this.length = undefined;
    this.passed = 0;
  }

  private takeField(line: string): void {
    this.headBytes += line.length;
    if (this.headBytes > MAX_HEAD) throw tooMuch('the head of a part of its response is too large');
    if (line === '') {
      this.state = 'body';
      this.passed = 0;
      if (this.lengthsAreWrong) this.length = undefined;
      this.isTooLarge = (this.length ?? 0) > this.max;
      return;
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
    if (!isToken(name)) return;
    const value = line.slice(colon + 1).trim();
    if (name === 'content-type') this.type = value;
    // A length of 0 is what some cameras write that do not know it yet.
    else if (name === 'content-length' && /^\d{1,12}$/.test(value)) this.length = Number(value) || undefined;
    if (!this.lengthsAreWrong && (this.length ?? 0) > MAX_WITHOUT_BOUNDARY)
      throw tooMuch('a part of its response is too large', `${this.length} bytes`);
  }

  // ---- bodies ----

  private takeBody(chunk: Buffer, from: number, parts: Part[]): number {
    if (this.length !== undefined) return this.takeCounted(chunk, from, this.length, parts);
    const { body } = this;
    // A boundary may begin at the first byte, for a part without a body; and it may lie across two reads.
    if (body.length === 0 && !this.isLeftOut) body.add(NEWLINE);
    const known = body.length;
    // Not all at once: of many small parts in one chunk each would copy what follows it.
    const end = Math.min(chunk.length, from + WINDOW);
    body.add(chunk.subarray(from, end));
    this.count(end - from);
    // What follows the boundary's own line is read again from the chunk.
    return end - this.seekBoundary(known, parts);
  }

  private get isLeftOut(): boolean {
    return this.isTooLarge || this.isStray;
  }

  /**
   * Ends the part if there is a boundary behind it.
   * @param known where nothing ended before
   * @returns how many of the last bytes are behind the boundary
   */
  private seekBoundary(known: number, parts: Part[]): number {
    const { delimiter, body } = this;
    if (delimiter === undefined) throw new TypeError('a part without a boundary before it');
    const kept = delimiter.length + TAIL + END_OF_PICTURE.length;
    const found = this.boundaryIn(body.bytes, Math.max(0, known - kept), delimiter);
    if (found === undefined) {
      if (body.length - 1 > this.max + kept) this.isTooLarge = true;
      if (this.isLeftOut) body.keepLast(kept);
      return 0;
    }
    const rest = body.length - found.end;
    this.endPart(withoutLineEnd(body.bytes.subarray(1, Math.max(1, found.at))), parts);
    if (found.isLast) this.over = true;
    else this.beginHead();
    return rest;
  }

  /** A boundary and the line that it is, whole; `at` is where it begins, `end` behind its own line end. */
  private boundaryIn(
    bytes: Buffer,
    from: number,
    delimiter: Buffer,
  ): { readonly at: number; readonly end: number; readonly isLast: boolean } | undefined {
    for (let at = bytes.indexOf(delimiter, from); at >= 0; at = bytes.indexOf(delimiter, at + 1)) {
      if (!this.mayEndAt(bytes, at)) continue;
      const after = at + delimiter.length;
      const newline = bytes.subarray(0, after + TAIL).indexOf(LF, after);
      if (newline < 0) {
        // "--" behind it says that it is the last one; nothing need follow.
        if (bytes[after] === DASH && bytes[after + 1] === DASH) return { at, end: bytes.length, isLast: true };
        if (bytes.length - after < TAIL) return undefined;
        continue;
      }
      const tail = bytes.toString('latin1', after, newline).trim();
      if (/^-*$/.test(tail)) return { at, end: newline + 1, isLast: tail.length >= 2 };
    }
    return undefined;
  }

  /** A boundary begins a line, or comes right behind a JPEG picture. What is left out has no other end. */
  private mayEndAt(bytes: Buffer, at: number): boolean {
    return this.isStray || bytes[at - 1] === LF || bytes.subarray(Math.max(0, at - 2), at).equals(END_OF_PICTURE);
  }

  private takeCounted(chunk: Buffer, from: number, length: number, parts: Part[]): number {
    const { body } = this;
    const end = Math.min(chunk.length, from + (length - this.passed));
    if (!this.isTooLarge) body.add(chunk.subarray(from, end));
    this.count(end - from);
    if (this.passed < length) return end;
    this.endPart(body.bytes, parts);
    this.state = 'behind';
    this.length = undefined;
    this.passed = 0;
    return end;
  }

  /** @param data shares memory with what grows */
  private endPart(data: Buffer, parts: Part[]): void {
    if (this.isStray) this.isStray = false;
    else if (this.isTooLarge || data.length > this.max) this.oversized++;
    // A camera that has nothing to show may send a part of nothing.
    else if (data.length > 0) parts.push({ type: this.type || guessedType(data), data: Buffer.from(data) });
    this.body.clear();
    this.isTooLarge = false;
  }

  private count(bytes: number): void {
    this.passed += bytes;
    if (this.passed > MAX_WITHOUT_BOUNDARY && this.length === undefined)
      throw tooMuch('its parts have no boundary', `none within ${MAX_WITHOUT_BOUNDARY} bytes`);
  }
}

/** White space and dashes behind a boundary, with the line end. Bytes. */
const TAIL = 16;
/** As much of a body is looked at in one step. Bytes. */
const WINDOW = 8 * 1024;
const NEWLINE = Buffer.from('\n');
/** Markers of JPEG. */
const BEGIN_OF_PICTURE = Buffer.from([0xff, 0xd8, 0xff]);
const END_OF_PICTURE = Buffer.from([0xff, 0xd9]);
/** Longest boundary with white space around it that may follow a part whose length was told. Bytes. */
const MAX_BOUNDARY = 256;

/** Bytes that come piece by piece: copied, and grown by doubling up to half of what is expected at most, and then to that. */
class GrowingBuffer {
  length = 0;
  private store = Buffer.alloc(0);

  /** @param most bytes: with twice of something just below it, three times of it would be in memory while it is copied */
  constructor(private readonly most: number) {}

  get bytes(): Buffer {
    return this.store.subarray(0, this.length);
  }

  add(part: Buffer): void {
    if (this.length + part.length > this.store.length) {
      const twice = Math.max(4096, this.length + part.length, this.store.length * 2);
      const larger = Buffer.allocUnsafeSlow(twice * 2 > this.most ? Math.max(twice, this.most) : twice);
      this.store.copy(larger, 0, 0, this.length);
      this.store = larger;
    }
    part.copy(this.store, this.length);
    this.length += part.length;
  }

  keepLast(count: number): void {
    if (this.length <= count) return;
    // What is left out is passed window by window through the same few bytes: a new store for each would be much garbage.
    const store = this.store.length > 4 * WINDOW ? Buffer.allocUnsafeSlow(2 * WINDOW + count) : this.store;
    this.store.copy(store, 0, this.length - count, this.length);
    this.store = store;
    this.length = count;
  }

  clear(): void {
    this.length = 0;
  }
}

/** Of a part that does not say. */
function guessedType(data: Buffer): string {
  return data.subarray(0, BEGIN_OF_PICTURE.length).equals(BEGIN_OF_PICTURE) ? 'image/jpeg' : '';
}

function withoutDashes(boundary: string): string {
  return boundary.replace(/^-+/, '');
}

/** The line end before a boundary belongs to that. */
function withoutLineEnd(bytes: Buffer): Buffer {
  let end = bytes.length;
  if (bytes[end - 1] === LF) end--;
  if (bytes[end - 1] === CR) end--;
  return bytes.subarray(0, end);
}

function tooMuch(message: string, detail?: string): UpstreamError {
  return new UpstreamError(message, detail === undefined ? {} : { detail });
}
