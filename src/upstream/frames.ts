/** The frames of a WebSocket to an upstream (RFC 6455 section 5), read and written as its client. */
import { isUtf8 } from 'node:buffer';
import { randomFillSync } from 'node:crypto';

/** The upstream has broken the protocol, or a bound. `code` is that of the close frame that says so. */
export class FrameError extends Error {
  override readonly name = 'FrameError';

  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** What has come. `data` is the reader's again when the call returns. */
export interface FrameTaker {
  /** Text is valid UTF-8. */
  message(data: Buffer, binary: boolean): void;
  ping(data: Buffer): void;
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const BROKEN = 1002;
const NOT_UTF8 = 1007;
const TOO_LARGE = 1009;
/** A close frame without a code. */
const NO_CODE = 1005;
const LONGEST_CONTROL = 125;
const LONGEST_HEADER = 10;
const NOTHING = Buffer.alloc(0);
/** What a message that comes in pieces is put together in, at first; then twice as much each time. Bytes. */
const FIRST_MEMORY = 64 * 1024;

/** Puts messages together. What is there as a whole is not copied. */
export class FrameReader {
  /** A close frame has come: nothing behind it counts. */
  closing: { readonly code: number; readonly reason: string } | undefined;
  private inFrame = false;
  private opcode = 0;
  private isFinal = false;
  /** Bytes of the frame that are still to come. */
  private left = 0;
  private isFragmented = false;
  private isBinary = false;
  private memory = NOTHING;
  private gathered = 0;
  private control = NOTHING;
  private header: Buffer | undefined;
  private headerLength = 0;

  /** @param maxMessage bytes */
  constructor(
    private readonly taker: FrameTaker,
    private readonly maxMessage: number,
  ) {}

  /** Throws a `FrameError`; nothing may be fed after that. */
  feed(bytes: Buffer): void {
    let at = 0;
    while (this.closing === undefined) {
      if (!this.inFrame) {
        if (at === bytes.length) return;
        at = this.takeHeader(bytes, at);
        if (!this.inFrame) return;
      }
      const end = Math.min(at + this.left, bytes.length);
      this.left -= end - at;
      const part = bytes.subarray(at, end);
      at = end;
      if (this.opcode >= OPCODE.close) this.takeControl(part);
      else this.takeData(part);
      if (this.inFrame) return;
    }
  }

  /** Gives where the header ends, or the end of what is there. */
  private takeHeader(bytes: Buffer, from: number): number {
    if (this.headerLength === 0) {
      const end = from + headerLength(bytes, from);
      if (end <= bytes.length) {
        this.begin(bytes, from);
        return end;
      }
    }
    this.header ??= Buffer.allocUnsafe(LONGEST_HEADER);
    const { header } = this;
    for (let at = from; at < bytes.length; ) {
      header[this.headerLength++] = bytes[at++] ?? 0;
      if (this.headerLength < 2 || this.headerLength < headerLength(header, 0)) continue;
      this.headerLength = 0;
      this.begin(header, 0);
      return at;
    }
    return bytes.length;
  }

  private begin(bytes: Buffer, at: number): void {
    const first = bytes[at] ?? 0;
    const second = bytes[at + 1] ?? 0;
    if ((first & 0x70) !== 0) throw new FrameError(BROKEN, 'a reserved bit is set');
    if (second >= 0x80) throw new FrameError(BROKEN, 'a masked frame');
    this.isFinal = first >= 0x80;
    this.opcode = first & 0x0f;
    this.left = payloadLength(bytes, at);
    this.inFrame = true;
    if (this.opcode >= OPCODE.close) {
      if (this.opcode > OPCODE.pong || !this.isFinal || this.left > LONGEST_CONTROL)
        throw new FrameError(BROKEN, 'not a control frame');
      return;
    }
    if (this.opcode > OPCODE.binary || (this.opcode === OPCODE.continuation) !== this.isFragmented)
      throw new FrameError(BROKEN, 'a frame where another one is due');
    if (this.opcode !== OPCODE.continuation) this.isBinary = this.opcode === OPCODE.binary;
    if (this.gathered + this.left > this.maxMessage) throw new FrameError(TOO_LARGE, 'a message is too large');
  }

  private takeData(part: Buffer): void {
    let message = part;
    if (this.left > 0 || !this.isFinal || this.gathered > 0) {
      this.gather(part);
      if (this.left > 0) return;
      message = this.memory.subarray(0, this.gathered);
    }
    this.inFrame = false;
    this.isFragmented = !this.isFinal;
    if (this.isFragmented) return;
    this.gathered = 0;
    this.memory = NOTHING;
    if (!this.isBinary && !isUtf8(message)) throw new FrameError(NOT_UTF8, 'a text that is not UTF-8');
    this.taker.message(message, this.isBinary);
  }

  /** Memory follows what has come, not what was announced. */
  private gather(part: Buffer): void {
    const needed = this.gathered + part.length;
    if (needed > this.memory.length) {
      const more = Math.max(2 * this.memory.length, FIRST_MEMORY);
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(more, needed + this.left)));
      this.memory.copy(grown, 0, 0, this.gathered);
      this.memory = grown;
    }
    part.copy(this.memory, this.gathered);
    this.gathered = needed;
  }

  private takeControl(part: Buffer): void {
    const data = this.control.length === 0 ? part : Buffer.concat([this.control, part]);
    if (this.left > 0) {
      this.control = Buffer.from(data);
      return;
    }
    this.control = NOTHING;
    this.inFrame = false;
    if (this.opcode === OPCODE.ping) this.taker.ping(data);
    else if (this.opcode === OPCODE.close) this.closing = closeIn(data);
  }
}

function closeIn(data: Buffer): { readonly code: number; readonly reason: string } {
  if (data.length === 0) return { code: NO_CODE, reason: '' };
  if (data.length === 1) throw new FrameError(BROKEN, 'half of a close code');
  const code = data.readUInt16BE(0);
  const defined = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
  if (!defined && !(code >= 3000 && code <= 4999)) throw new FrameError(BROKEN, 'a close code that must not be sent');
  const reason = data.subarray(2);
  if (!isUtf8(reason)) throw new FrameError(NOT_UTF8, 'a reason that is not UTF-8');
  return { code, reason: reason.toString() };
}

/** Of the header at `at`, whose second byte may not be there yet. A mask has no place in it. */
function headerLength(bytes: Buffer, at: number): number {
  const length = (bytes[at + 1] ?? 0) & 0x7f;
  if (length < 126 || at + 1 >= bytes.length) return 2;
  return length === 126 ? 4 : 10;
}

function payloadLength(bytes: Buffer, at: number): number {
  const length = (bytes[at + 1] ?? 0) & 0x7f;
  if (length < 126) return length;
  return length === 126
    ? bytes.readUInt16BE(at + 2)
    : bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6);
}

/** What a client's frame has before its payload, at most. Bytes. */
export const MAX_FRAME_HEAD = 14;

/** Writes frames. Their masks cannot be foreseen (RFC 6455 section 10.3), so what a page sends never lies on the wire as it chose. */
export class FrameWriter {
  private readonly random = Buffer.allocUnsafeSlow(4096);
  private used = this.random.length;

  /** Writes the head of a frame, and masks its payload where that lies. Gives how long the head is; it and the payload are not next to each other. */
  writeHead(opcode: number, payload: Buffer, into: Buffer, at: number): number {
    const { length } = payload;
    into[at] = 0x80 | opcode;
    let end = at + 2;
    if (length < 126) into[at + 1] = 0x80 | length;
    else if (length < 65_536) {
      into[at + 1] = 0x80 | 126;
      end = into.writeUInt16BE(length, at + 2);
    } else {
      into[at + 1] = 0x80 | 127;
      into.writeUInt32BE(Math.floor(length / 2 ** 32), at + 2);
      end = into.writeUInt32BE(length % 2 ** 32, at + 6);
    }
    if (this.used === this.random.length) {
      randomFillSync(this.random);
      this.used = 0;
    }
    const mask = this.random.subarray(this.used, this.used + 4);
    this.used += 4;
    into.set(mask, end);
    applyMask(payload, mask);
    return end + 4 - at;
  }
}

function applyMask(payload: Buffer, mask: Buffer): void {
  const [a = 0, b = 0, c = 0, d = 0] = mask;
  const masked = [a, b, c, d];
  let at = 0;
  // Four bytes at a time where they lie well.
  if (payload.length >= 256 && payload.byteOffset % 4 === 0) {
    const words = new Uint32Array(payload.buffer, payload.byteOffset, payload.length >> 2);
    const word = new Uint32Array(new Uint8Array(masked).buffer)[0] ?? 0;
    for (let index = 0; index < words.length; index++) words[index] = (words[index] ?? 0) ^ word;
    at = words.length * 4;
  }
  for (; at < payload.length; at++) payload[at] = (payload[at] ?? 0) ^ (masked[at & 3] ?? 0);
}
