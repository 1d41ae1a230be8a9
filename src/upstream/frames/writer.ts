/**
 * Writes the frames that a WebSocket's client sends (RFC 6455 section 5). Their masks cannot be foreseen (section 10.3), so what a page sends never lies on
 * the wire as it chose.
 */
import { randomFillSync } from 'node:crypto';
import { cutReason, sendableCode } from '../../engine/socket-rules.ts';
import { FINAL, IN_16_BITS, IN_64_BITS, MASKED, MEDIUM, type Opcode, SMALL } from './frames.ts';

const MASK_BYTES = 4;
/** What a client's frame has before its payload, at most. Bytes. */
export const MAX_FRAME_HEAD = 10 + MASK_BYTES;
/** Random bytes are fetched for so many masks at once. */
const MASKS = 1024;
/** From here on masking four bytes at a time is faster: where their memory is seen as numbers already, and where it is not. Bytes. */
const WORDWISE = 32;
const WORTH_A_VIEW = 256;
const EMPTY = Buffer.alloc(0);
/** Bytes of a batch's memory, at least. */
const SMALLEST = 256;

/** Writes heads, and masks payloads where they lie. */
export class FrameWriter {
  private readonly random = Buffer.allocUnsafeSlow(MASKS * MASK_BYTES);
  private used = this.random.length;
  /** The mask, turned to where a word begins; and as one. */
  private readonly turned = new Uint8Array(MASK_BYTES);
  private readonly word = new Uint32Array(this.turned.buffer);

  /** The head goes to `at` of `into`, and `payload` is masked. Gives how long the head is; the two need not lie next to each other. */
  write(opcode: Opcode, payload: Buffer, into: Buffer, at: number): number {
    const end = this.head(opcode, payload.length, into, at);
    this.mask(payload, 0, payload.length, undefined);
    return end - at;
  }

  /** Gives where the head ends. Its mask is that of the next call of `mask`. */
  head(opcode: Opcode, size: number, into: Buffer, at: number): number {
    into[at] = FINAL | opcode;
    let end = at + 2;
    if (size <= SMALL) into[at + 1] = MASKED | size;
    else if (size <= MEDIUM) {
      into[at + 1] = MASKED | IN_16_BITS;
      end = into.writeUInt16BE(size, end);
    } else {
      into[at + 1] = MASKED | IN_64_BITS;
      end = into.writeUInt32BE(Math.floor(size / 2 ** 32), end);
      end = into.writeUInt32BE(size % 2 ** 32, end);
    }
    if (this.used === this.random.length) {
      randomFillSync(this.random);
      this.used = 0;
    }
    for (let index = 0; index < MASK_BYTES; index++) into[end++] = this.random[this.used++] ?? 0;
    return end;
  }

  /** @param words the memory of `bytes` as numbers of 32 bits, from its begin on, where somebody has it so */
  mask(bytes: Buffer, begin: number, end: number, words: Uint32Array | undefined): void {
    const { random, turned } = this;
    const key = this.used - MASK_BYTES;
    let at = begin;
    if (end - begin >= (words === undefined ? WORTH_A_VIEW : WORDWISE)) {
      const aligned = begin + (-(bytes.byteOffset + begin) & 3);
      for (; at < aligned; at++) bytes[at] = (bytes[at] ?? 0) ^ (random[key + at - begin] ?? 0);
      for (let index = 0; index < MASK_BYTES; index++) turned[index] = random[key + ((at - begin + index) & 3)] ?? 0;
      const count = (end - at) >> 2;
      const view = words ?? new Uint32Array(bytes.buffer, bytes.byteOffset + at, count);
      const first = words === undefined ? 0 : at >> 2;
      const word = this.word[0] ?? 0;
      for (let index = first; index < first + count; index++) view[index] = (view[index] ?? 0) ^ word;
      at += count << 2;
    }
    // The byte at `at` takes the byte of the mask at their distance, modulo 4.
    for (; at < end; at++) bytes[at] = (bytes[at] ?? 0) ^ (random[key + ((at - begin) & 3)] ?? 0);
  }
}

/** Messages that wait to be written together: a buffer and a write for each line cost four times as much. What is added may be changed afterwards. */
export class FrameBatch {
  private readonly writer = new FrameWriter();
  private out = EMPTY;
  private words = new Uint32Array();
  private length = 0;

  /** Of the frames. */
  get bytes(): number {
    return this.length;
  }

  /** @param data of a text: a string, or its UTF-8 */
  add(data: string | Uint8Array, opcode: Opcode): void {
    const size = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    const most = this.length + MAX_FRAME_HEAD + size;
    if (most > this.out.length) this.grow(most);
    const { out } = this;
    const begin = this.writer.head(opcode, size, out, this.length);
    if (typeof data === 'string') out.write(data, begin);
    else out.set(data, begin);
    this.length = begin + size;
    this.writer.mask(out, begin, this.length, this.words);
  }

  /** The frames of all messages. The batch is empty then. */
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
}

/** The payload of a close frame. A code that must not be sent is 1011, 1005 (or undefined) none at all; the reason is cut to what fits. */
export function closePayload(code: number | undefined, reason: string): Buffer {
  const sendable = code === undefined ? undefined : sendableCode(code);
  if (sendable === undefined) return Buffer.alloc(0);
  const payload = Buffer.from(`\0\0${cutReason(reason)}`);
  payload.writeUInt16BE(sendable);
  return payload;
}
