/** Reads the frames that a WebSocket's server sends (RFC 6455 section 5) where they lie: what is whole in a chunk is not copied. */
import { isUtf8 } from 'node:buffer';
import { isCloseCode } from '../../engine/socket-rules.ts';
import { CLOSE, FINAL, IN_16_BITS, IN_64_BITS, MASKED, MEDIUM, OPCODE, RESERVED, SMALL } from './frames.ts';

/** The server has broken the protocol, or a bound. The message says how, without its name; `code` is that of the close frame that says so. */
export class FrameError extends Error {
  override readonly name = 'FrameError';

  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** What has come. `data` lies in the chunk where the frame was whole in it, else in memory that is the taker's from then on. */
export interface FrameTaker {
  /** A text is valid UTF-8. */
  message(data: Buffer, isText: boolean): void;
  ping(data: Buffer): void;
}

const NOTHING = Buffer.alloc(0);
const LONGEST_HEAD = 10;
/** What is announced gets its memory at once up to this size; more has to come first. Bytes. */
const TRUSTED = 1 << 20;
/** The least memory for a message in fragments, bytes. It doubles, so a million fragments of a byte take no more than a message of a million bytes. */
const SMALLEST = 256;

/** Puts messages together, at any split of their bytes. */
export class FrameReader {
  /** The server's close frame has come: nothing behind it counts. 1005 where it had no code. */
  closing: { readonly code: number; readonly reason: string } | undefined;
  /** Of the frame whose payload has not come whole: its first byte, and how many bytes are still to come; -1 where no frame has begun. */
  private first = 0;
  private left = -1;
  /** Of the message that has begun in a frame before: its opcode; 0 where none has. */
  private begun = 0;
  /** What of a message has come. */
  private memory = NOTHING;
  private gathered = 0;
  private control: Buffer = NOTHING;
  /** A head that has come in pieces. */
  private head: Buffer | undefined;
  private headLength = 0;

  /** @param maxMessage bytes */
  constructor(
    private readonly taker: FrameTaker,
    private readonly maxMessage: number,
  ) {}

  /** Throws a `FrameError`; nothing may be fed after that. */
  feed(bytes: Buffer): void {
    let at = 0;
    while (this.closing === undefined) {
      if (this.left < 0) {
        if (at === bytes.length) return;
        at = this.takeHead(bytes, at);
        if (this.left < 0) return;
      }
      const end = at + this.left;
      if (end <= bytes.length && this.gathered === 0 && this.control.length === 0 && this.first > FINAL) {
        // Nearly every frame: a message, or a control frame, that is whole.
        this.left = -1;
        this.tell(this.first & 0x0f, bytes.subarray(at, end));
        at = end;
        continue;
      }
      if (at === bytes.length && this.left > 0) return;
      const part = bytes.subarray(at, end);
      at += part.length;
      this.left -= part.length;
      if ((this.first & 0x0f) >= OPCODE.close) this.takeControl(part);
      else this.takeData(part);
      if (this.left >= 0) return;
    }
  }

  /** Gives where the head ends, or the end of what is there. */
  private takeHead(bytes: Buffer, from: number): number {
    if (this.headLength === 0) {
      const end = from + headLength(bytes, from);
      if (end <= bytes.length) {
        this.begin(bytes, from);
        return end;
      }
    }
    this.head ??= Buffer.allocUnsafe(LONGEST_HEAD);
    const { head } = this;
    for (let at = from; at < bytes.length; ) {
      head[this.headLength++] = bytes[at++] ?? 0;
      if (this.headLength < 2 || this.headLength < headLength(head, 0)) continue;
      this.headLength = 0;
      this.begin(head, 0);
      return at;
    }
    return bytes.length;
  }

  /** A frame begins; its head is judged as a whole. */
  private begin(bytes: Buffer, at: number): void {
    const first = bytes[at] ?? 0;
    const second = bytes[at + 1] ?? 0;
    const opcode = first & 0x0f;
    if ((first & RESERVED) !== 0) throw broken('a frame uses an extension that was not offered');
    if ((second & MASKED) !== 0) throw broken('a frame is masked, as only those of a client are');
    const size = second <= SMALL ? second : longSize(bytes, at);
    if (opcode >= OPCODE.close) {
      if (opcode > OPCODE.pong) throw broken(`a frame has the unknown opcode ${opcode}`);
      if (first < FINAL || size > SMALL) throw broken('a control frame is too large, or a fragment');
    } else {
      if (opcode > OPCODE.binary) throw broken(`a frame has the unknown opcode ${opcode}`);
      if ((opcode === OPCODE.continuation) !== (this.begun !== 0))
        throw broken('fragments of messages are out of order');
      if (this.gathered + size > this.maxMessage)
        throw new FrameError(CLOSE.tooLarge, `a message is larger than ${this.maxMessage} bytes`);
    }
    this.first = first;
    this.left = size;
  }

  private takeData(part: Buffer): void {
    const isFinal = this.first >= FINAL;
    this.gather(part, isFinal);
    if (this.left > 0) return;
    this.left = -1;
    const opcode = this.begun === 0 ? this.first & 0x0f : this.begun;
    this.begun = isFinal ? 0 : opcode;
    if (!isFinal) return;
    const message = this.memory.subarray(0, this.gathered);
    this.gathered = 0;
    this.memory = NOTHING;
    this.tell(opcode, message);
  }

  private gather(part: Buffer, isLast: boolean): void {
    const { length } = this.memory;
    const needed = this.gathered + part.length;
    if (needed > length) {
      const whole = needed + this.left;
      const wanted = isLast ? whole : Math.max(SMALLEST, whole, 2 * length);
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(wanted, Math.max(TRUSTED, 2 * length))));
      this.memory.copy(larger, 0, 0, this.gathered);
      this.memory = larger;
    }
    part.copy(this.memory, this.gathered);
    this.gathered = needed;
  }

  private takeControl(part: Buffer): void {
    // Of at most 125 bytes.
    const data = this.control.length === 0 && this.left === 0 ? part : Buffer.concat([this.control, part]);
    this.control = this.left > 0 ? data : NOTHING;
    if (this.left > 0) return;
    this.left = -1;
    this.tell(this.first & 0x0f, data);
  }

  private tell(opcode: number, data: Buffer): void {
    if (opcode <= OPCODE.binary) {
      const isText = opcode === OPCODE.text;
      if (isText && !isUtf8(data)) throw new FrameError(CLOSE.notUtf8, 'a text is not UTF-8');
      this.taker.message(data, isText);
    } else if (opcode === OPCODE.ping) this.taker.ping(data);
    else if (opcode === OPCODE.close) this.closing = closeIn(data);
  }
}

function broken(how: string): FrameError {
  return new FrameError(CLOSE.protocol, how);
}

function closeIn(data: Buffer): { readonly code: number; readonly reason: string } {
  if (data.length === 0) return { code: CLOSE.noCode, reason: '' };
  const code = data.length === 1 ? 0 : data.readUInt16BE(0);
  if (!isCloseCode(code)) throw broken('a close has a code that must not be sent');
  const reason = data.subarray(2);
  if (!isUtf8(reason)) throw new FrameError(CLOSE.notUtf8, 'the reason of a close is not UTF-8');
  return { code, reason: reason.toString() };
}

/** Of the head at `at`, whose second byte may not be there yet. A mask has no place in it. */
function headLength(bytes: Buffer, at: number): number {
  const length = (bytes[at + 1] ?? 0) & ~MASKED;
  if (length <= SMALL || at + 1 >= bytes.length) return 2;
  return length === IN_16_BITS ? 4 : LONGEST_HEAD;
}

/** Of a payload whose length does not fit into the second byte. The shortest form must be used (section 5.2); browsers refuse others, too. */
function longSize(bytes: Buffer, at: number): number {
  const isMedium = bytes[at + 1] !== IN_64_BITS;
  const size = isMedium
    ? bytes.readUInt16BE(at + 2)
    : bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6);
  if (size <= (isMedium ? SMALL : MEDIUM)) throw broken('a length is not in its shortest form');
  return size;
}
