/** The frames that a WebSocket's client sends (RFC 6455 section 5), many in one buffer: a buffer and a write for each line cost four times as much. */
import { randomFillSync } from 'node:crypto';

/** Of the first byte: no fragment follows. */
export const FINAL = 0x80;
/** Of the second byte. */
export const MASKED = 0x80;
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export type Opcode = (typeof OPCODE)[keyof typeof OPCODE];
/** The largest sizes that a head says in 7 and in 16 bits. */
const SMALL = 125;
const MEDIUM = 0xffff;
const MASK_BYTES = 4;
/** Below this, going byte by byte is as fast. */
const WORDWISE = 32;
/** Random bytes are fetched for so many masks at once. */
const MASKS = 1024;
const EMPTY = Buffer.alloc(0);
/** Bytes of a batch's memory, at least. */
const SMALLEST = 256;

/** Messages that wait to be written together. What is added may be changed afterwards. */
export class FrameBatch {
  private out = EMPTY;
  private words = new Uint32Array();
  private length = 0;
  private readonly masks = Buffer.allocUnsafeSlow(MASKS * MASK_BYTES);
  private nextMask = MASKS * MASK_BYTES;

  /** Of the frames. */
  get bytes(): number {
    return this.length;
  }

  /** @param data of a text: a string, or its UTF-8 */
  add(data: string | Uint8Array, opcode: Opcode): void {
    const size = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    const end = this.length + headSize(size) + size;
    if (end > this.out.length) this.grow(end);
    const { out } = this;
    const begin = this.head(out, this.length, size, opcode);
    if (typeof data === 'string') out.write(data, begin);
    else out.set(data, begin);
    mask(out, this.words, begin, end);
    this.length = end;
  }

  /** The frames of all messages, each masked with random bytes of its own. The batch is empty then. */
  take(): Buffer {
    const frames = this.out.subarray(0, this.length);
    this.out = EMPTY;
    this.length = 0;
    return frames;
  }

  private grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(SMALLEST, needed, this.out.length * 2));
    larger.set(this.out.subarray(0, this.length));
    this.out = larger;
    this.words = new Uint32Array(larger.buffer, 0, larger.length >> 2);
  }

  /** @returns where the message begins; its mask lies before it */
  private head(out: Buffer, at: number, size: number, opcode: Opcode): number {
    out[at] = FINAL | opcode;
    if (size <= SMALL) out[at + 1] = MASKED | size;
    else if (size <= MEDIUM) {
      out[at + 1] = MASKED | 126;
      out.writeUInt16BE(size, at + 2);
    } else {
      out[at + 1] = MASKED | 127;
      out.writeBigUInt64BE(BigInt(size), at + 2);
    }
    if (this.nextMask === this.masks.length) {
      randomFillSync(this.masks);
      this.nextMask = 0;
    }
    const begin = at + headSize(size);
    for (let index = begin - MASK_BYTES; index < begin; index++) out[index] = this.masks[this.nextMask++] ?? 0;
    return begin;
  }
}

function headSize(size: number): number {
  return 2 + (size <= SMALL ? 0 : size <= MEDIUM ? 2 : 8) + MASK_BYTES;
}

/** @param words `out` as numbers of 32 bits */
function mask(out: Buffer, words: Uint32Array, begin: number, end: number): void {
  const key = begin - MASK_BYTES;
  let at = begin;
  // The byte at `index` takes the byte of the mask at their distance, modulo 4.
  const bytewise = (until: number): void => {
    for (; at < until; at++) out[at] = (out[at] ?? 0) ^ (out[key + ((at - begin) & 3)] ?? 0);
  };
  if (end - begin >= WORDWISE) {
    bytewise((begin + 3) & ~3);
    const turned = Uint8Array.from([0, 1, 2, 3], (_, index) => out[key + ((at - begin + index) & 3)] ?? 0);
    const [word = 0] = new Uint32Array(turned.buffer);
    const last = end >> 2;
    for (let index = at >> 2; index < last; index++) words[index] = (words[index] ?? 0) ^ word;
    at = last << 2;
  }
  bytewise(end);
}
