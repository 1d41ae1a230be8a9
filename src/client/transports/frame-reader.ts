/** The frames that a WebSocket's server sends (RFC 6455 section 5), read where they lie: what is whole in a chunk is not copied. */
import { isUtf8 } from 'node:buffer';
import { FINAL, MASKED, OPCODE } from './frames.ts';

/** Of the first byte: bits that only extensions use, and we offer none. */
const RESERVED = 0x70;
/** The largest size that a head says in 7 bits, and of the payload of a control frame. */
const SMALL = 125;
/** Close codes (RFC 6455 section 7.4.1). */
const PROTOCOL = 1002;
const NO_CODE = 1005;
const NO_UTF8 = 1007;
const TOO_LARGE = 1009;
const EMPTY = Buffer.alloc(0);
/** Bytes of the memory for fragments, at least. */
const SMALLEST = 256;

/** What the server has sent is not what the standard asks for. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
  constructor(
    message: string,
    /** The close code that says so. */
    readonly code: number,
  ) {
    super(message);
  }
}

/** What was read. The bytes may share memory with the chunk. */
export interface FrameEvents {
  /** A text is valid UTF-8. */
  message(data: Buffer, isText: boolean): void;
  ping(data: Buffer): void;
  pong(): void;
  /** 1005 where there was no code. */
  closed(code: number, reason: string): void;
}

/** Reads the frames of a server, at any split of their bytes. Nothing is told behind a close. */
export class FrameReader {
  /** Of a head whose end has not come. */
  private rest = EMPTY;
  /** The frame whose payload has not come whole: its first byte, its payload, and how much of that is there. */
  private frame: { readonly first: number; readonly payload: Buffer; have: number } | undefined;
  /** The fragments of a message whose last one has not come. */
  private fragments: { readonly opcode: number; bytes: Buffer; length: number } | undefined;
  private isClosed = false;

  constructor(
    private readonly maxMessage: number,
    private readonly events: FrameEvents,
  ) {}

  /** Throws a `FrameError`; then it is finished. */
  push(chunk: Buffer): void {
    let at = 0;
    let bytes = chunk;
    if (this.frame !== undefined) at = this.fill(this.frame, chunk);
    else if (this.rest.length > 0) {
      bytes = Buffer.concat([this.rest, chunk]);
      this.rest = EMPTY;
    }
    while (at < bytes.length && !this.isClosed) {
      const first = bytes[at] ?? 0;
      const second = bytes[at + 1] ?? 0;
      const length = second & ~MASKED;
      const begin = at + 2 + (length <= SMALL ? 0 : length === 126 ? 2 : 8);
      if (begin > bytes.length) {
        // A copy: so short a rest does not keep a chunk alive.
        this.rest = Buffer.from(bytes.subarray(at));
        return;
      }
      const size = length <= SMALL ? length : length === 126 ? bytes.readUInt16BE(at + 2) : largeSize(bytes, at + 2);
      this.judge(first, second, size);
      const end = begin + size;
      if (end > bytes.length) {
        const payload = Buffer.allocUnsafeSlow(size);
        bytes.copy(payload, 0, begin);
        this.frame = { first, payload, have: bytes.length - begin };
        return;
      }
      this.tell(first, bytes.subarray(begin, end));
      at = end;
    }
  }

  /** @returns how many bytes of the chunk belong to the frame */
  private fill(frame: NonNullable<FrameReader['frame']>, chunk: Buffer): number {
    const taken = chunk.copy(frame.payload, frame.have);
    frame.have += taken;
    if (frame.have === frame.payload.length) {
      this.frame = undefined;
      this.tell(frame.first, frame.payload);
    }
    return taken;
  }

  private judge(first: number, second: number, size: number): void {
    const opcode = first & 0x0f;
    if ((first & RESERVED) !== 0) throw new FrameError('a frame uses an extension that was not offered', PROTOCOL);
    if ((second & MASKED) !== 0) throw new FrameError('a frame is masked, as only those of a client are', PROTOCOL);
    if (opcode >= OPCODE.close) {
      if (opcode > OPCODE.pong) throw new FrameError(`a frame has the unknown opcode ${opcode}`, PROTOCOL);
      if (first < FINAL || size > SMALL) throw new FrameError('a control frame is too large, or a fragment', PROTOCOL);
      return;
    }
    if (opcode > OPCODE.binary) throw new FrameError(`a frame has the unknown opcode ${opcode}`, PROTOCOL);
    if ((opcode === OPCODE.continuation) !== (this.fragments !== undefined))
      throw new FrameError('fragments of messages are out of order', PROTOCOL);
    if ((this.fragments?.length ?? 0) + size > this.maxMessage)
      throw new FrameError(`a message is larger than ${this.maxMessage} bytes`, TOO_LARGE);
  }

  private tell(first: number, payload: Buffer): void {
    switch (first & 0x0f) {
      case OPCODE.close:
        this.isClosed = true;
        this.events.closed(...endingOf(payload));
        return;
      case OPCODE.ping:
        this.events.ping(payload);
        return;
      case OPCODE.pong:
        this.events.pong();
        return;
      default:
        this.part(first, payload);
    }
  }

  private part(first: number, payload: Buffer): void {
    const isFinal = first >= FINAL;
    const opcode = first & 0x0f;
    if (isFinal && opcode !== OPCODE.continuation) {
      this.message(opcode, payload);
      return;
    }
    this.fragments ??= { opcode, bytes: EMPTY, length: 0 };
    const { fragments } = this;
    const length = fragments.length + payload.length;
    // One buffer that grows: a million fragments of a byte take no more than a message of a million bytes.
    if (length > fragments.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(SMALLEST, length, isFinal ? 0 : fragments.bytes.length * 2));
      fragments.bytes.copy(larger, 0, 0, fragments.length);
      fragments.bytes = larger;
    }
    payload.copy(fragments.bytes, fragments.length);
    fragments.length = length;
    if (!isFinal) return;
    this.fragments = undefined;
    this.message(fragments.opcode, fragments.bytes.subarray(0, length));
  }

  private message(opcode: number, data: Buffer): void {
    const isText = opcode === OPCODE.text;
    if (isText && !isUtf8(data)) throw new FrameError('a text is not UTF-8', NO_UTF8);
    this.events.message(data, isText);
  }
}

function largeSize(bytes: Buffer, at: number): number {
  const size = bytes.readBigUInt64BE(at);
  return size > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(size);
}

function endingOf(payload: Buffer): readonly [code: number, reason: string] {
  if (payload.length === 0) return [NO_CODE, ''];
  const code = payload.length === 1 ? 0 : payload.readUInt16BE();
  if (!isSendable(code)) throw new FrameError('a close has a code that no server may send', PROTOCOL);
  const reason = payload.subarray(2);
  if (!isUtf8(reason)) throw new FrameError('the reason of a close is not UTF-8', NO_UTF8);
  return [code, reason.toString()];
}

function isSendable(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code);
}
