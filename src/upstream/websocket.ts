/** The client's end of a WebSocket to an upstream (RFC 6455): the handshake's fields, and what goes over it then. */
import type { Socket } from 'node:net';
import { type HeaderList, headerValue } from '../engine/engine.ts';
import { SOCKET_HIGH_WATER } from '../engine/socket-rules.ts';
import type { UpstreamResponse } from './exchange.ts';
import { UpstreamError } from './faults.ts';
import { OPCODE, type Opcode } from './frames/frames.ts';
import { acceptOf, newKey } from './frames/handshake.ts';
import { FrameError, FrameReader, type FrameTaker } from './frames/reader.ts';
import { closePayload, FrameWriter, MAX_FRAME_HEAD } from './frames/writer.ts';
import type { Connection, Incoming } from './incoming.ts';

/** How long the upstream may take to answer our close frame, or to end the connection behind its own. Milliseconds. */
const CLOSE_TIMEOUT = 10_000;
const NO_PAYLOAD = Buffer.alloc(0);
/** The connection has ended without a close frame (RFC 6455 section 7.1.5). */
const LOST = 1006;

/** A handshake that is under way. */
export class ClientHandshake {
  private readonly key = newKey();

  /** @param protocols subprotocols to offer, in the order of preference */
  constructor(private readonly protocols: readonly string[]) {}

  get headers(): HeaderList {
    const offered = this.protocols.length === 0 ? [] : [['Sec-WebSocket-Protocol', this.protocols.join(', ')] as const];
    return [['Sec-WebSocket-Key', this.key], ['Sec-WebSocket-Version', '13'], ...offered];
  }

  /** The subprotocol that the upstream has chosen, if any. Throws an `UpstreamError` where its 101 is not the answer to this. */
  protocolOf({ headers }: Pick<UpstreamResponse, 'headers'>): string | undefined {
    if (headerValue(headers, 'sec-websocket-accept') !== acceptOf(this.key))
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
  /** Runs `deliver`, which calls `message` for all that has come together. */
  batch(deliver: () => void): void;
  /** `data` is the socket's again when this returns. Text is valid UTF-8. */
  message(data: Buffer, binary: boolean): void;
  /** After a `send` that answered false: everything has gone to the kernel. */
  drain(): void;
  /** Code and reason as received; 1005 without a code, 1006 without a close frame; ours where the upstream has broken the protocol. */
  closed(code: number, reason: string): void;
}

/** What small messages of one turn are gathered in. Bytes. */
const GATHERED = 16 * 1024;
/** Larger messages go out where they lie. Bytes. */
const SMALL = 4 * 1024;
/** How many pieces of memory to gather in are kept. */
const MAX_SPARE = 16;

/** What the ends of one route share. */
export class UpstreamSockets {
  readonly frames = new FrameWriter();
  private readonly spare: Buffer[] = [];
  private gathering: UpstreamSocket[] = [];

  /** @param maxMessage bytes */
  constructor(readonly maxMessage: number) {}

  adopt(connection: Connection, events: UpstreamSocketEvents): UpstreamSocket {
    return new UpstreamSocket(connection, events, this);
  }

  memory(): Buffer {
    return this.spare.pop() ?? Buffer.allocUnsafeSlow(GATHERED);
  }

  giveBack(memory: Buffer): void {
    if (this.spare.length < MAX_SPARE) this.spare.push(memory);
  }

  /** Flushes it when this turn of the event loop is over. */
  flushLater(socket: UpstreamSocket): void {
    if (this.gathering.push(socket) > 1) return;
    setImmediate(() => {
      const all = this.gathering;
      this.gathering = [];
      for (const each of all) each.turnOver();
    });
  }
}

export class UpstreamSocket implements FrameTaker {
  private readonly reader: FrameReader;
  private readonly socket: Socket;
  private readonly incoming: Incoming;
  /** Small frames that were written in this turn of the event loop. */
  private frames = 0;
  /** In the turn before there was more than one of them: so the first one waits for the others, too. */
  private isBusy = false;
  private memory: Buffer | undefined;
  private gathered = 0;
  private behind = false;
  private held = false;
  /** Our close frame was sent, or the connection is gone: nothing more is sent or passed on. */
  private leaving = false;
  /** Nothing that comes counts any more. */
  private deaf = false;
  private told = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    connection: Connection,
    private readonly events: UpstreamSocketEvents,
    private readonly shared: UpstreamSockets,
  ) {
    const { socket, incoming } = connection;
    this.socket = socket;
    this.incoming = incoming;
    this.reader = new FrameReader(this, shared.maxMessage);
    incoming.isLong = true;
    incoming.goTo((bytes) => this.take(bytes));
    socket.on('end', () => this.lost()).on('close', () => this.lost());
  }

  /** @param head what has come over the connection already */
  start(head: Buffer): void {
    if (head.length > 0) this.take(head);
    const unasked = this.incoming.takeUnasked();
    if (unasked.length > 0) this.take(unasked);
    if (!this.held) this.socket.resume();
  }

  /** Bytes that the kernel has not taken. */
  get bufferedAmount(): number {
    return this.socket.writableLength + this.gathered;
  }

  /** False: taken, but the upstream is behind; `drain` tells when it has caught up. `data` is this end's from here on, and changed. */
  send(data: Buffer, binary: boolean): boolean {
    if (this.leaving) return true;
    this.write(binary ? OPCODE.binary : OPCODE.text, data);
    if (this.bufferedAmount <= SOCKET_HIGH_WATER) return true;
    this.behind = true;
    return false;
  }

  /** Sends a ping: an upstream that lives answers it, and then there is a batch, if only of its pong. */
  probe(): void {
    if (!this.leaving) this.write(OPCODE.ping, NO_PAYLOAD);
  }

  pause(): void {
    this.held = true;
    if (!this.leaving) this.socket.pause();
  }

  resume(): void {
    this.held = false;
    this.socket.resume();
  }

  /** Starts the closing handshake behind what was sent; 1006 drops the connection. Nothing is told after it. */
  close(code: number, reason: string): void {
    this.told = true;
    if (code === LOST) this.socket.destroy();
    else if (!this.leaving) {
      this.leave(code, reason);
      // The upstream's close frame must be read.
      this.resume();
    }
  }

  // ---- from the upstream ----

  message(data: Buffer, isText: boolean): void {
    if (!this.leaving) this.events.message(data, !isText);
  }

  ping(data: Buffer): void {
    // Who does not read gets no more of them.
    if (!this.leaving && this.bufferedAmount <= SOCKET_HIGH_WATER) this.write(OPCODE.pong, Buffer.from(data));
  }

  private take(bytes: Buffer): boolean {
    if (this.deaf) return true;
    let failure: unknown;
    let isDelivered = false;
    const deliver = (): void => {
      isDelivered = true;
      try {
        this.reader.feed(bytes);
      } catch (error) {
        failure = error;
      }
    };
    if (!this.leaving) this.events.batch(deliver);
    // Where nobody is there any more its frames are read all the same: one of them closes.
    if (!isDelivered) deliver();
    if (failure !== undefined) {
      if (!(failure instanceof FrameError)) throw failure;
      this.over(failure.code, '', failure.code);
    } else if (this.reader.closing !== undefined) {
      const { code, reason } = this.reader.closing;
      this.over(code, reason, code);
    }
    return this.deaf || !this.held;
  }

  /** The upstream has closed, or is closed for what it sent: it is answered, and has a while to end the connection. */
  private over(code: number, reason: string, answer: number): void {
    this.deaf = true;
    if (!this.leaving) this.leave(answer, '');
    this.socket.end();
    this.socket.resume();
    this.tell(code, reason);
  }

  /** The connection has ended. */
  private lost(): void {
    this.leaving = true;
    this.deaf = true;
    clearTimeout(this.timer);
    this.drop();
    this.socket.destroy();
    this.tell(LOST, '');
  }

  private tell(code: number, reason: string): void {
    if (this.told) return;
    this.told = true;
    this.events.closed(code, reason);
  }

  // ---- to the upstream ----

  private leave(code: number, reason: string): void {
    this.write(OPCODE.close, closePayload(code, reason));
    this.flush();
    this.leaving = true;
    this.timer = setTimeout(() => this.socket.destroy(), CLOSE_TIMEOUT);
  }

  /** The first frame of a turn goes out at once, small ones behind it together: uWebSockets.js calls for each message of one read by itself. */
  private write(opcode: Opcode, payload: Buffer): void {
    const { frames } = this.shared;
    if (payload.length > SMALL) {
      this.flush();
      const head = Buffer.allocUnsafe(MAX_FRAME_HEAD);
      const length = frames.write(opcode, payload, head, 0);
      this.socket.cork();
      this.socket.write(head.subarray(0, length));
      this.socket.write(payload, this.taken);
      this.socket.uncork();
      return;
    }
    if (this.gathered + payload.length + MAX_FRAME_HEAD > GATHERED) this.flush();
    this.memory ??= this.shared.memory();
    const { memory } = this;
    const length = frames.write(opcode, payload, memory, this.gathered);
    memory.set(payload, this.gathered + length);
    this.gathered += length + payload.length;
    if (++this.frames > 1) return;
    this.shared.flushLater(this);
    if (!this.isBusy) this.flush();
  }

  /** The turn of the event loop in which something was written is over. */
  turnOver(): void {
    this.isBusy = this.frames > 1;
    this.frames = 0;
    this.flush();
  }

  private flush(): void {
    const { memory, gathered } = this;
    if (memory === undefined || gathered === 0) return;
    this.memory = undefined;
    this.gathered = 0;
    this.socket.write(memory.subarray(0, gathered), (error) => {
      this.shared.giveBack(memory);
      this.taken(error);
    });
  }

  /** What was gathered goes nowhere. */
  private drop(): void {
    if (this.memory !== undefined) this.shared.giveBack(this.memory);
    this.memory = undefined;
    this.gathered = 0;
  }

  private readonly taken = (error?: Error | null): void => {
    if (error != null || !this.behind || this.leaving || this.bufferedAmount > 0) return;
    this.behind = false;
    this.events.drain();
  };
}
