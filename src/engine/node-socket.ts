/** A WebSocket of `ws` behind our interface. */
import type { Socket as NetSocket } from 'node:net';
import type { WebSocket } from 'ws';
import { cutReason, sendableCode } from './close-code.ts';
import type { EngineHost, Socket, SocketHandlers } from './engine.ts';
import { SOCKET_HIGH_WATER, UNREAD_PONGS } from './limits.ts';

/** What `ws` closes with when the client breaks the protocol. */
const ERROR_CODES: { readonly [code: string]: number } = {
  WS_ERR_INVALID_UTF8: 1007,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 1008,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 1009,
};
const PROTOCOL_ERROR = 1002;

export class NodeSocket implements Socket {
  private behind = false;
  /** Closing or closed: nothing more is sent or told, but for the close. */
  private leaving = false;
  /** The code that the connection was closed with because of a mistake of the client. */
  private brokenWith: number | undefined;

  constructor(
    private readonly native: WebSocket,
    private readonly connection: NetSocket,
    private readonly handlers: SocketHandlers,
    private readonly host: EngineHost,
    private readonly remoteAddress: string,
    /** Told last, after the handlers. */
    gone: () => void,
  ) {
    native.on('message', (data, binary) => {
      // `nodebuffer` is the default binaryType: always one Buffer, which `ws` does not touch again.
      if (!this.leaving && Buffer.isBuffer(data)) this.guard(() => this.handlers.message(data, binary));
    });
    native.on('pong', () => {
      if (!this.leaving) this.guard(() => this.handlers.pong());
    });
    native.on('ping', (data: Buffer) => this.pinged(data.length));
    native.on('error', (error: NodeJS.ErrnoException) => {
      this.leaving = true;
      if (error.code?.startsWith('WS_ERR_')) this.brokenWith = ERROR_CODES[error.code] ?? PROTOCOL_ERROR;
    });
    connection.on('drain', () => {
      if (!this.behind || this.leaving || this.native.bufferedAmount > 0) return;
      this.behind = false;
      this.guard(() => this.handlers.drain());
    });
    native.on('close', (code, reason) => {
      this.leaving = true;
      this.guard(() => this.handlers.close(this.brokenWith ?? code, reason.toString()));
      gone();
    });
  }

  opened(): void {
    this.guard(() => this.handlers.open(this));
  }

  send(data: Uint8Array | string, binary: boolean): boolean {
    if (this.leaving) return true;
    this.native.send(data, { binary, compress: false });
    if (this.native.bufferedAmount <= SOCKET_HIGH_WATER) return true;
    this.behind = true;
    return false;
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
    if (sendable === undefined) this.native.close();
    else this.native.close(sendable, cutReason(reason));
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

  /** Of a client that has sixty pongs to read `ws` has let go by then. */
  private pinged(bytes: number): void {
    if (this.leaving) return;
    if (this.native.readyState === this.native.OPEN) {
      this.guard(() => this.handlers.ping(bytes));
      return;
    }
    this.leaving = true;
    this.host.refused(UNREAD_PONGS, this.remoteAddress);
  }

  private guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.host.failed(error);
      this.brokenWith ??= 1011;
      this.close(1011, 'internal error');
    }
  }
}
