/** A WebSocket of `ws` behind our interface. */
import type { Duplex } from 'node:stream';
import type { Deflating, EngineEvents, Socket, SocketHandlers, SocketRecord } from '../engine.ts';
import {
  cutReason,
  isWorthDeflating,
  MAX_UNREAD_PONGS,
  SOCKET_HIGH_WATER,
  sendableCode,
  UNREAD_PONGS,
} from '../socket-rules.ts';
import { LINGER } from './connection.ts';
import type { NativeSocket } from './native.ts';

export class NodeSocket implements Socket {
  private behind = false;
  /** Closing or closed: nothing more is sent or told, but for the close. */
  private leaving = false;
  /** The code that the connection was closed with because of a mistake, the client's or ours. */
  private brokenWith: number | undefined;
  /** The handlers know that it is over. */
  private told = false;
  /** Bytes of pongs since the client was last known to have read everything. */
  private pongs = 0;
  /** Bytes of messages, for the record. */
  private heard = 0;
  private said = 0;

  constructor(
    private readonly native: NativeSocket,
    /** The connection, or its stream in HTTP/2. */
    private readonly connection: Duplex,
    private readonly handlers: SocketHandlers,
    private readonly events: EngineEvents,
    private readonly remoteAddress: string,
    /** Told last, after the handlers. */
    private readonly gone: () => void,
    private readonly record: SocketRecord | undefined,
    /** Negotiated with the client. */
    private readonly deflating?: Deflating | undefined,
  ) {
    native.on('message', (data, binary) => {
      // `nodebuffer` is the default binaryType: always one Buffer, which `ws` does not touch again.
      if (this.leaving || !Buffer.isBuffer(data)) return;
      this.heard += data.length;
      this.guard(() => this.handlers.message(data, binary));
    });
    native.on('pong', () => {
      if (!this.leaving) this.guard(() => this.handlers.pong());
    });
    native.on('ping', (data: Buffer) => this.pinged(data));
    native.on('error', () => {
      this.leaving = true;
    });
    connection.on('drain', () => this.caughtUp());
    native.onLeave = (code, reason) => this.over(code, reason);
    native.onBroken = (code) => {
      this.brokenWith ??= code;
      this.over(code, '');
    };
    native.on('close', (code, reason) => this.tell(code, reason.toString()));
  }

  opened(): void {
    this.guard(() => this.handlers.open(this));
  }

  send(data: Uint8Array | string, binary: boolean): boolean {
    if (this.leaving) return true;
    if (this.record !== undefined) this.said += typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    if (this.deflating === undefined) this.native.send(data, { binary, compress: false });
    else this.sendDeflating(data, binary, this.deflating);
    if (this.native.bufferedAmount <= SOCKET_HIGH_WATER) return true;
    this.behind = true;
    return false;
  }

  /** It is compressed in another thread, and whatever is sent behind it waits for that: of its end the connection does not tell. */
  private sendDeflating(data: Uint8Array | string, binary: boolean, deflating: Deflating): void {
    const compress = isWorthDeflating(data.length);
    if (compress) deflating.deflated();
    this.native.send(data, { binary, compress }, () => this.caughtUp());
  }

  private caughtUp(): void {
    if (!this.behind || this.leaving || this.native.bufferedAmount > 0) return;
    this.behind = false;
    this.guard(() => this.handlers.drain());
  }

  lend(data: Uint8Array, binary: boolean): boolean {
    return this.send(Buffer.from(data), binary);
  }

  batch(sends: () => void): void {
    this.connection.cork();
    sends();
    this.connection.uncork();
  }

  get bufferedAmount(): number {
    return this.leaving ? 0 : this.native.bufferedAmount;
  }

  ping(): void {
    if (!this.leaving) this.native.ping();
  }

  close(code: number, reason: string): void {
    if (this.leaving) return;
    this.leaving = true;
    // The client's close frame must be read.
    this.native.resume();
    const sendable = sendableCode(code);
    if (sendable === undefined) this.native.leave();
    else this.native.leave(sendable, cutReason(reason));
  }

  terminate(): void {
    this.leaving = true;
    this.native.terminate();
  }

  pause(): boolean {
    if (!this.leaving) this.native.pause();
    return true;
  }

  resume(): void {
    if (!this.leaving) this.native.resume();
  }

  private pinged(data: Buffer): void {
    if (this.leaving) return;
    this.pongs = this.native.bufferedAmount === 0 ? 0 : this.pongs + data.length + 2;
    if (this.pongs > MAX_UNREAD_PONGS) {
      this.terminate();
      this.events.refused(UNREAD_PONGS, this.remoteAddress);
      return;
    }
    this.native.pong(data);
    this.guard(() => this.handlers.ping(data.length));
  }

  /**
   * Nothing more will come from the client. Whoever serves it need not wait until the connection is gone: many a client leaves that to
   * us (RFC 6455 section 7.1.1).
   */
  private over(code: number, reason: string): void {
    const { connection } = this;
    this.tell(code, reason);
    // The end of our side follows our close frame; then it has this long to read that and to end its own.
    connection.once('finish', () => {
      const timer = setTimeout(() => connection.destroy(), LINGER);
      connection.once('close', () => clearTimeout(timer));
    });
  }

  private tell(code: number, reason: string): void {
    this.leaving = true;
    if (this.told) return;
    this.told = true;
    const shown = this.brokenWith ?? code;
    this.guard(() => this.handlers.close(shown, reason));
    this.record?.over(shown, reason, this.heard, this.said);
    this.gone();
  }

  private guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.events.failed(error);
      this.brokenWith ??= 1011;
      this.close(1011, 'internal error');
    }
  }
}
