/** The connection of a WebSocket handshake, which Node has let go of, until it is decided what becomes of it. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A client that sends before the 101 is made to wait at this point. Bytes. */
const MAX_EARLY = 64 * 1024;

export class PendingUpgrade {
  private readonly early: Buffer[] = [];
  private earlyBytes = 0;
  private left: () => void = () => {};

  constructor(
    private readonly socket: Socket,
    head: Buffer,
  ) {
    if (head.length > 0) this.early.push(head);
    // An error is always followed by the close, which is what counts.
    socket.on('error', () => {});
  }

  /** Tells when the client leaves before the decision. What it sends until then is kept. */
  watch(left: () => void): void {
    this.left = left;
    this.socket.on('data', this.keep);
    this.socket.on('end', this.hangUp);
    this.socket.on('close', left);
  }

  /** It becomes a WebSocket: the bytes that the client has sent already. */
  takeHead(): Buffer {
    this.unwatch();
    // Flowing, for whoever listens before this turn ends.
    this.socket.resume();
    return Buffer.concat(this.early);
  }

  /** It stays HTTP for one answer. */
  answerHttp(response: ServerResponse): void {
    const { socket } = this;
    this.unwatch();
    socket.resume();
    response.assignSocket(socket);
    response.once('finish', () => {
      response.detachSocket(socket);
      response.emit('close');
      socket.destroySoon();
    });
  }

  private readonly keep = (bytes: Buffer) => {
    this.early.push(bytes);
    this.earlyBytes += bytes.length;
    if (this.earlyBytes > MAX_EARLY) this.socket.pause();
  };

  private readonly hangUp = () => {
    this.socket.destroy();
  };

  private unwatch(): void {
    this.socket.off('data', this.keep);
    this.socket.off('end', this.hangUp);
    this.socket.off('close', this.left);
  }
}
