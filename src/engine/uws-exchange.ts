/** One request on uWebSockets.js and its answer. */

import type { HttpResponse } from 'uWebSockets.js';
import type { BodyReceiver, BodySource, Exchange, Handshake, Reply, Request, Upgrade } from './engine.ts';
import { type HeadRefusal, REFUSED_TOO_OFTEN } from './head-refusal.ts';
import type { HeadFacts } from './heads.ts';
import { STALLED_REPLY } from './limits.ts';
import {
  bodyLength,
  internalError,
  isBodiless,
  isSource,
  namesUpgrade,
  sendableReply,
  upgradeProblem,
} from './reply-check.ts';
import { wholeHead, writeHeaders, writeStatus } from './uws-head.ts';
import { Outflow } from './uws-outflow.ts';
import type { UwsLast, UwsOpening, UwsShared } from './uws-shared.ts';
import { type SocketData, UwsSocket } from './uws-socket.ts';

/**
 * Up to this size a body is handed over at once; above it the client's pace counts. With a usual head it fits into the 16 KiB that
 * uWebSockets.js gathers: what does not fit is lost when the kernel has no room, as it has for a client that asks on and does not read.
 */
const SMALL = 12 * 1024;

/** Ticks of `Liveness` in which a client can close the connection after an answer whose end nothing else tells to have been sent. */
const LINGER = 2;

/** Why uWebSockets.js closes a connection in the very turn in which a request came. */
const CLOSED_AT_ONCE = 'a body that cannot be read, or a request behind one that is not answered yet';

export class UwsExchange implements Exchange {
  readonly hasBody: boolean;
  readonly contentLength: number | undefined;
  aborted = false;
  /** `open` until `reply` or `upgrade`, `over` when uWebSockets.js has taken the response back: then it must not be touched. */
  private state: 'open' | 'answering' | 'over' = 'open';
  private abortListener: (() => void) | undefined;
  private receiver: BodyReceiver | undefined;
  private bodyOver: boolean;
  private bodyPaused = false;
  private readingStopped = false;
  /** The connection is closed: the response must not be touched in whatever state. */
  private gone = false;
  /** The answer is complete, and these many ticks later the connection is closed by us where the client has not done so. */
  private lingering = 0;
  /** When it was left without an answer: a request behind it in the same turn ends the connection. */
  private turn = -1;
  private switching: Upgrade | undefined;
  private outflow: Outflow | undefined;
  private outflowBehind = false;
  private stalledFor = 0;
  private deferred: Reply | undefined;
  /** Inside of a callback of uWebSockets.js or of `cork`: written bytes are gathered. */
  private isCorked = true;
  private inHandler = true;

  constructor(
    readonly request: Request,
    private readonly response: HttpResponse,
    private readonly facts: HeadFacts,
    private readonly opening: UwsOpening | undefined,
    /** Set: nothing behind this request may be served. */
    private readonly last: UwsLast | undefined,
    private readonly shared: UwsShared,
  ) {
    this.hasBody = facts.hasBody;
    this.contentLength = facts.contentLength;
    this.bodyOver = !facts.hasBody;
    shared.drain.began();
  }

  get isLast(): boolean {
    return this.last !== undefined;
  }

  get handshake(): Handshake | undefined {
    return this.opening?.handshake;
  }

  onAborted(listener: () => void): void {
    this.abortListener = listener;
  }

  /** Whoever shuts its sending side counts as gone here in any case. */
  endless(): void {}

  receive(receiver: BodyReceiver): void {
    if (!this.inHandler) throw new Error('a body can be taken only before the callback returns');
    this.receiver = receiver;
    if (!this.hasBody) queueMicrotask(() => this.guard(() => !this.aborted && receiver.end()));
  }

  /** Asks the host, or refuses. Once it has returned it is known whether somebody takes the body. */
  handle(refusal: HeadRefusal | undefined): void {
    try {
      if (refusal === undefined) {
        this.shared.host.exchange(this);
      } else {
        const { host } = this.shared;
        const answered = host.refused(refusal.reason, this.request.remoteAddress, this.request);
        this.reply(answered ? refusal.reply : REFUSED_TOO_OFTEN);
      }
    } catch (error) {
      this.failed(error);
    }
    this.inHandler = false;
    this.isCorked = false;
    if (this.state !== 'over') this.turn = this.shared.turns.note();
    if (this.bodyOver || this.state === 'over') return;
    this.response.onData((bytes, last) => this.bodyBytes(bytes, last));
    this.shared.liveness.add(this);
  }

  pauseBody(): void {
    if (this.bodyOver || this.state !== 'open') return;
    this.bodyPaused = true;
    // From within the handler or `bodyBytes` it would not last; `bodyBytes` does it at its end.
    if (!this.isCorked) this.stopReading();
  }

  resumeBody(): void {
    this.bodyPaused = false;
    if (!this.readingStopped) return;
    this.readingStopped = false;
    if (this.state !== 'over') this.response.resume();
  }

  reply(reply: Reply): void {
    if (this.state !== 'open') {
      if (isSource(reply.body)) reply.body.cancel();
      if (!this.aborted) this.shared.host.failed(new Error('a request was answered twice'));
      return;
    }
    this.state = 'answering';
    const { heads, host } = this.shared;
    const sendable = heads.of(reply) === undefined ? sendableReply(reply, (error) => host.failed(error)) : reply;
    this.resumeBody();
    if (this.last === undefined) {
      this.isCorked ? this.perform(sendable) : this.corked(() => this.perform(sendable));
      return;
    }
    // While this one is unanswered whatever uWebSockets.js reads behind it ends the connection instead of being served.
    this.deferred = sendable;
    setImmediate(() => this.performDeferred());
  }

  upgrade(upgrade: Upgrade): void {
    if (this.state !== 'open') {
      upgrade.cancel();
      if (!this.aborted) this.shared.host.failed(new Error('a request was answered twice'));
      return;
    }
    const problem = this.opening === undefined ? 'there was no handshake' : this.upgradeProblem(upgrade);
    if (this.opening === undefined || problem !== undefined) {
      upgrade.cancel();
      this.shared.host.failed(new Error(`a switch to WebSocket cannot be sent: ${problem}`));
      this.reply(internalError());
      return;
    }
    if (this.isCorked) {
      this.switchNow(upgrade, this.opening);
      return;
    }
    // In a turn of its own: while the bytes of another connection are read, uWebSockets.js would take this one for that.
    const { opening } = this;
    this.state = 'answering';
    this.switching = upgrade;
    setImmediate(() => {
      if (this.switching === undefined) return;
      this.switching = undefined;
      this.switchNow(upgrade, opening);
    });
  }

  /** The client left, or this exchange was given up. */
  abort(): void {
    this.gone = true;
    this.stopLingering();
    if (this.state === 'over') return;
    this.aborted = true;
    const deferred = this.deferred?.body;
    const { switching } = this;
    this.switching = undefined;
    this.finish();
    if (this.turn === this.shared.turns.current) this.shared.host.refused(CLOSED_AT_ONCE, this.request.remoteAddress);
    this.guard(() => {
      if (isSource(deferred)) deferred.cancel();
      this.outflow?.cancel();
    });
    this.guard(() => switching?.cancel());
    this.guard(() => this.abortListener?.());
  }

  /** The host's callback threw, or a callback that belongs to this exchange. */
  private failed(error: unknown): void {
    this.shared.host.failed(error);
    if (this.state === 'open') this.reply(internalError());
  }

  /** See `Liveness`. Never while reading is stopped: there is no timer then, and resuming would let bytes in. */
  tick(milliseconds: number): void {
    if (this.readingStopped) return;
    if (this.lingering > 0) {
      this.lingering--;
      if (this.lingering === 0) this.response.close();
      return;
    }
    if (this.outflowBehind) {
      this.stalledFor += milliseconds;
      if (this.stalledFor >= STALLED_REPLY) {
        this.response.close();
        return;
      }
    }
    this.response.pause();
    this.response.resume();
  }

  corked(write: () => void): void {
    if (this.isCorked) {
      write();
      return;
    }
    this.isCorked = true;
    try {
      this.response.cork(write);
    } finally {
      this.isCorked = false;
    }
  }

  direct(write: () => void): void {
    this.shared.anchor.hold(write);
  }

  behind(is: boolean): void {
    if (this.lingering > 0) {
      this.lingering = LINGER;
      return;
    }
    this.outflowBehind = is;
    this.stalledFor = 0;
    if (is) this.shared.liveness.add(this);
    else if (this.bodyOver) this.shared.liveness.delete(this);
  }

  completed(): void {
    this.finish();
    if (this.last === undefined) return;
    if (this.outflow?.total === undefined) {
      this.lingering = LINGER;
      this.shared.liveness.add(this);
    } else if (!this.gone) this.last.grip?.close();
  }

  broken(error: unknown): void {
    this.shared.host.failed(error);
    if (this.state === 'over') return;
    this.finish();
    this.response.close();
  }

  private switchNow(upgrade: Upgrade, { key, context }: UwsOpening): void {
    const socket = new UwsSocket(upgrade.handlers, upgrade.maxMessage, this.shared.host, this.request.remoteAddress);
    if (upgrade.headers.length > 0) {
      this.corked(() => {
        this.response.writeStatus('101 Switching Protocols');
        writeHeaders(this.response, upgrade.headers);
      });
    }
    this.state = 'over';
    const switching = () => {
      // Its connection stays counted as busy: as a WebSocket now, until that is closed.
      this.response.upgrade<SocketData>({ socket }, key, upgrade.protocol ?? '', '', context);
    };
    // Within the request's own callback nothing is wrong with its cork; later everything is (see `UwsAnchor`).
    if (this.isCorked) switching();
    else this.shared.anchor.hold(switching);
    if (!socket.wasOpened) upgrade.cancel();
  }

  private stopLingering(): void {
    if (this.lingering === 0) return;
    this.lingering = 0;
    this.shared.liveness.delete(this);
  }

  private upgradeProblem(upgrade: Upgrade): string | undefined {
    return upgradeProblem(upgrade, this.handshake?.protocols ?? []);
  }

  private bodyBytes(bytes: ArrayBuffer, last: boolean): void {
    if (last) {
      this.bodyOver = true;
      if (!this.outflowBehind) this.shared.liveness.delete(this);
    }
    if (this.state !== 'open') return;
    this.isCorked = true;
    try {
      // The bytes are taken away when this returns (measured), hence the copy.
      if (bytes.byteLength > 0) this.receiver?.chunk(Buffer.from(new Uint8Array(bytes)));
      if (last) this.receiver?.end();
    } catch (error) {
      this.outflow?.cancel();
      this.broken(error);
    }
    this.isCorked = false;
    // Every time anew: the arrival of bytes has set the ten-second timer again, which only pausing takes away.
    if (this.bodyPaused && this.isOpen()) this.stopReading();
  }

  private isOpen(): boolean {
    return this.state === 'open' && !this.bodyOver;
  }

  private stopReading(): void {
    this.readingStopped = true;
    this.response.pause();
  }

  private performDeferred(): void {
    const reply = this.deferred;
    if (reply === undefined || this.state === 'over') return;
    this.deferred = undefined;
    this.perform(reply);
  }

  private perform(reply: Reply): void {
    const { body } = reply;
    const close = reply.close === true || this.shared.drain.stopping || !this.bodyOver || this.facts.asksClose;
    if (isBodiless(this.request.method, reply.status)) this.endBodiless(reply, close);
    else if (bodyLength(body) === 0 || body === undefined) this.endEmpty(reply, close);
    else if (isSource(body) || this.isLast) this.endByFlow(reply, body, close);
    else this.endAtOnce(reply, body, close);
  }

  private writeHead(reply: Reply): void {
    const lasting = this.shared.heads.of(reply);
    if (lasting !== undefined) this.response.writeStatus(lasting);
    else {
      writeStatus(this.response, reply);
      writeHeaders(this.response, reply.headers);
    }
    if (namesUpgrade(reply)) this.response.writeHeader('connection', 'upgrade');
  }

  private endAtOnce(reply: Reply, body: Uint8Array | string, close: boolean): void {
    const length = bodyLength(body) ?? 0;
    if (length > SMALL) {
      this.endByFlow(reply, body, close);
      return;
    }
    this.writeHead(reply);
    if (close && !this.shared.unseen.spent(length)) {
      this.finish();
      this.response.end(body, true);
      return;
    }
    if (close) this.response.writeHeader('connection', 'close');
    const [, done] = this.response.tryEnd(body, length);
    if (done) {
      this.finish();
      return;
    }
    this.outflow = new Outflow(this.response, this, undefined, length);
    this.outflow.goOn(typeof body === 'string' ? Buffer.from(body) : body);
  }

  private endByFlow(reply: Reply, body: BodySource | Uint8Array | string, close: boolean): void {
    const write = () => {
      this.writeHead(reply);
      if (close || this.isLast) this.response.writeHeader('connection', 'close');
    };
    if (this.isLast) this.corked(write);
    else write();
    // Without a second handle the connection could not be closed once the response is ended by its length.
    const total = this.isLast && this.last?.grip === undefined ? undefined : bodyLength(body);
    this.outflow = new Outflow(this.response, this, isSource(body) ? body : undefined, total);
    try {
      if (isSource(body)) this.outflow.start();
      else this.outflow.start(typeof body === 'string' ? Buffer.from(body) : body);
    } catch (error) {
      this.outflow.cancel();
      this.broken(error);
    }
  }

  private endEmpty(reply: Reply, close: boolean): void {
    if (isSource(reply.body)) reply.body.cancel();
    if (this.endWithHead(reply, 0, close)) return;
    this.writeHead(reply);
    this.finish();
    this.response.end('', close);
  }

  /** `end` would add a Content-Length of its own, `endWithoutBody` with a length would leave the response pending (measured). */
  private endBodiless(reply: Reply, close: boolean): void {
    const { response } = this;
    const hasLength = this.request.method === 'HEAD' && reply.status !== 204 && reply.status !== 304;
    const length = hasLength ? bodyLength(reply.body) : undefined;
    if (isSource(reply.body)) reply.body.cancel();
    if (this.endWithHead(reply, length, close)) return;
    this.writeHead(reply);
    if (length !== undefined) response.writeHeader('content-length', String(length));
    if (close) response.writeHeader('connection', 'close');
    this.finish();
    response.endWithoutBody();
  }

  /**
   * Where the connection ends with it: writes the whole head as a text, which leaves the response unfinished for uWebSockets.js, and closes
   * the connection in the next turn, when it has been flushed.
   */
  private endWithHead(reply: Reply, length: number | undefined, close: boolean): boolean {
    if (!this.isLast && !(close && this.bodyOver) && !this.shared.unseen.spent(0)) return false;
    const text = wholeHead(reply, length);
    this.corked(() => this.response.writeStatus(text));
    this.finish();
    setImmediate(() => {
      if (!this.gone) this.response.close();
    });
    return true;
  }

  private finish(): void {
    this.state = 'over';
    this.deferred = undefined;
    if (this.hasBody || this.outflow !== undefined) this.shared.liveness.delete(this);
    this.shared.drain.ended();
  }

  private guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.failed(error);
    }
  }
}
