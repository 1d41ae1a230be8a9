/** A client that is a WebSocket. */
import type { Socket } from '../../engine/engine.ts';
import type { Client, Origin } from '../channel.ts';
import type { Watched } from '../keepalive.ts';
import { asText, type Ending } from '../message.ts';

/**
 * Messages from stdout are of the framing's type, text or binary; those from stderr are of the other type, which is how a
 * client tells them apart.
 */
export class WebSocketClient implements Client, Watched {
  constructor(
    private readonly socket: Socket,
    private readonly binary: boolean,
    /** Called for each delivery. */
    private readonly delivered: () => void,
  ) {}

  get bufferedAmount(): number {
    return this.socket.bufferedAmount;
  }

  deliver(batch: readonly Buffer[], origin: Origin): boolean {
    this.delivered();
    const binary = (origin === 'stdout') === this.binary;
    let caughtUp = true;
    this.socket.batch(() => {
      for (const message of batch) caughtUp = this.socket.send(binary ? message : asText(message), binary);
    });
    return caughtUp;
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
