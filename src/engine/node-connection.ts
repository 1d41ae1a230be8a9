/** One connection of the engine on Node: which requests it still owes an answer, and how it refuses the next. */
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Request } from './engine.ts';

/** What every request of one connection says of its TLS. */
export type SecureFacts = Pick<Request, 'tls' | 'peerCertificate'>;

/** The other end of a connection: the client, as far as one can know. */
export interface Peer {
  /** As engines write addresses. */
  readonly address: string;
  readonly port: number | undefined;
  /** The address of ours that the connection was made to, by a proxy where there is one. */
  readonly local: string | undefined;
  /** A proxy in front says that it speaks TLS with the client. */
  readonly secure: boolean;
  /** It is the proxy that is known, not whose connection it has passed on (a PROXY preface that names nobody). */
  readonly anonymous: boolean;
  /** Bytes that the proxy wrote before the client's first. */
  readonly preface: number;
}

const RETRY_AFTER: { readonly [status: number]: string } = { 429: 'Retry-After: 1\r\n', 503: 'Retry-After: 5\r\n' };

/** How long a refused or early-answered client may go on sending before it is cut, so that it reads the answer first. Milliseconds. */
export const LINGER = 2000;

export class Connection {
  /** No request behind this point is served: what follows is not, or may not be, one. */
  last = false;
  private readonly unanswered = new Set<ServerResponse>();

  constructor(
    readonly socket: Socket,
    readonly peer: Peer,
    /** What the TLS handshake told; undefined for a plain connection. */
    readonly secure?: SecureFacts,
  ) {}

  began(response: ServerResponse): void {
    this.unanswered.add(response);
  }

  ended(response: ServerResponse): void {
    this.unanswered.delete(response);
  }

  /** It speaks WebSocket from now on: nothing of the request is kept. */
  becameSocket(): void {
    this.last = true;
    this.unanswered.clear();
  }

  /** Answers what cannot be understood with `status`, unless that would end up inside of another answer; then closes. */
  refuse(status: number, reason: string): void {
    if (this.last) return;
    this.last = true;
    const { socket } = this;
    const clean = this.unanswered.size <= 1 && [...this.unanswered].every((response) => !response.headersSent);
    if (!clean || !socket.writable) {
      socket.destroy();
      return;
    }
    const body = `refused: ${reason}\n`;
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nDate: ${new Date().toUTCString()}\r\nConnection: close\r\n` +
        `${RETRY_AFTER[status] ?? ''}Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    // Closing with unread bytes would be a reset, and the client might never see the answer.
    const timer = setTimeout(() => socket.destroy(), LINGER);
    socket.once('close', () => clearTimeout(timer));
    socket.resume();
  }
}
