/** One HTTP/2 connection: its requests, what it may ask of us, and how it ends. */
import type { EventEmitter } from 'node:events';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { ListenerFacts, Request } from '../../engine.ts';
import type { Peer } from '../../peer.ts';
import { headRefusal, REFUSED_TOO_OFTEN, refusalReply } from '../../refusals.ts';
import { LINGER, type SecureFacts } from '../connection.ts';
import { strangerReason } from '../tls.ts';
import { Http2Exchange, type Http2Shared } from './exchange.ts';
import { isComplete, replyFields, respond } from './fields.ts';
import { isBadHead, readHead } from './head.ts';
import { Budget, CONTROL_FRAMES, RESETS } from './limits.ts';

const END_STREAM = 0x1;
const ENHANCE_YOUR_CALM = 11;
/** The largest number of a stream: none is refused yet. */
const EVERY_STREAM = 2 ** 31 - 1;
/** How long requests are still taken that were sent before the client has read that we are leaving. Milliseconds. */
const NOTICE = 200;

/** What the sessions of one listener share. */
export interface SessionShared extends Http2Shared {
  readonly maxHeaderBytes: number;
  /** Milliseconds for the client's first frame. */
  readonly headerTimeout: number;
  readonly keepAliveTimeout: number;
  /** Whether clients without an acceptable certificate are refused; asked for each request. */
  requiresClient(): boolean;
}

/** Who is at the other end, and through which listener. */
export interface SessionClient {
  readonly socket: Socket;
  readonly peer: Peer;
  readonly secure: SecureFacts;
  readonly listener: ListenerFacts;
}

export class Session {
  private readonly resets = new Budget(RESETS);
  private readonly controls = new Budget(CONTROL_FRAMES);
  private streams = 0;
  private idle: NodeJS.Timeout;
  private leaving = false;
  /** We have ended it: what its end brings with it is nobody's mistake. */
  private ended = false;

  constructor(
    private readonly native: ServerHttp2Session,
    private readonly client: SessionClient,
    private readonly shared: SessionShared,
  ) {
    this.idle = setTimeout(() => this.leave(), shared.headerTimeout);
    // The types know neither that a session tells this, nor the head as it came.
    (native as EventEmitter).on('stream', (stream: ServerHttp2Stream, _headers: object, flags: number, raw: string[]) =>
      this.begin(stream, flags, raw),
    );
    native.once('remoteSettings', () => this.waitForNext());
    native.on('remoteSettings', () => this.controlled('SETTINGS'));
    native.on('ping', () => this.controlled('PING'));
    native.on('goaway', () => this.lingerUnlessBusy());
    native.on('error', (error: NodeJS.ErrnoException) => this.failed(error));
    // Without its sending side a client can neither ask nor take an answer that is longer than its window.
    client.socket.once('end', () => this.drop());
    client.socket.once('close', () => clearTimeout(this.idle));
  }

  /** No more requests, soon; those that are under way are answered, and then the connection is closed. */
  stop(): void {
    if (this.native.destroyed || this.native.closed) return;
    this.native.goaway(0, EVERY_STREAM);
    const timer = setTimeout(() => this.leave(), NOTICE);
    this.client.socket.once('close', () => clearTimeout(timer));
  }

  get bytesWritten(): number {
    return this.client.socket.bytesWritten;
  }

  /** The client takes nothing any more. */
  stalled(): void {
    this.drop();
  }

  private leave(): void {
    if (!this.native.destroyed) this.native.close();
    this.lingerUnlessBusy();
  }

  private drop(): void {
    this.ended = true;
    this.client.socket.destroy();
  }

  /** Ends everything because of what the client does. */
  private refuseAll(reason: string): void {
    if (this.ended) return;
    this.ended = true;
    this.native.destroy(new Error(reason), ENHANCE_YOUR_CALM);
    this.linger();
    this.shared.events.refused(reason, this.client.peer.address);
  }

  private failed(error: NodeJS.ErrnoException): void {
    if (this.ended) return;
    this.ended = true;
    this.linger();
    const { code = '' } = error;
    // The other ones of Node's own are the client's GOAWAY; those of the system its leaving.
    if (code !== 'ERR_HTTP2_ERROR' && !code.startsWith('ERR_HTTP2_TOO_MANY')) return;
    this.shared.events.refused(`broken HTTP/2: ${error.message}`, this.client.peer.address);
  }

  private controlled(kind: string): void {
    if (!this.controls.take()) this.refuseAll(`too many ${kind} frames`);
  }

  private waitForNext(): void {
    clearTimeout(this.idle);
    if (this.streams === 0 && !this.leaving) this.idle = setTimeout(() => this.leave(), this.shared.keepAliveTimeout);
  }

  private lingerUnlessBusy(): void {
    if (this.streams === 0) this.linger();
  }

  /** All is said. A client that neither closes its side nor reads is cut. */
  private linger(): void {
    if (this.leaving) return;
    this.leaving = true;
    clearTimeout(this.idle);
    const { socket } = this.client;
    const timer = setTimeout(() => socket.destroy(), LINGER);
    socket.once('close', () => clearTimeout(timer));
  }

  // ---- requests ----

  private begin(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    // It is always followed by the close, which is what counts.
    stream.on('error', () => {});
    if (stream.destroyed || stream.closed) {
      this.taken(true);
      return;
    }
    this.streams++;
    clearTimeout(this.idle);
    stream.once('close', () => this.over(stream));
    this.accept(stream, (flags & END_STREAM) !== 0, raw);
  }

  private over(stream: ServerHttp2Stream): void {
    this.streams--;
    if (this.native.closed) this.lingerUnlessBusy();
    else this.waitForNext();
    this.taken(!isComplete(stream));
  }

  /** A request is over; `back`: before its answer was complete. */
  private taken(back: boolean): void {
    if (back && !this.ended && !this.native.destroyed && !this.resets.take())
      this.refuseAll('too many requests that are reset before their answer');
  }

  private accept(stream: ServerHttp2Stream, ended: boolean, raw: readonly string[]): void {
    const { peer, secure, listener } = this.client;
    const stranger = this.shared.requiresClient() ? strangerReason(secure.peerCertificate) : undefined;
    if (stranger !== undefined) {
      this.refuse(stream, 403, stranger);
      return;
    }
    const head = readHead(raw, ended, this.shared.maxHeaderBytes);
    if (isBadHead(head)) {
      this.refuse(stream, head.status, head.reason);
      return;
    }
    const { method, path, query, headers, facts, opening } = head;
    const request: Request = {
      method,
      path,
      query,
      version: '2.0',
      headers,
      remoteAddress: peer.address,
      remotePort: peer.port,
      localAddress: peer.local,
      listener,
      ...(peer.anonymous ? { anonymous: true } : {}),
      ...secure,
    };
    const handshake = opening?.refused === undefined ? opening?.handshake : undefined;
    const exchange = new Http2Exchange(request, handshake, facts, stream, this, this.shared);
    exchange.handle(headRefusal(request, facts, opening));
  }

  /** Answers what is no request. */
  private refuse(stream: ServerHttp2Stream, status: number, reason: string): void {
    const answered = this.shared.events.refused(reason, this.client.peer.address);
    const reply = answered ? refusalReply(status, reason) : REFUSED_TOO_OFTEN;
    respond(stream, replyFields(reply, false));
    // Nothing, where it was HEAD: Node has ended it already.
    if (stream.writable && typeof reply.body === 'string') stream.end(reply.body);
  }
}
