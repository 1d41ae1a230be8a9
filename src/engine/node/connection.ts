/** One connection of the engine on Node: which requests it still owes an answer, and how it refuses the next. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Reply, Request } from '../engine.ts';
import type { Peer } from '../peer.ts';
import { closingText } from '../replies.ts';

/** What every request of one connection says of its TLS. */
export type SecureFacts = Pick<Request, 'tls' | 'peerCertificate'>;

/** How long a refused or early-answered client may go on sending before it is cut, so that it reads the answer first. Milliseconds. */
export const LINGER = 2000;

/**
 * How long the answer to a client may be silent that has shut its sending side. Such a client may be there still (RFC 9112 section 9.6),
 * or have left: that shows only when something is sent to it. Milliseconds.
 */
export const HALF_CLOSED = 10_000;
/** How many requests of one connection may wait for their answers at once. Behind them it is closed, and the client asks again. */
const MOST_UNANSWERED = 64;
/** How many more it may send then, before it is cut. */
const MOST_IGNORED = 1024;

export class Connection {
  /** No request behind this point is served: what follows is not, or may not be, one. */
  last = false;
  private readonly unanswered = new Set<ServerResponse>();
  /** What is told to the client once it has the answers before it. */
  private refusal: Reply | undefined;
  /** The client has shut its sending side. */
  private shut: NodeJS.Timeout | undefined;
  private endless = false;
  private written = 0;
  private ignored = 0;

  constructor(
    readonly socket: Socket,
    readonly peer: Peer,
    /** What the TLS handshake told; undefined for a plain connection. */
    readonly secure?: SecureFacts,
  ) {
    socket.once('end', () => this.halfClosed());
    socket.once('close', () => clearInterval(this.shut));
  }

  /** @param isLast nothing behind this request may be believed to be one */
  began(response: ServerResponse, isLast: boolean): void {
    this.unanswered.add(response);
    if (isLast || this.unanswered.size >= MOST_UNANSWERED) this.last = true;
  }

  /** Whether the connection is to be closed behind this answer. */
  isLast(response: ServerResponse): boolean {
    return this.last && [...this.unanswered].at(-1) === response;
  }

  /** A request behind the last one: Node keeps something of each. */
  ignore(): void {
    if (++this.ignored > MOST_IGNORED) this.socket.destroy();
  }

  ended(response: ServerResponse): void {
    if (!this.unanswered.delete(response)) return;
    const { refusal } = this;
    if (refusal !== undefined) {
      this.refusal = undefined;
      this.last = false;
      this.refuse(refusal);
    } else if (this.unanswered.size === 0 && this.last) this.leave();
  }

  /** It speaks WebSocket from now on: nothing of the request is kept. */
  becameSocket(): void {
    this.last = true;
    this.unanswered.clear();
  }

  /** The answer may take as long as the client stays: shutting its sending side counts as leaving. */
  isEndless(): void {
    this.endless = true;
    if (this.shut !== undefined) this.socket.destroy();
  }

  /**
   * Answers what cannot be understood with `refusal`, unless that would end up inside of another answer; then closes. Requests before it
   * that have arrived whole are answered first.
   */
  refuse(refusal: Reply): void {
    if (this.last) return;
    this.last = true;
    const { socket } = this;
    // On its way out already.
    if (socket.writableEnded) return;
    const [first, ...others] = this.unanswered;
    if (first?.req.complete === true) {
      this.refusal = refusal;
      return;
    }
    if (first?.headersSent === true || others.length > 0 || !socket.writable) {
      socket.destroy();
      return;
    }
    socket.end(closingText(refusal));
    this.linger();
  }

  /** Ends our side behind what was written. */
  private leave(): void {
    if (!this.socket.writable) return;
    this.socket.end();
    this.linger();
  }

  /** Closing with unread bytes would be a reset, and the client might never see the answer. */
  private linger(): void {
    const { socket } = this;
    const timer = setTimeout(() => socket.destroy(), LINGER);
    socket.once('close', () => clearTimeout(timer));
    socket.resume();
  }

  private halfClosed(): void {
    if (this.unanswered.size === 0) return;
    if (this.endless) {
      this.socket.destroy();
      return;
    }
    this.written = this.socket.bytesWritten;
    this.shut = setInterval(() => {
      const { bytesWritten, writableLength } = this.socket;
      // What waits in the kernel tells by itself whether somebody is there.
      if (bytesWritten === this.written && writableLength === 0) this.socket.destroy();
      this.written = bytesWritten;
    }, HALF_CLOSED);
  }
}
