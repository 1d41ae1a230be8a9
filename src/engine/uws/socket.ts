/** A WebSocket of uWebSockets.js behind our interface. */
import type { WebSocket } from 'uWebSockets.js';
import type { Deflating, EngineEvents, Socket, SocketHandlers, SocketRecord } from '../engine.ts';
import {
  cutReason,
  isWorthDeflating,
  MAX_UNREAD_PONGS,
  SOCKET_HIGH_WATER,
  sendableCode,
  UNREAD_PONGS,
} from '../socket-rules.ts';

const NOT_UNDERSTOOD = 'Received invalid close payload';

/** What uWebSockets.js keeps for us with a socket: it copies the properties, so the object itself must lie one deeper. */
export interface SocketData {
  readonly socket: UwsSocket;
}

export class UwsSocket implements Socket {
  /** Undefined before `opened` and after the close: any call of it would throw. */
  private native: WebSocket<SocketData> | undefined;
  wasOpened = false;
  private behind = false;
  /** How it is to be closed when the client has taken what waits for it. */
  private goodbye: ((native: WebSocket<SocketData>) => void) | undefined;
  /** Inside of `end` or `close`, which call the close handler before they return. */
  private leaving = false;
  /** Bytes of pongs since the client was last known to have read everything. */
  private pongs = 0;
  /** Bytes of messages, for the record. */
  private heard = 0;
  private said = 0;

  constructor(
    private readonly handlers: SocketHandlers,
    private readonly maxMessage: number,
    private readonly events: EngineEvents,
    /** Kept, because a closed socket does not tell it any more. */
    readonly remoteAddress: string,
    readonly remotePort: number | undefined,
    private readonly record: SocketRecord | undefined,
    /** Negotiated with the client. */
    private readonly deflating: Deflating | undefined,
  ) {}

  opened(native: WebSocket<SocketData>): void {
    this.native = native;
    this.wasOpened = true;
    this.guard(() => this.handlers.open(this));
  }

  received(message: ArrayBuffer, binary: boolean): void {
    if (this.native === undefined || this.goodbye !== undefined) return;
    if (message.byteLength > this.maxMessage) {
      this.close(1009, 'message too big');
      return;
    }
    // The bytes are taken away when this returns (measured), hence the copy.
    const copy = Buffer.from(new Uint8Array(message));
    this.heard += copy.length;
    this.guard(() => this.handlers.message(copy, binary));
  }

  drained(): void {
    if (this.bufferedAmount > 0) return;
    if (this.goodbye !== undefined) {
      this.leave(this.goodbye);
      return;
    }
    if (!this.behind) return;
    this.behind = false;
    this.guard(() => this.handlers.drain());
  }

  ponged(): void {
    this.guard(() => this.handlers.pong());
  }

  /** uWebSockets.js has answered it, whatever waits for the client already. */
  pinged(bytes: number): void {
    this.pongs = this.bufferedAmount === 0 ? 0 : this.pongs + bytes + 2;
    if (this.pongs > MAX_UNREAD_PONGS) {
      this.terminate();
      this.events.refused(UNREAD_PONGS, this.remoteAddress);
    } else if (this.goodbye === undefined) this.guard(() => this.handlers.ping(bytes));
  }

  closed(code: number, message: ArrayBuffer): void {
    this.native = undefined;
    // An empty close frame of ours is reported as 0.
    const text = Buffer.from(message).toString();
    // A close frame of the client that it does not understand, 3000 among them, it has answered with an empty one.
    const shown = code === 0 || (code === 1006 && text === NOT_UNDERSTOOD) ? 1005 : code;
    // Behind 1006 stands a text of uWebSockets.js, not a reason that the client sent.
    const reason = code === 1006 ? '' : text;
    const tell = () => {
      this.guard(() => this.handlers.close(shown, reason));
      this.record?.over(shown, reason, this.heard, this.said);
    };
    if (this.leaving) queueMicrotask(tell);
    else tell();
  }

  send(data: Uint8Array | string, binary: boolean): boolean {
    if (this.native === undefined || this.goodbye !== undefined) return true;
    if (this.record !== undefined) this.said += typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    const deflated = this.deflating !== undefined && isWorthDeflating(data.length);
    if (deflated) this.deflating?.deflated();
    // With 1 nothing is left in the buffer, and it need not be asked for: one call less for each of very many.
    if (this.native.send(data, binary, deflated) === 1) return true;
    if (this.native.getBufferedAmount() <= SOCKET_HIGH_WATER) return true;
    this.behind = true;
    return false;
  }

  /** uWebSockets.js copies what the kernel does not take. */
  lend(data: Uint8Array, binary: boolean): boolean {
    return this.send(data, binary);
  }

  batch(sends: () => void): void {
    if (this.native === undefined) return;
    this.native.cork(sends);
  }

  get bufferedAmount(): number {
    return this.native?.getBufferedAmount() ?? 0;
  }

  ping(): void {
    if (this.goodbye === undefined) this.native?.ping();
  }

  /** Behind what the client has not taken: from `end` on uWebSockets.js would give it no more than 4 s for that, and no time is ours to set. */
  close(code: number, reason: string): void {
    const sendable = sendableCode(code);
    const goodbye = (native: WebSocket<SocketData>) =>
      sendable === undefined ? native.end() : native.end(sendable, cutReason(reason));
    if (this.bufferedAmount === 0) this.leave(goodbye);
    else this.goodbye ??= goodbye;
  }

  terminate(): void {
    this.leave((native) => native.close());
  }

  pause(): boolean {
    return false;
  }

  resume(): void {}

  private leave(go: (native: WebSocket<SocketData>) => void): void {
    if (this.native === undefined || this.leaving) return;
    this.leaving = true;
    go(this.native);
  }

  private guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.events.failed(error);
      this.close(1011, 'internal error');
    }
  }
}
