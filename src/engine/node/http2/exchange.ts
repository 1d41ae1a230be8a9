/** One request over HTTP/2 and its answer: a stream of a connection that has others. */
import type { ServerHttp2Stream } from 'node:http2';
import { BaseExchange, type ExchangeParts } from '../../base-exchange.ts';
import {
  type BodyReceiver,
  type Handshake,
  headerValue,
  type Reply,
  type Request,
  type Upgrade,
} from '../../engine.ts';
import type { HeadFacts } from '../../heads.ts';
import { cancelUpgrade, internalError, isSource, STALLED_REPLY, sendableReply } from '../../replies.ts';
import { NodeBodyWriter } from '../body-writer.ts';
import { LINGER } from '../connection.ts';
import type { Copies } from '../copies.ts';
import { NodeSocket } from '../socket.ts';
import type { Upgrader } from '../upgrade.ts';
import { fieldsOf, isBodilessHere, isComplete, NO_ERROR, replyFields, respond } from './fields.ts';
import { STALLED_STREAM } from './limits.ts';

/** How often a stalled answer is looked at within the time that it is given. */
const STALL_LOOKS = 4;
/**
 * When a page aborts a fetch whose body is a stream, Chromium sends an end as if the body were whole, and a reset behind it in a frame of its own.
 * Milliseconds until an end is believed.
 */
const TAKEN_BACK = 25;
/** Node sends no other. */
const MAX_STATUS = 599;

/** What the exchanges of one listener share. */
export interface Http2Shared extends ExchangeParts {
  readonly copies: Copies;
  readonly upgrader: Upgrader;
}

/** The connection of an exchange. */
export interface StreamOwner {
  /** Bytes that the connection has taken, of all answers. */
  readonly bytesWritten: number;
  /** The client takes nothing, of no answer. */
  stalled(): void;
}

export class Http2Exchange extends BaseExchange<Http2Shared> {
  private writer: NodeBodyWriter | undefined;
  /** Runs while the client takes nothing of this answer. */
  private stalling: NodeJS.Timeout | undefined;

  private lingering: NodeJS.Timeout | undefined;

  constructor(
    request: Request,
    readonly handshake: Handshake | undefined,
    facts: HeadFacts,
    private readonly stream: ServerHttp2Stream,
    private readonly owner: StreamOwner,
    shared: Http2Shared,
  ) {
    super(request, facts, shared);
    stream.once('close', () => this.closed());
  }

  protected get canSwitch(): boolean {
    return this.handshake !== undefined;
  }

  /** A client that has sent all of its request is there as long as its connection and stream are. */
  endless(): void {}

  protected bodyTaken(receiver: BodyReceiver): void {
    const { stream } = this;
    const expected = headerValue(this.request.headers, 'expect')?.toLowerCase() === '100-continue';
    if (expected && !stream.destroyed) stream.additionalHeaders({ ':status': 100 });
    stream.on('data', (bytes: Buffer) => {
      if (this.state === 'open') this.guard(() => receiver.chunk(bytes));
    });
    // A stream that the client has reset ends as well.
    const end = (): void => {
      if (this.state === 'open' && !stream.closed) this.guard(() => receiver.end());
    };
    // Who has said a length was held to it.
    if (this.contentLength !== undefined) stream.on('end', end);
    else stream.on('end', () => setTimeout(end, TAKEN_BACK));
  }

  /** A body that nobody takes is not read: its window stays shut until the answer ends the stream. */
  protected handled(): void {}

  pauseBody(): void {
    if (this.hasBody && this.state === 'open') this.stream.pause();
  }

  resumeBody(): void {
    if (this.hasBody && this.state === 'open') this.stream.resume();
  }

  protected send(given: Reply): void {
    const { events } = this.shared;
    let reply = sendableReply(given, (error) => events.failed(error));
    if (reply.status > MAX_STATUS) {
      if (isSource(reply.body)) reply.body.cancel();
      events.failed(new Error(`a reply cannot be sent: HTTP/2 has no status ${reply.status}`));
      reply = internalError();
    }
    this.perform(reply);
  }

  protected switchTo(upgrade: Upgrade): void {
    const { events, connections, upgrader } = this.shared;
    const { stream } = this;
    let opened = false;
    const accept = (): void => {
      const protocol = upgrade.protocol === undefined ? [] : [['sec-websocket-protocol', upgrade.protocol] as const];
      respond(stream, fieldsOf(200, [...protocol, ...upgrade.headers]));
    };
    upgrader
      .adopt(stream, upgrade.maxMessage, accept, (native) => {
        opened = true;
        this.state = 'over';
        // Its connection stays counted as busy: as a WebSocket now, until that is closed.
        const { remoteAddress } = this.request;
        const { handlers, record } = upgrade;
        const ended = (): void => connections.ended();
        new NodeSocket(native, stream, handlers, events, remoteAddress, ended, record).opened();
      })
      .catch((error: unknown) => this.broken(error))
      .finally(() => {
        if (opened) return;
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
    this.cut('the answer broke off');
  }

  /**
   * For the writer of the body: how long the connection may take nothing while this answer waits; 0 for no limit. Milliseconds.
   * Not by the stream's own timer: Node leaves that as it is when a stream is destroyed, and the whole answer stays with it (65 KB, for a minute).
   */
  setTimeout(patience: number): void {
    clearInterval(this.stalling);
    // The close of a stream is what ends this, and comes once.
    if (patience === 0 || this.stream.destroyed) return;
    const look = patience / STALL_LOOKS;
    let written = this.owner.bytesWritten;
    let [still, waited] = [0, 0];
    this.stalling = setInterval(() => {
      const { bytesWritten } = this.owner;
      still = bytesWritten === written ? still + look : 0;
      written = bytesWritten;
      waited += look;
      if (still >= patience) this.owner.stalled();
      else if (waited >= STALLED_STREAM) this.cut('the client takes nothing');
    }, look);
  }

  /** `close` would end the answer as if it were complete, before it resets the stream. */
  private cut(why: string): void {
    this.stream.destroy(new Error(why));
  }

  /** The response is complete, or the stream is gone. */
  private closed(): void {
    clearInterval(this.stalling);
    clearTimeout(this.lingering);
    if (this.state === 'over') return;
    const complete = this.state === 'answering' && isComplete(this.stream);
    this.state = 'over';
    this.shared.connections.ended();
    if (complete) return;
    this.aborted = true;
    this.guard(() => this.writer?.cancel());
    this.tellAborted();
  }

  /** `reply.close` is for connections that cannot be trusted any further: here each request has a stream of its own. */
  private perform(reply: Reply): void {
    const { stream } = this;
    const { status, body } = reply;
    if (stream.destroyed || stream.closed) {
      // The close that is to come tells it.
      if (isSource(body)) body.cancel();
      return;
    }
    const bodiless = isBodilessHere(this.request.method, status);
    const none = bodiless || body === undefined || body.length === 0;
    respond(stream, replyFields(reply, bodiless), { endStream: none });
    if (none) {
      if (isSource(body)) body.cancel();
      this.finish(undefined);
      return;
    }
    if (!isSource(body)) {
      this.finish(body);
      return;
    }
    this.writer = new NodeBodyWriter(stream, this, this, body, this.shared.copies);
    try {
      this.writer.start();
    } catch (error) {
      this.broken(error);
    }
  }

  /** Writes what is left and ends the answer; but a client that is still sending may go on for a while, as in HTTP/1. */
  private finish(rest: Uint8Array | string | undefined): void {
    const { stream } = this;
    if (stream.destroyed) return;
    if (!this.hasBody || stream.readableEnded || stream.writableEnded) {
      this.end(rest);
      return;
    }
    if (rest !== undefined) stream.write(rest);
    const end = (): void => {
      clearTimeout(this.lingering);
      this.end(undefined);
    };
    this.lingering = setTimeout(end, LINGER);
    stream.once('end', end);
    stream.resume();
  }

  private end(rest: Uint8Array | string | undefined): void {
    const { stream } = this;
    if (rest === undefined) stream.end();
    else stream.end(rest);
    if (stream.writableFinished) this.over();
    else {
      this.setTimeout(STALLED_REPLY);
      stream.once('finish', () => this.over());
    }
  }

  private over(): void {
    this.setTimeout(0);
    const { stream } = this;
    // The client need not send the rest (RFC 9113 section 8.1). In a turn of its own, so that the answer's end goes out before it.
    if (this.hasBody && !stream.readableEnded) setImmediate(() => stream.close(NO_ERROR));
  }
}
