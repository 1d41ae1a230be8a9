/** The client's end of a WebSocket to an upstream (RFC 6455): the handshake's fields, and the frames, which `ws` reads and writes. */
import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type HeaderList, headerValue } from '../engine/engine.ts';
import { type NativeClass, type NativeSocket, nativeClass } from '../engine/node/native.ts';
import { cutReason, SOCKET_HIGH_WATER, sendableCode } from '../engine/socket-rules.ts';
import type { UpstreamResponse } from './exchange.ts';
import { UpstreamError } from './faults.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** How long the upstream may take to answer our close frame, or to end the connection behind its own. Milliseconds. */
const CLOSE_TIMEOUT = 10_000;
/** As for clients (`engine/node/upgrade.ts`): a message may come in so many pieces of any size, and further ones of this size on average. */
const FREE_PARTS = 1024;
const PART_SIZE = 256;
/** The connection has ended without a close frame (RFC 6455 section 7.1.5). */
const LOST = 1006;

/** A handshake that is under way. */
export class ClientHandshake {
  private readonly key = randomBytes(16).toString('base64');

  /** @param protocols subprotocols to offer, in the order of preference */
  constructor(private readonly protocols: readonly string[]) {}

  get headers(): HeaderList {
    const offered = this.protocols.length === 0 ? [] : [['Sec-WebSocket-Protocol', this.protocols.join(', ')] as const];
    return [['Sec-WebSocket-Key', this.key], ['Sec-WebSocket-Version', '13'], ...offered];
  }

  /** The subprotocol that the upstream has chosen, if any. Throws an `UpstreamError` where its 101 is not the answer to this. */
  protocolOf({ headers }: Pick<UpstreamResponse, 'headers'>): string | undefined {
    const accept = createHash('sha1')
      .update(this.key + GUID)
      .digest('base64');
    if (headerValue(headers, 'sec-websocket-accept') !== accept)
      throw new UpstreamError('its WebSocket handshake has a wrong Sec-WebSocket-Accept');
    if (headers.some(([name]) => name === 'sec-websocket-extensions'))
      throw new UpstreamError('its WebSocket handshake has an extension that was not offered');
    const chosen = headers.filter(([name]) => name === 'sec-websocket-protocol').map(([, value]) => value);
    const [protocol] = chosen;
    if (chosen.length > 1 || (protocol !== undefined && !this.protocols.includes(protocol)))
      throw new UpstreamError('its WebSocket handshake has a subprotocol that was not offered', {
        detail: chosen.join(', ').slice(0, 80),
      });
    return protocol;
  }
}

/** What a `UpstreamSocket` tells. `closed` comes once and last. */
export interface UpstreamSocketEvents {
  /** `data` is nobody else's. Text is valid UTF-8. */
  message(data: Buffer, binary: boolean): void;
  /** After a `send` that answered false: everything has gone to the kernel. */
  drain(): void;
  /** Code and reason as received; 1005 without a code, 1006 without a close frame; ours where the upstream has broken the protocol. */
  closed(code: number, reason: string): void;
}

/** Makes the ends of one size of messages; `ws` is loaded with the first. */
export class UpstreamSockets {
  private readonly options: object;

  private constructor(
    private readonly Native: NativeClass,
    maxPayload: number,
  ) {
    const parts = FREE_PARTS + Math.ceil(maxPayload / PART_SIZE);
    this.options = { maxPayload, maxFragments: parts, maxBufferedChunks: parts, closeTimeout: CLOSE_TIMEOUT };
  }

  /** @param maxMessage bytes */
  static async load(maxMessage: number): Promise<UpstreamSockets> {
    const ws = await import('ws');
    return new UpstreamSockets(nativeClass(ws.WebSocket), maxMessage);
  }

  /** @param socket switched, paused; @param head what has come over it already */
  adopt(socket: Socket, head: Buffer, events: UpstreamSocketEvents): UpstreamSocket {
    const Native = this.Native as unknown as new (address: null, protocols: undefined, options: object) => NativeSocket;
    const native = new Native(null, undefined, this.options);
    // `ws` makes the client's end only together with a handshake of its own, over `node:http`. What it masks and what it expects unmasked goes by this alone.
    Object.assign(native, { _isServer: false });
    const end = new UpstreamSocket(native, socket, events);
    native.setSocket(socket, head, this.options);
    return end;
  }
}

export class UpstreamSocket {
  private behind = false;
  private leaving = false;
  private told = false;

  constructor(
    private readonly native: NativeSocket,
    private readonly socket: Socket,
    private readonly events: UpstreamSocketEvents,
  ) {
    native.on('message', (data, binary) => {
      // `nodebuffer` is the default binaryType: always one Buffer.
      if (!this.leaving && Buffer.isBuffer(data)) events.message(data, binary);
    });
    native.on('ping', (data: Buffer) => {
      // Who does not read gets no more of them.
      if (!this.leaving && native.bufferedAmount <= SOCKET_HIGH_WATER) native.pong(data);
    });
    native.on('error', () => {
      this.leaving = true;
    });
    native.onLeave = (code, reason) => this.tell(code, reason);
    native.onBroken = (code) => this.tell(code, '');
    native.on('close', () => this.tell(LOST, ''));
    socket.on('drain', () => {
      if (!this.behind || this.leaving || native.bufferedAmount > 0) return;
      this.behind = false;
      events.drain();
    });
  }

  /** Bytes that the kernel has not taken. */
  get bufferedAmount(): number {
    return this.native.bufferedAmount;
  }

  /** False: taken, but the upstream is behind; `drain` tells when it has caught up. `data` is this end's from here on, and changed. */
  send(data: Buffer, binary: boolean): boolean {
    if (this.leaving) return true;
    this.native.send(data, { binary, compress: false });
    if (this.native.bufferedAmount <= SOCKET_HIGH_WATER) return true;
    this.behind = true;
    return false;
  }

  pause(): void {
    if (!this.leaving) this.native.pause();
  }

  resume(): void {
    if (!this.leaving) this.native.resume();
  }

  /** Starts the closing handshake behind what was sent; 1006 drops the connection. Nothing is told after it. */
  close(code: number, reason: string): void {
    this.told = true;
    if (code === LOST) {
      this.native.terminate();
      return;
    }
    if (this.leaving) return;
    this.leaving = true;
    // The upstream's close frame must be read.
    this.native.resume();
    const sendable = sendableCode(code);
    if (sendable === undefined) this.native.leave();
    else this.native.leave(sendable, cutReason(reason));
  }

  private tell(code: number, reason: string): void {
    this.leaving = true;
    if (this.told) return;
    this.told = true;
    // A connection that is lost without a reset is one nobody hears of any more.
    if (code === LOST) this.socket.destroy();
    this.events.closed(code, reason);
  }
}
