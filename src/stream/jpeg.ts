/**
 * Cuts bytes into whole JPEG pictures at their markers (ITU-T T.81, annex B). Segments are passed by their lengths, so that a thumbnail in one of
 * them, which has markers of its own, does not end the picture. What lies between pictures is left out and counted, and so is a picture that is
 * broken or too large: the next one begins a new start. Linear in what comes; what is held is bounded by the largest picture.
 */

const MARKER = 0xff;
const START = Buffer.from([MARKER, 0xd8]);
const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const NOTHING = Buffer.alloc(0);

/**
 * Where the next byte is: outside of any picture, behind an FF there, where a marker has to begin, at its second byte, in the length of a
 * segment (two bytes), inside of a segment, in the data of a scan, behind an FF there.
 */
type Place = 'outside' | 'outside-ff' | 'marker' | 'code' | 'length' | 'length-low' | 'segment' | 'scan' | 'scan-ff';

/** What became no message. */
export interface Losses {
  /** Messages that were larger than the largest. */
  readonly tooLarge: number;
  /** Stretches that are no message: what lies between two, or one that is broken. */
  readonly stray: number;
}

/** A decoder as `framing.ts` has them. */
export class JpegDecoder {
  private place: Place = 'outside';
  /** What has come of the picture in earlier chunks. */
  private readonly held = new Pieces();
  /** Where the picture begins, or goes on, in this chunk. */
  private from = 0;
  /** Bytes of the segment that are still to come. */
  private left = 0;
  private isScan = false;
  /** The picture is larger than any may be: it is passed over to its end. */
  private isTooLarge = false;
  /** Inside of a stretch that is no picture, which is counted once. */
  private isStray = false;
  private tooLarge = 0;
  private stray = 0;

  /** @param max bytes of a picture */
  constructor(private readonly max: number) {}

  push(chunk: Buffer): Buffer[] {
    const pictures: Buffer[] = [];
    this.from = 0;
    for (let at = 0; at < chunk.length; ) at = this.step(chunk, at, pictures);
    if (this.isInside) this.hold(chunk.subarray(this.from));
    return pictures;
  }

  /** A picture that has no end is none. */
  end(): Buffer[] {
    if (this.isInside && !this.isTooLarge) this.countStray();
    this.leave();
    return [];
  }

  takeLosses(): Losses | undefined {
    const { tooLarge, stray } = this;
    if (tooLarge === 0 && stray === 0) return undefined;
    this.tooLarge = 0;
    this.stray = 0;
    return { tooLarge, stray };
  }

  private get isInside(): boolean {
    return this.place !== 'outside' && this.place !== 'outside-ff';
  }

  /** @returns where it goes on */
  private step(chunk: Buffer, at: number, pictures: Buffer[]): number {
    const byte = chunk[at] as number;
    switch (this.place) {
      case 'outside':
        return this.seek(chunk, at);
      case 'outside-ff':
        if (byte === SOI) this.begin(at + 1);
        else if (byte !== MARKER) {
          this.countStray();
          this.place = 'outside';
        }
        return at + 1;
      case 'marker':
        if (byte === MARKER) this.place = 'code';
        else this.break(at);
        return at + 1;
      case 'code':
        this.takeCode(chunk, at, byte, pictures);
        return at + 1;
      case 'length':
        this.left = byte << 8;
        this.place = 'length-low';
        return at + 1;
      case 'length-low':
        this.left = (this.left | byte) - 2;
        if (this.left < 0) this.break(at);
        else this.place = 'segment';
        if (this.left === 0) this.endSegment();
        return at + 1;
      case 'segment': {
        const end = Math.min(chunk.length, at + this.left);
        this.left -= end - at;
        if (this.left === 0) this.endSegment();
        return end;
      }
      case 'scan': {
        const found = chunk.indexOf(MARKER, at);
        if (found < 0) return chunk.length;
        this.place = 'scan-ff';
        return found + 1;
      }
      case 'scan-ff':
        // A byte FF of the data is followed by 00. Restart markers belong to the scan; several FF before a marker fill up.
        if (byte === 0 || (byte >= 0xd0 && byte <= 0xd7)) this.place = 'scan';
        else if (byte !== MARKER) this.takeCode(chunk, at, byte, pictures);
        return at + 1;
    }
  }

  private seek(chunk: Buffer, at: number): number {
    const found = chunk.indexOf(MARKER, at);
    if (found !== at) this.countStray();
    if (found < 0) return chunk.length;
    this.place = 'outside-ff';
    return found + 1;
  }

  /** @param at behind the SOI, which may lie in two chunks */
  private begin(at: number): void {
    this.place = 'marker';
    this.isStray = false;
    if (at >= START.length) this.from = at - START.length;
    else {
      this.from = at;
      this.held.add(START);
    }
  }

  private takeCode(chunk: Buffer, at: number, code: number, pictures: Buffer[]): void {
    if (code === EOI) this.finish(chunk, at + 1, pictures);
    else if (code === SOI) {
      // The picture before it broke off.
      this.break(at);
      this.begin(at + 1);
    } else if (code === 0) this.break(at);
    // TEM and the restart markers have no length. Behind an FF come further ones that fill up.
    else if (code === 0x01 || (code >= 0xd0 && code <= 0xd7)) this.place = 'marker';
    else if (code !== MARKER) {
      this.isScan = code === SOS;
      this.place = 'length';
    }
  }

  private endSegment(): void {
    this.place = this.isScan ? 'scan' : 'marker';
  }

  /** @param end behind the EOI */
  private finish(chunk: Buffer, end: number, pictures: Buffer[]): void {
    const part = chunk.subarray(this.from, end);
    const isOnePiece = this.held.length === 0 && part.length <= this.max;
    if (!isOnePiece) this.hold(part);
    if (!this.isTooLarge) pictures.push(isOnePiece ? part : this.held.take());
    this.leave();
  }

  private hold(part: Buffer): void {
    if (this.isTooLarge) return;
    if (this.held.length + part.length > this.max) {
      this.isTooLarge = true;
      this.tooLarge++;
      this.held.clear();
    } else this.held.add(part);
  }

  /** @param at what came before it of this chunk is no picture */
  private break(at: number): void {
    if (!this.isTooLarge && this.held.length + at - this.from > this.max) this.tooLarge++;
    else if (!this.isTooLarge) this.countStray();
    this.leave();
    // What follows up to the next picture belongs to it.
    this.isStray = true;
  }

  private leave(): void {
    this.held.clear();
    this.isTooLarge = false;
    this.isStray = false;
    this.place = 'outside';
  }

  private countStray(): void {
    if (this.isStray) return;
    this.isStray = true;
    this.stray++;
  }
}

/** Smaller parts are gathered, because an object for each of very many costs more than they hold. Bytes. */
const SMALL = 1024;
const GATHERED = 16 * 1024;

/** A picture in the pieces in which it came: they are copied once, into the whole. */
class Pieces {
  length = 0;
  private pieces: Buffer[] = [];
  /** What small parts are gathered in, at the end of the pieces. */
  private gathering = NOTHING;
  private gathered = 0;

  add(part: Buffer): void {
    this.length += part.length;
    if (part.length >= SMALL) {
      this.closeGathering();
      this.pieces.push(part);
      return;
    }
    if (this.gathered + part.length > this.gathering.length) {
      this.closeGathering();
      this.gathering = Buffer.allocUnsafeSlow(GATHERED);
    }
    part.copy(this.gathering, this.gathered);
    this.gathered += part.length;
  }

  /** Everything, and starts anew. What came as one piece is not copied. */
  take(): Buffer {
    this.closeGathering();
    const [only] = this.pieces;
    const whole = this.pieces.length === 1 && only !== undefined ? only : Buffer.concat(this.pieces, this.length);
    this.clear();
    return whole;
  }

  clear(): void {
    this.length = 0;
    this.pieces = [];
    this.gathering = NOTHING;
    this.gathered = 0;
  }

  private closeGathering(): void {
    if (this.gathered > 0) this.pieces.push(this.gathering.subarray(0, this.gathered));
    this.gathering = this.gathering.subarray(this.gathered);
    this.gathered = 0;
  }
}
