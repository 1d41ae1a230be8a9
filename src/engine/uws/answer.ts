/** How one reply goes out on uWebSockets.js. */
import type { HttpResponse } from 'uWebSockets.js';
import type { BodySource, Reply } from '../engine.ts';
import { bodyLength, isBodiless, isSource, namesUpgrade } from '../replies.ts';
import { UwsBodyWriter, type UwsBodyWriterOwner } from './body-writer.ts';
import { wholeHead, writeHeaders, writeStatus } from './head.ts';
import type { UwsShared } from './shared.ts';

/**
 * Up to this size a body is handed over at once; above it the client's pace counts. With a usual head it fits into the 16 KiB that
 * uWebSockets.js gathers: what does not fit is lost when the kernel has no room, as it has for a client that asks on and does not read.
 */
const SMALL = 12 * 1024;

/** The exchange that the answer belongs to. */
export interface AnswerOwner extends UwsBodyWriterOwner {
  readonly method: string;
  /** The request's body has arrived. */
  readonly bodyOver: boolean;
  /** The connection is closed. */
  readonly gone: boolean;
  /** The client wants no further answer over this connection. */
  readonly asksClose: boolean;
  /** The connection can be closed also when uWebSockets.js takes the response for ended. */
  readonly canClose: boolean;
  /** The response is not complete for uWebSockets.js, although nothing is left to do for it. */
  listen(): void;
  /** Nothing is left to do but for uWebSockets.js. */
  finish(): void;
  /** The body goes out over time. */
  writes(writer: UwsBodyWriter): void;
}

export class UwsAnswer {
  constructor(
    private readonly response: HttpResponse,
    private readonly owner: AnswerOwner,
    private readonly shared: UwsShared,
  ) {}

  /** Called corked, unless it is the connection's last. */
  give(reply: Reply, close: boolean): void {
    const { body } = reply;
    if (isBodiless(this.owner.method, reply.status)) this.endBodiless(reply, close);
    else if (body === undefined || body.length === 0) this.endEmpty(reply, close);
    else if (isSource(body) || this.owner.isLast) this.endByFlow(reply, body, close);
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
    if (close && !this.shared.unconfirmed.mustClose(length)) {
      this.owner.finish();
      this.endLast(body);
      return;
    }
    if (close) this.response.writeHeader('connection', 'close');
    const [, done] = this.response.tryEnd(body, length);
    if (done) {
      this.owner.finish();
      return;
    }
    this.flow(undefined, length).goOn(typeof body === 'string' ? Buffer.from(body) : body);
  }

  private endByFlow(reply: Reply, body: BodySource | Uint8Array | string, close: boolean): void {
    const write = () => {
      this.writeHead(reply);
      if (close || this.owner.isLast) this.response.writeHeader('connection', 'close');
    };
    if (this.owner.isLast) this.owner.corked(write);
    else write();
    // Without a second handle the connection could not be closed once the response is ended by its length.
    const total = this.owner.isLast && !this.owner.canClose ? undefined : bodyLength(body);
    const writer = this.flow(isSource(body) ? body : undefined, total);
    try {
      if (isSource(body)) {
        writer.start();
        if (reply.opening !== undefined) writer.open(reply.opening);
      } else writer.start(typeof body === 'string' ? Buffer.from(body) : body);
    } catch (error) {
      writer.cancel();
      this.owner.broken(error);
    }
  }

  private endEmpty(reply: Reply, close: boolean): void {
    if (isSource(reply.body)) reply.body.cancel();
    if (this.endWithHead(reply, 0, close)) return;
    this.writeHead(reply);
    this.owner.finish();
    if (close) this.endLast('');
    else this.response.end('');
  }

  /** uWebSockets.js says that it closes the connection, but not to a client that has asked for it; and Node.js goes by what is said, and asks again. */
  private endLast(body: Uint8Array | string): void {
    if (this.owner.asksClose) this.response.writeHeader('connection', 'close');
    this.response.end(body, true);
  }

  /** `end` would add a Content-Length of its own, `endWithoutBody` with a length would leave the response pending (measured). */
  private endBodiless(reply: Reply, close: boolean): void {
    const { response } = this;
    const hasLength = this.owner.method === 'HEAD' && reply.status !== 204 && reply.status !== 304;
    const length = hasLength ? bodyLength(reply.body) : undefined;
    if (isSource(reply.body)) reply.body.cancel();
    if (this.endWithHead(reply, length, close)) return;
    this.writeHead(reply);
    if (length !== undefined) response.writeHeader('content-length', String(length));
    if (close) response.writeHeader('connection', 'close');
    this.owner.finish();
    response.endWithoutBody();
  }

  /**
   * Where the connection ends with it: writes the whole head as a text, which leaves the response unfinished for uWebSockets.js, and closes
   * the connection in the next turn, when it has been flushed.
   */
  private endWithHead(reply: Reply, length: number | undefined, close: boolean): boolean {
    if (!this.owner.isLast && !(close && this.owner.bodyOver) && !this.shared.unconfirmed.mustClose(0)) return false;
    const text = wholeHead(reply, length);
    this.owner.corked(() => this.response.writeStatus(text));
    this.owner.listen();
    this.owner.finish();
    setImmediate(() => {
      if (!this.owner.gone) this.response.close();
    });
    return true;
  }

  private flow(source: BodySource | undefined, total: number | undefined): UwsBodyWriter {
    const writer = new UwsBodyWriter(this.response, this.owner, source, total);
    this.owner.writes(writer);
    return writer;
  }
}
