/** A client that is a WebSocket. */
import type { Socket } from '../../engine/engine.ts';
import type { Client, Notice, Origin } from '../ends.ts';
import type { Ending, Message } from '../message.ts';
import type { PingedClient } from './keepalive.ts';
import { noticeText } from './notice-text.ts';

/**
 * A plain client gets the messages and nothing else: those from stdout are of the framing's type, text or binary, those from stderr
 * of the other type, which is how it tells them apart. One that asked for numbers (`?after=`) gets each message with its id, and
 * everything else as text messages that begin with a line `event:KIND`: what stderr says, notices, pings that a page can see.
 */
export class WebSocketClient implements Client, PingedClient {
  heldBack = false;

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
    },
  ) {}

  get bufferedAmount(): number {
    return this.socket.bufferedAmount;
  }

  deliver(batch: readonly Message[], origin: Origin): boolean {
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

  private send(message: Message, origin: Origin): boolean {
    if (!this.numbered) return this.socket.send(message.payload, message.binary);
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
