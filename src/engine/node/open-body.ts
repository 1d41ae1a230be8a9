/**
 * A body of HTTP/1.0 that has no length, as somebody pipes it into netcat: Node has let go of the connection, and whatever comes on it is the
 * body, until the client shuts its sending side. Nobody but a handler that takes bodies as they come wants one.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { BodyReceiver } from '../engine.ts';

export class OpenBody {
  /** The client has shut its sending side. */
  ended = false;
  private onEnd: (() => void) | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly head: Buffer,
  ) {
    // An error is always followed by the close, which is what counts.
    socket.on('error', () => {});
    socket.once('end', () => {
      this.ended = true;
      this.onEnd?.();
    });
  }

  watch(left: () => void): void {
    this.socket.on('close', left);
  }

  /** Nothing comes before this returns. */
  take(receiver: BodyReceiver): void {
    const { socket, head } = this;
    if (head.length > 0) socket.unshift(head);
    this.onEnd = () => receiver.end();
    socket.on('data', (bytes: Buffer) => receiver.chunk(bytes));
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** The rest is read, because closing with unread bytes would be a reset, and nobody gets it. @param ended called when it is over */
  discard(ended?: () => void): void {
    this.socket.removeAllListeners('data');
    this.onEnd = ended;
    this.socket.resume();
  }

  /** The connection is the response's until that has been sent. */
  answer(response: ServerResponse): void {
    const { socket } = this;
    response.assignSocket(socket);
    response.once('finish', () => {
      response.detachSocket(socket);
      response.emit('close');
      socket.destroySoon();
    });
  }
}

/** Whether a request has such a body, or none: both look the same. One that wants the connection kept has none. */
export function isOpenEnded({ method, httpVersion, headers }: IncomingMessage): boolean {
  if (httpVersion !== '1.0' || (method !== 'POST' && method !== 'PUT')) return false;
  const { 'content-length': length, 'transfer-encoding': coding, connection = '' } = headers;
  return length === undefined && coding === undefined && !/\bkeep-alive\b/i.test(connection);
}
