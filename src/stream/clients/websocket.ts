/** A client that is a WebSocket. */
import type { Socket } from '../../engine/engine.ts';
import type { Client } from '../channel.ts';
import { asText, type Ending } from '../message.ts';

export class WebSocketClient implements Client {
  /** @param binary whether messages go out as binary ones; otherwise as text, made valid UTF-8 */
  constructor(
    private readonly socket: Socket,
    private readonly binary: boolean,
  ) {}

  deliver(message: Buffer): boolean {
    return this.socket.send(this.binary ? message : asText(message), this.binary);
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
