/** A reply's body on its way to a slow client through uWebSockets.js, in bounded memory. */
import type { HttpResponse } from 'uWebSockets.js';
import type { BodySink, BodySource } from '../engine.ts';
import { CANNOT_SEND, NOT_IN_MEMORY } from '../file-sender.ts';
import type { DirectSocket } from './direct-socket.ts';

/**
 * Handed to uWebSockets.js at a time when the length is unknown, in a cork of its own: with its chunk header, and with a usual head before it,
 * it fits into the 16 KiB that are gathered there. What does not fit is lost when the kernel has no room for what was gathered
 * before it (measured: a chunk header without its chunk).
 */
const PIECE = 15 * 1024;

/** So much is never gathered, also within a cork: what is said of it is what the kernel has taken. Bytes. */
const EXACT_FROM = 32 * 1024;

interface Chunk {
  /** What the kernel has not taken. */
  bytes: Uint8Array;
  readonly free: (() => void) | undefined;
}

/**
 * What closes a body of unknown length as `end` would, but for a trailer, which nothing else can write: so the answer is complete for
 * the client and unfinished for uWebSockets.js.
 */
const LAST_CHUNK = { name: '\r\n0\r\nend', value: '\r\n' };

/** The exchange that the body belongs to. */
export interface UwsBodyWriterOwner {
  /**
   * The connection is closed when this is complete, by the owner. So nothing may be left with uWebSockets.js then, which tells that only
   * outside of a cork.
   */
  readonly isLast: boolean;
  /** Runs `write` with the connection corked. */
  corked(write: () => void): void;
  /** Runs `write` so that it goes to the kernel at once: what it says of that is exact then. */
  direct(write: () => void): void;
  /** The client is behind, or has caught up. */
  behind(is: boolean): void;
  /** What is written now is gathered, so nobody knows yet what the kernel takes of it. */
  readonly isCorked: boolean;
  /** A way past uWebSockets.js to this very connection; undefined where nobody knows which one it is. */
  openDirect(): DirectSocket | undefined;
  /** Everything is with the kernel. */
  completed(): void;
  /** The body cannot be completed: the connection must go. */
  broken(error: unknown): void;
}

/**
 * With a known `total` it is sent as Content-Length by `tryEnd`, which takes what the kernel takes and leaves the rest here;
 * otherwise in chunks by `write`, which always takes all, so it is given little at a time.
 */
export class UwsBodyWriter implements BodySink {
  private readonly waiting: Chunk[] = [];
  /** Bytes that the kernel has, of those written with a known total. */
  private taken = 0;
  private given = 0;
  private blocked = false;
  private ended = false;
  private over = false;
  /** Undefined before it was asked for, and null where there is none (any more). */
  private direct: DirectSocket | null | undefined;
  /** Bytes that went past uWebSockets.js. */
  private sentDirectly = 0;
  /** uWebSockets.js keeps nothing of what it was given. */
  private isExact = false;
  /** All but the last byte has been handed on, of a body of known length that is the connection's last. */
  private lastByteDue = false;

  constructor(
    private readonly response: HttpResponse,
    private readonly owner: UwsBodyWriterOwner,
    private readonly source: BodySource | undefined,
    readonly total: number | undefined,
  ) {}

  /** Call it corked (unless it is the last), after the head. Registers for the writable event first: without that, buffered bytes would stay for ever. */
  start(bytes?: Uint8Array): void {
    this.listen();
    if (bytes === undefined) this.source?.start(this);
    else {
      this.write(bytes);
      if (this.total === undefined) this.end();
    }
  }

  /** Begins a body of unknown length where its source has nothing yet: a head is only sent with something behind it. */
  open(bytes: Uint8Array): void {
    if (this.total === undefined && this.given === 0 && bytes.length > 0 && !this.ended) this.write(bytes);
  }

  /** Goes on with a body of known length that `tryEnd` has not taken as a whole. */
  goOn(bytes: Uint8Array): void {
    this.listen();
    this.taken = this.response.getWriteOffset();
    this.given = bytes.length;
    this.waiting.push({ bytes: bytes.subarray(this.taken), free: undefined });
    this.blocked = true;
    this.owner.behind(true);
  }

  write(chunk: Uint8Array, free?: () => void): boolean {
    if (this.over) return false;
    this.given += chunk.length;
    if (this.total !== undefined && this.given > this.total) {
      this.cancel();
      this.owner.broken(new Error(`a body source wrote more than the ${this.total} bytes that it had announced`));
      return false;
    }
    if (chunk.length > 0) this.waiting.push({ bytes: chunk, free });
    if (this.blocked) return false;
    this.pushCorked();
    return !this.blocked;
  }

  lend(chunk: Uint8Array): boolean {
    const more = this.write(chunk);
    // Whatever was there before is behind `blocked`, so at most this chunk is not ours yet.
    const last = this.waiting.at(-1);
    if (last !== undefined) last.bytes = Uint8Array.prototype.slice.call(last.bytes);
    return more;
  }

  sendFile(file: number, position: number, length: number): number | undefined {
    const { total, owner } = this;
    // The last bytes of all go through uWebSockets.js, which ends the response with them.
    if (total === undefined || owner.isLast || owner.isCorked || this.over || this.blocked || !this.isExact)
      return undefined;
    if (this.given + length >= total) return undefined;
    if (this.direct === undefined) this.direct = owner.openDirect() ?? null;
    const count = this.direct?.send(file, position, length) ?? CANNOT_SEND;
    if (count === CANNOT_SEND) {
      this.closeDirect();
      return undefined;
    }
    if (count === NOT_IN_MEMORY) return undefined;
    // Of these bytes uWebSockets.js sees nothing, and its timer runs.
    if (count > 0) owner.behind(true);
    this.given += count;
    this.sentDirectly += count;
    return count;
  }

  end(): void {
    if (this.over || this.ended) return;
    this.ended = true;
    if (this.total !== undefined && this.given < this.total) {
      this.fail(new Error(`a body source wrote ${this.given} of the ${this.total} bytes that it had announced`));
    } else if (!this.blocked) {
      this.pushCorked();
    }
  }

  fail(error: Error): void {
    if (this.over) return;
    this.over = true;
    this.closeDirect();
    this.owner.broken(error);
  }

  /** Nobody wants the rest. */
  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.closeDirect();
    this.waiting.length = 0;
    if (!this.ended) this.source?.cancel();
  }

  private listen(): void {
    this.response.onWritable(() => {
      this.writable();
      return true;
    });
  }

  private writable(): void {
    this.owner.behind(false);
    if (this.over) {
      // Complete, but for what uWebSockets.js could not flush.
      this.owner.corked(() => undefined);
      return;
    }
    const goOn = () => {
      this.blocked = false;
      try {
        this.push();
        if (!this.blocked && !this.over && !this.ended) this.source?.resume();
      } catch (error) {
        this.cancel();
        this.owner.broken(error);
      }
    };
    // A cork that writes nothing flushes too; what it could not flush comes back here.
    if (this.direct) this.owner.direct(goOn);
    else if (this.total !== undefined) {
      this.owner.corked(goOn);
      this.pushLastByte();
    } else {
      this.owner.corked(() => undefined);
      goOn();
    }
  }

  /** With a known length all in one cork; otherwise each piece has its own, unless it comes together with the head. */
  private pushCorked(): void {
    if (this.total === undefined) this.push();
    else if (this.direct) this.owner.direct(() => this.push());
    else {
      this.owner.corked(() => this.push());
      this.pushLastByte();
    }
  }

  /** Hands on what waits until it is all taken or the client is behind. */
  private push(): void {
    for (let chunk = this.waiting[0]; chunk !== undefined; chunk = this.waiting[0]) {
      if (this.lastByteDue) return;
      const { bytes } = chunk;
      const left = this.pushSome(bytes);
      if (this.over) return;
      if (left !== undefined) chunk.bytes = left;
      else {
        this.waiting.shift();
        chunk.free?.();
      }
      if (this.blocked) {
        this.owner.behind(true);
        return;
      }
    }
    if (this.ended && this.total === undefined) {
      this.over = true;
      this.owner.corked(() => {
        if (this.owner.isLast) this.response.writeHeader(LAST_CHUNK.name, LAST_CHUNK.value);
        else this.response.end();
      });
      this.owner.completed();
    }
  }

  /** Gives what was not taken, or is not to be handed on yet. */
  private pushSome(bytes: Uint8Array): Uint8Array | undefined {
    const { total } = this;
    if (total === undefined) return this.pushPiece(bytes);
    if (!this.owner.isLast || bytes.length < total - this.taken) return this.pushKnown(bytes, total);
    if (bytes.length > 1) {
      const left = this.pushKnown(bytes.subarray(0, -1), total);
      if (left !== undefined) return bytes.subarray(bytes.length - 1 - left.length);
    }
    this.lastByteDue = true;
    return bytes.subarray(-1);
  }

  private pushLastByte(): void {
    const [chunk] = this.waiting;
    const { total } = this;
    if (!this.lastByteDue || this.over || chunk === undefined || total === undefined) return;
    this.blocked = false;
    this.owner.direct(() => this.pushKnown(chunk.bytes, total));
    if (this.blocked) this.owner.behind(true);
    else chunk.free?.();
  }

  private closeDirect(): void {
    this.direct?.close();
    this.direct = null;
  }

  /** Gives the part of the chunk that was not taken. */
  private pushPiece(chunk: Uint8Array): Uint8Array | undefined {
    const piece = chunk.length > PIECE ? chunk.subarray(0, PIECE) : chunk;
    const write = () => {
      this.blocked = !this.response.write(piece);
    };
    if (this.owner.isLast) this.owner.direct(write);
    else this.owner.corked(write);
    return chunk.length > PIECE ? chunk.subarray(PIECE) : undefined;
  }

  private pushKnown(chunk: Uint8Array, total: number): Uint8Array | undefined {
    // The length that was announced is that of the first call; from then on it is what uWebSockets.js knows the end by.
    const [ok, done] = this.response.tryEnd(chunk, total - this.sentDirectly);
    if (done) {
      this.over = true;
      this.closeDirect();
      this.owner.completed();
      return undefined;
    }
    this.isExact = ok && (!!this.direct || chunk.length >= EXACT_FROM);
    if (ok) {
      this.taken += chunk.length;
      return undefined;
    }
    this.blocked = true;
    const offset = this.response.getWriteOffset();
    const left = chunk.subarray(offset - this.taken);
    this.taken = offset;
    return left;
  }
}
