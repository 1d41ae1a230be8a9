/** A client that is a WebSocket. */
import type { Socket } from '../../engine/engine.ts';
import type { Client, Notice, Origin } from '../ends.ts';
import type { Watched } from '../keepalive.ts';
import type { Ending, Message } from '../message.ts';

/**
 * Messages from stdout are of the framing's type, text or binary; those from stderr are of the other type, which is how a
 * client tells them apart. A client that asked for numbers (`?after=`) gets each message with its id, and notices as text messages
 * that begin with a line `event:KIND`.
 */
export class WebSocketClient implements Client, Watched {
  constructor(
    private readonly socket: Socket,
    private readonly numbered: boolean,
    /** Called for each delivery. */
    private readonly delivered: () => void,
  ) {}

  get bufferedAmount(): number {
    return this.socket.bufferedAmount;
  }

  deliver(batch: readonly Message[], origin: Origin): boolean {
    this.delivered();
    const numbered = this.numbered && origin === 'stdout';
    const [only] = batch;
    if (batch.length === 1 && only !== undefined)
      return this.socket.send(numbered ? only.numbered : only.payload, only.binary);
    let caughtUp = true;
    this.socket.batch(() => {
      for (const message of batch)
        caughtUp = this.socket.send(numbered ? message.numbered : message.payload, message.binary);
    });
    return caughtUp;
  }

  /** A plain client has asked for the messages and nothing else. */
  notice(notice: Notice): void {
    if (!this.numbered) return;
    this.socket.send(`event:${notice.kind}\n${notice.kind === 'missed' ? (notice.count ?? '') : notice.text}`, false);
  }

  ping(): void {
    this.socket.ping();
  }

  close(ending: Ending): void {
    this.socket.close(ending.code, ending.reason);
  }

  terminate(): void {
    this.socket.terminate();
  }

  pause(): boolean {
    return this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }
}
