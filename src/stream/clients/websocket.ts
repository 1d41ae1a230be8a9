/** A client that is a WebSocket. */
import type { Socket, SocketHandlers, Upgrade } from '../../engine/engine.ts';
import { CLOSE, type Ending, type Message } from '../message.ts';
import {
  type Client,
  type ClientEvents,
  type ClientParts,
  GONE,
  type MessageOrigin,
  type Notice,
  noticeText,
  type Reservation,
} from './client.ts';
import { earlyPings, type PingedClient, type Watch, type WatchOwner } from './keepalive.ts';

/**
 * A plain client gets the messages and nothing else: those from stdout are of the framing's type, text or binary, those from stderr
 * of the other type, which is how it tells them apart. One that asked for numbers (`?after=`) gets each message with its id, and
 * everything else as text messages that begin with a line `event:KIND`: what stderr says, notices, pings that a page can see.
 */
export class WebSocketClient implements Client, PingedClient {
  heldBack = false;
  /** On the prototype, because there may be very many clients. */
  get transport(): string {
    return 'websocket';
  }

  constructor(
    private readonly socket: Socket,
    private readonly numbered: boolean,
    /** Milliseconds between pings: a numbered client is told, so that it can find out that the line is dead. */
    private readonly pingInterval: number,
    private readonly owner: {
      /** Called for each message, either way. */
      delivered(): void;
      /** It is read from again: what it has answered meanwhile comes now. */
      resumed(): void;
      /** A plain client gets no stderr. */
      readonly stderrAsEvents: boolean;
    },
  ) {}

  get bufferedAmount(): number {
    return this.socket.bufferedAmount;
  }

  deliver(batch: readonly Message[], origin: MessageOrigin): boolean {
    this.owner.delivered();
    const [only] = batch;
    if (batch.length === 1 && only !== undefined) return this.send(only, origin);
    let caughtUp = true;
    this.socket.batch(() => {
      for (const message of batch) caughtUp = this.send(message, origin);
    });
    return caughtUp;
  }

  spoke(): void {
    this.owner.delivered();
  }

  notice(notice: Notice): void {
    if (this.numbered) this.event(notice.kind, noticeText(notice, { ping: this.pingInterval }));
  }

  /** @param due milliseconds until the next one, which a numbered client is told */
  ping(due = this.pingInterval): void {
    this.socket.ping();
    if (this.numbered) this.event('ping', String(due));
  }

  close(ending: Ending): void {
    this.socket.close(ending.code, ending.reason);
  }

  terminate(): void {
    this.socket.terminate();
  }

  private send(message: Message, origin: MessageOrigin): boolean {
    if (!this.numbered)
      return (origin === 'stderr' && this.owner.stderrAsEvents) || this.socket.send(message.payload, message.binary);
    if (origin === 'stderr') return this.event('stderr', message.data.toString());
    return this.socket.send(message.numbered, message.binary);
  }

  private event(kind: string, text: string): boolean {
    return this.socket.send(`event:${kind}\n${text}`, false);
  }

  pause(): boolean {
    this.heldBack = this.socket.pause();
    return this.heldBack;
  }

  resume(): void {
    if (this.heldBack) this.owner.resumed();
    this.heldBack = false;
    this.socket.resume();
  }
}

/** @param numbered whether the client asked for ids; @param protocol one of those that the client offered */
export function acceptWebSocket(
  clientParts: ClientParts,
  options: { readonly numbered: boolean; readonly protocol?: string | undefined },
  reservation: Reservation,
): Upgrade {
  return {
    protocol: options.protocol,
    headers: [],
    maxMessage: clientParts.maxMessage,
    deflating: clientParts.deflating,
    handlers: new StreamSocket(clientParts, options.numbered, reservation),
    cancel: () => reservation.cancel(),
  };
}

/** What a WebSocket of a stream keeps in memory, and there may be very many: an object without closures, and nothing of the request. */
class StreamSocket implements SocketHandlers, WatchOwner {
  private events: ClientEvents | undefined;
  private watch: Watch | undefined;
  private reservation: Reservation | undefined;
  private stopEarly: (() => void) | undefined;
  private over = false;

  constructor(
    private readonly clientParts: ClientParts,
    private readonly numbered: boolean,
    reservation: Reservation,
  ) {
    this.reservation = reservation;
  }

  open(socket: Socket): void {
    const { reservation } = this;
    const { keepAlive, counts } = this.clientParts;
    // It knows the whole request.
    this.reservation = undefined;
    const client = new WebSocketClient(socket, this.numbered, keepAlive.pingInterval, this);
    counts.joined('websocket');
    this.watch = keepAlive.add(client, this);
    if (this.numbered) this.stopEarly = earlyPings((due) => client.ping(due), keepAlive.pingInterval);
    this.events = reservation?.join(client);
    if (this.events === undefined) client.close(GONE);
    else if (this.over) this.events.left();
  }

  message(data: Buffer, isBinary: boolean): void {
    const { binary, mixed, readOnly } = this.clientParts;
    this.watch?.message();
    this.watch?.heard();
    if (readOnly !== undefined) {
      this.clientParts.counts.drop('read_only');
      this.events?.close({ code: CLOSE.policyViolation, reason: readOnly });
    } else if (isBinary === binary || mixed) this.events?.message(data, isBinary);
    else
      this.events?.close({
        code: CLOSE.unsupportedData,
        reason: binary ? 'this stream accepts only binary messages' : 'this stream accepts only text messages',
      });
  }

  drain(): void {
    this.watch?.heard();
    this.events?.drain();
  }

  pong(): void {
    this.watch?.heard();
  }

  ping(): void {
    this.watch?.heard();
  }

  close(code: number): void {
    const { keepAlive, counts } = this.clientParts;
    this.over = true;
    this.stopEarly?.();
    if (this.watch !== undefined) keepAlive.remove(this.watch);
    counts.left(code);
    this.events?.left();
  }

  get stderrAsEvents(): boolean {
    return this.clientParts.stderrAsEvents;
  }

  delivered(): void {
    this.watch?.message();
  }

  resumed(): void {
    this.watch?.heard();
  }

  end(ending: Ending): void {
    this.events?.close(ending);
  }

  vanished(): void {
    this.events?.vanished();
  }
}
