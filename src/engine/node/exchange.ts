/** One request on node:http and its answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { BaseExchange, type ExchangeParts } from '../base-exchange.ts';
import type { BodyReceiver, Handshake, Reply, Request, Upgrade } from '../engine.ts';
import type { HeadFacts } from '../heads.ts';
import {
  bodyLength,
  cancelUpgrade,
  isBodiless,
  isSource,
  namesUpgrade,
  reasonOf,
  STALLED_REPLY,
  sendableReply,
} from '../replies.ts';
import { NodeBodyWriter } from './body-writer.ts';
import { type Connection, LINGER } from './connection.ts';
import type { Copies } from './copies.ts';
import { OpenBody } from './open-body.ts';
import type { PendingUpgrade } from './pending-upgrade.ts';
import { NodeSocket } from './socket.ts';
import type { Upgrader } from './upgrade.ts';

const NOT_ASCII = /[^\x00-\x7f]/;
/** Node's parser before version 9 (Node 20.11 has 8) takes any two bytes for the end of a chunk, so that a request could hide behind a body. */
const HAS_LAX_CHUNKS = Number.parseInt(process.versions['llhttp'] ?? '', 10) < 9;

/** What the exchanges of one listener share. */
export interface NodeShared extends ExchangeParts {
  readonly upgrader: Upgrader;
  readonly copies: Copies;
}

export class NodeExchange extends BaseExchange<NodeShared> {
  private writer: NodeBodyWriter | undefined;
  private lingering: NodeJS.Timeout | undefined;
  private readonly socket: Socket;

  constructor(
    request: Request,
    readonly handshake: Handshake | undefined,
    facts: HeadFacts,
    private readonly incoming: IncomingMessage,
    private readonly response: ServerResponse,
    private readonly connection: Connection,
    /** Of a handshake, and of HTTP/1.0 without a length: the socket is not the server's any more. */
    private readonly released: PendingUpgrade | OpenBody | undefined,
    /** The client waits for a 100 before it sends the body. */
    private readonly awaitsContinue: boolean,
    shared: NodeShared,
  ) {
    super(request, facts, shared);
    this.socket = connection.socket;
    connection.began(response, facts.chunked && HAS_LAX_CHUNKS);
    response.once('close', () => this.closed());
    released?.watch(() => this.closed());
  }

  private get pendingUpgrade(): PendingUpgrade | undefined {
    return this.released instanceof OpenBody ? undefined : this.released;
  }

  private get openBody(): OpenBody | undefined {
    return this.released instanceof OpenBody ? this.released : undefined;
  }

  protected override get isOpenEnded(): boolean {
    return this.openBody !== undefined;
  }

  protected get canSwitch(): boolean {
    return this.pendingUpgrade !== undefined;
  }

  endless(): void {
    if (this.state !== 'over') this.connection.isEndless();
  }

  protected bodyTaken(receiver: BodyReceiver): void {
    if (this.openBody !== undefined) {
      this.openBody.take({
        chunk: (bytes) => this.state === 'open' && this.guard(() => receiver.chunk(bytes)),
        end: () => this.state === 'open' && this.guard(() => receiver.end()),
      });
      return;
    }
    if (this.awaitsContinue) this.response.writeContinue();
    this.incoming.on('data', (bytes: Buffer) => {
      if (this.state === 'open') this.guard(() => receiver.chunk(bytes));
    });
    this.incoming.on('end', () => {
      if (this.state === 'open') this.guard(() => receiver.end());
    });
  }

  protected handled(): void {
    if (this.receiver === undefined) this.openBody?.discard();
    if (this.hasBody && this.receiver === undefined && !this.awaitsContinue) this.incoming.resume();
  }

  pauseBody(): void {
    if (this.state !== 'open') return;
    this.openBody?.pause();
    if (this.hasBody) this.incoming.pause();
  }

  resumeBody(): void {
    if (this.state !== 'open') return;
    this.openBody?.resume();
    if (this.hasBody) this.incoming.resume();
  }

  protected send(reply: Reply): void {
    this.pendingUpgrade?.answerHttp(this.response);
    this.openBody?.answer(this.response);
    this.perform(sendableReply(reply, (error) => this.shared.events.failed(error)));
  }

  protected switchTo(upgrade: Upgrade): void {
    const { pendingUpgrade } = this;
    if (pendingUpgrade === undefined) throw new Error('there was no handshake');
    const { events, connections, upgrader } = this.shared;
    let opened = false;
    upgrader
      .upgrade(this.incoming, this.socket, pendingUpgrade, upgrade, (native) => {
        opened = true;
        this.state = 'over';
        this.connection.becameSocket();
        // Its connection stays counted as busy: as a WebSocket now, until that is closed.
        const { remoteAddress } = this.request;
        const { handlers, record, deflating } = upgrade;
        const negotiated = native.extensions === '' ? undefined : deflating;
        const ended = (): void => connections.ended();
        new NodeSocket(native, this.socket, handlers, events, remoteAddress, ended, record, negotiated).opened();
      })
      .catch((error: unknown) => this.broken(error))
      .finally(() => {
        if (opened) return;
        // The client had gone by then.
        this.closed();
        this.guard(() => cancelUpgrade(upgrade));
      });
  }

  written(): void {
    this.finish(undefined);
  }

  broken(error: unknown): void {
    this.shared.events.failed(error);
    this.forgetAborted();
    this.writer?.cancel();
    this.socket.destroy();
  }

  /** The response is complete, or the connection is gone. */
  private closed(): void {
    clearTimeout(this.lingering);
    this.connection.ended(this.response);
    if (this.state === 'over') return;
    const complete = this.response.writableFinished || (this.lingering && this.response.writableLength === 0);
    this.state = 'over';
    this.shared.connections.ended();
    if (complete) return;
    this.aborted = true;
    this.guard(() => this.writer?.cancel());
    this.tellAborted();
  }

  private perform(reply: Reply): void {
    const { response, incoming } = this;
    const { status, body } = reply;
    const bodyOver = !this.hasBody || incoming.complete;
    const { connections } = this.shared;
    // Whoever has shut its sending side asks nothing more.
    const noMore = !bodyOver || this.socket.readableEnded || this.connection.isLast(response);
    const last = reply.close === true || connections.stopping || noMore;
    if (last || this.released !== undefined) {
      response.shouldKeepAlive = false;
      this.connection.last = true;
    }
    const bodiless = isBodiless(this.request.method, status);
    response.writeHead(status, reasonOf(reply), this.flatHeaders(reply, bodiless));
    if (bodiless || body === undefined) {
      if (isSource(body)) body.cancel();
      this.finish(undefined);
      return;
    }
    if (!isSource(body)) {
      // Text goes out in one string with the head, as UTF-8: that would not keep one byte per character in the head.
      const wide = reply.headers.some(([, value]) => NOT_ASCII.test(value)) || NOT_ASCII.test(reply.reason ?? '');
      this.finish(wide && typeof body === 'string' ? Buffer.from(body) : body);
      return;
    }
    if (body.length === 0) {
      body.cancel();
      this.finish(undefined);
      return;
    }
    this.writer = new NodeBodyWriter(response, this.socket, this, body, this.shared.copies);
    try {
      this.writer.start();
      if (reply.opening !== undefined && this.writer.given === 0) response.flushHeaders();
    } catch (error) {
      this.broken(error);
    }
  }

  private flatHeaders(reply: Reply, bodiless: boolean): string[] {
    const flat: string[] = [];
    // Date is always written by Node.
    for (const [name, value] of reply.headers) if (name !== 'date') flat.push(name, value);
    // Given here, it is left to us alone.
    if (namesUpgrade(reply)) flat.push('connection', this.response.shouldKeepAlive ? 'upgrade' : 'close, upgrade');
    const length = reply.body === undefined && !bodiless ? 0 : bodyLength(reply.body);
    if (length !== undefined && reply.status !== 204 && reply.status !== 304) {
      flat.push('content-length', String(length));
    }
    return flat;
  }

  /** Writes what is left and ends the response; but lets a client that is still sending read it before the connection closes. */
  private finish(rest: Uint8Array | string | undefined): void {
    const { response, incoming, socket } = this;
    const open = this.openBody;
    const taken = this.receiver !== undefined;
    const isWhole = open === undefined ? !this.hasBody || incoming.complete : open.ended || !taken;
    const sending = !isWhole && !(this.awaitsContinue && !taken);
    if (!sending) {
      response.end(rest);
      if (socket.writableLength > 0) socket.setTimeout(STALLED_REPLY);
      return;
    }
    if (rest === undefined) response.flushHeaders();
    else response.write(rest);
    const end = () => {
      clearTimeout(this.lingering);
      response.end();
    };
    this.lingering = setTimeout(end, LINGER);
    if (open !== undefined) open.discard(end);
    else {
      incoming.once('end', end);
      incoming.resume();
    }
  }
}
