/** One request on uWebSockets.js and its answer. */

import type { HttpResponse } from 'uWebSockets.js';
import { BaseExchange } from '../base-exchange.ts';
import type { Handshake, Reply, Request, Upgrade } from '../engine.ts';
import type { HeadFacts } from '../heads.ts';
import { cancelUpgrade, isSource, STALLED_REPLY, sendableReply } from '../replies.ts';
import { deflateOffer } from '../socket-rules.ts';
import { type AnswerOwner, UwsAnswer } from './answer.ts';
import type { UwsBodyWriter } from './body-writer.ts';
import type { DirectSocket } from './direct-socket.ts';
import { writeHeaders } from './head.ts';
import type { KnownPeers } from './known-peers.ts';
import type { WaitingPeer } from './liveness.ts';
import type { UwsLast, UwsOpening, UwsShared } from './shared.ts';
import { type SocketData, UwsSocket } from './socket.ts';

/** Ticks of `Liveness` in which a client can close the connection after an answer whose end nothing else tells to have been sent. */
const LINGER = 2;

/** Why uWebSockets.js closes a connection in the very turn in which a request came. */
const CLOSED_AT_ONCE = 'a body that cannot be read, or a request behind one that is not answered yet';

export class UwsExchange extends BaseExchange<UwsShared> implements AnswerOwner, WaitingPeer {
  before: WaitingPeer | undefined;
  after: WaitingPeer | undefined;
  waits = false;
  bodyOver: boolean;
  private bodyPaused = false;
  private readingStopped = false;
  /** The connection is closed: the response must not be touched in whatever state. Nor must it when the exchange is over. */
  gone = false;
  private listens = false;
  /** The answer is complete, and these many ticks later the connection is closed by us where the client has not done so. */
  private lingering = 0;
  /** When it was left without an answer: a request behind it in the same iteration ends the connection. */
  private iteration = -1;
  private switching: Upgrade | undefined;
  private writer: UwsBodyWriter | undefined;
  private writerBehind = false;
  private stalledFor = 0;
  private deferred: Reply | undefined;
  /** Inside of a callback of uWebSockets.js or of `cork`: written bytes are gathered. */
  isCorked = true;

  constructor(
    request: Request,
    private readonly response: HttpResponse,
    private readonly facts: HeadFacts,
    private readonly opening: UwsOpening | undefined,
    /** Set: nothing behind this request may be served. */
    private readonly last: UwsLast | undefined,
    shared: UwsShared,
    private readonly peers: KnownPeers,
  ) {
    super(request, facts, shared);
    this.bodyOver = !facts.hasBody;
  }

  get isLast(): boolean {
    return this.last !== undefined;
  }

  get asksClose(): boolean {
    return this.facts.asksClose;
  }

  get canClose(): boolean {
    return this.last?.grip !== undefined;
  }

  get method(): string {
    return this.request.method;
  }

  get handshake(): Handshake | undefined {
    return this.opening?.handshake;
  }

  protected get canSwitch(): boolean {
    return this.opening !== undefined;
  }

  /** Whoever shuts its sending side counts as gone here in any case. */
  endless(): void {}

  /** Its bytes are asked for when the callback has returned. */
  protected bodyTaken(): void {}

  protected handled(): void {
    this.isCorked = false;
    if (this.state !== 'over') {
      this.listen();
      if (this.bodyOver || this.facts.chunked) this.noteIteration();
    }
    if (this.bodyOver || this.state === 'over') return;
    this.response.onData((bytes, last) => this.bodyBytes(bytes, last));
    this.shared.liveness.add(this);
  }

  private noteIteration(): void {
    this.iteration = this.shared.iterations.note();
  }

  /**
   * Hears of the connection's end from here on. A response that is not complete when its callback returns must have that, or the process
   * ends; most are complete, and save the registration.
   */
  listen(): void {
    if (this.listens) return;
    this.listens = true;
    this.response.onAborted(() => this.abort());
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

  protected send(reply: Reply): void {
    const { heads, events } = this.shared;
    const sendable = heads.of(reply) === undefined ? sendableReply(reply, (error) => events.failed(error)) : reply;
    this.resumeBody();
    if (this.last === undefined) {
      this.isCorked ? this.perform(sendable) : this.corked(() => this.perform(sendable));
      return;
    }
    // While this one is unanswered whatever uWebSockets.js reads behind it ends the connection instead of being served.
    this.deferred = sendable;
    setImmediate(() => this.performDeferred());
  }

  protected switchTo(upgrade: Upgrade): void {
    const { opening } = this;
    if (opening === undefined) throw new Error('there was no handshake');
    if (this.isCorked) {
      this.switchNow(upgrade, opening);
      return;
    }
    // In a turn of its own: while the bytes of another connection are read, uWebSockets.js would take this one for that.
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
    if (this.iteration === this.shared.iterations.current)
      this.shared.events.refused(CLOSED_AT_ONCE, this.request.remoteAddress);
    this.guard(() => {
      if (isSource(deferred)) deferred.cancel();
      this.writer?.cancel();
    });
    this.guard(() => cancelUpgrade(switching));
    this.tellAborted();
  }

  /** See `Liveness`. Never while reading is stopped: there is no timer then, and resuming would let bytes in. */
  tick(milliseconds: number): void {
    if (this.readingStopped) return;
    if (this.lingering > 0) {
      if (this.lingering > 1) this.lingering--;
      else {
        this.stopLingering();
        this.response.close();
      }
      return;
    }
    if (this.writerBehind) {
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
    this.shared.selfConnection.corked(write);
  }

  behind(is: boolean): void {
    if (this.lingering > 0) {
      this.lingering = LINGER;
      return;
    }
    this.writerBehind = is;
    this.stalledFor = 0;
    if (is) this.shared.liveness.add(this);
    else if (this.bodyOver) this.shared.liveness.delete(this);
  }

  writes(writer: UwsBodyWriter): void {
    this.writer = writer;
  }

  openDirect(): DirectSocket | undefined {
    // A connection that has broken off has no address, and its successor may be known under the one that it had.
    if (this.gone || this.response.getRemoteAddress().byteLength === 0) return undefined;
    return this.peers.openDirect(this.request.remoteAddress);
  }

  completed(): void {
    this.finish();
    if (this.last === undefined) return;
    if (this.writer?.total === undefined) {
      this.lingering = LINGER;
      this.shared.liveness.add(this);
    } else if (!this.gone) this.last.grip?.close();
  }

  broken(error: unknown): void {
    this.shared.events.failed(error);
    if (this.state === 'over') return;
    this.finish();
    this.response.close();
  }

  private switchNow(upgrade: Upgrade, opening: UwsOpening): void {
    const { remoteAddress, remotePort } = this.request;
    const { handlers, maxMessage, record } = upgrade;
    const { descriptors, events, deflates } = this.shared;
    const offer = deflates && upgrade.deflating !== undefined ? deflateOffer(this.request.headers) : undefined;
    const deflating = offer === undefined ? undefined : upgrade.deflating;
    const socket = new UwsSocket(handlers, maxMessage, events, remoteAddress, remotePort, record, deflating);
    // Later it goes out in some twenty pieces, each in a system call: at least in one packet, which wakes the client once.
    const gathers = this.isCorked ? undefined : this.peers.descriptorOf(remoteAddress);
    if (gathers === undefined) this.upgradeNow(upgrade, opening, socket, offer);
    else {
      descriptors.gather(gathers, true);
      try {
        this.upgradeNow(upgrade, opening, socket, offer);
      } finally {
        // Also where a handler has closed it: then there is none, or another one by this number, to which this does nothing.
        descriptors.gather(gathers, false);
      }
    }
    if (!socket.wasOpened) cancelUpgrade(upgrade);
  }

  private upgradeNow(
    upgrade: Upgrade,
    { key, context }: UwsOpening,
    socket: UwsSocket,
    offer: string | undefined,
  ): void {
    if (upgrade.headers.length > 0) {
      this.corked(() => {
        this.response.writeStatus('101 Switching Protocols');
        writeHeaders(this.response, upgrade.headers);
      });
    }
    this.state = 'over';
    const switching = () => {
      // Its connection stays counted as busy: as a WebSocket now, until that is closed.
      this.response.upgrade<SocketData>({ socket }, key, upgrade.protocol ?? '', offer ?? '', context);
    };
    // Within the request's own callback nothing is wrong with its cork; later everything is (see `SelfConnection`).
    if (this.isCorked) switching();
    else this.shared.selfConnection.corked(switching);
  }

  private stopLingering(): void {
    if (this.lingering === 0) return;
    this.lingering = 0;
    this.shared.liveness.delete(this);
  }

  private bodyBytes(bytes: ArrayBuffer, last: boolean): void {
    if (last) {
      this.bodyOver = true;
      if (!this.writerBehind) this.shared.liveness.delete(this);
    }
    if (this.state !== 'open') return;
    this.isCorked = true;
    try {
      // The bytes are taken away when this returns (measured), hence the copy.
      if (bytes.byteLength > 0) this.receiver?.chunk(Buffer.from(new Uint8Array(bytes)));
      if (last) this.receiver?.end();
    } catch (error) {
      this.writer?.cancel();
      this.broken(error);
    }
    this.isCorked = false;
    // Mostly it is answered by now.
    if (last && this.isUnanswered()) this.noteIteration();
    // Every time anew: the arrival of bytes has set the ten-second timer again, which only pausing takes away.
    if (this.bodyPaused && this.isOpen()) this.stopReading();
  }

  private isUnanswered(): boolean {
    return this.state !== 'over';
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
    const close = reply.close === true || this.shared.connections.stopping || !this.bodyOver || this.facts.asksClose;
    try {
      new UwsAnswer(this.response, this, this.shared).give(reply, close);
    } catch (error) {
      // Nobody knows how far it came.
      this.guard(() => this.listen());
      throw error;
    }
  }

  finish(): void {
    this.state = 'over';
    this.deferred = undefined;
    if (this.hasBody || this.writer !== undefined) this.shared.liveness.delete(this);
    this.shared.connections.ended();
  }
}
