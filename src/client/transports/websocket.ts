/**
 * A stream by WebSocket, with the package ws: its `pause` stops the socket, so that a reader that has stopped holds up the sender by TCP; messages, fragments and
 * the closing handshake are bounded; and it takes a connection that we have made, so proxies and certificates are ours. Compression is not offered: 64 KiB of it may
 * be 64 MiB of messages. Node's own `WebSocket` (Node 22) cannot pause, take a certificate or send a ping; a reader of frames of our own would save 60 KB of code and
 * need ws's years of hostile peers.
 */
import type { Socket } from 'node:net';
import { type ClientOptions, WebSocket } from 'ws';
import { Deferred } from '../../ownership/deferred.ts';
import { within } from '../dialing/within.ts';
import { ConnectionError } from '../errors.ts';
import { type Ending, type Link, type LinkEvents, type LinkParts, tellEvent, withParameter } from './link.ts';
import { rejection } from './rejection.ts';

/** Bytes that may wait for the kernel before the writer takes a break. */
const HIGH = 256 * 1024;
const LOW = 64 * 1024;
/** A close without a code (RFC 6455 section 7.4.1), and one without a close frame. */
const NO_CODE = 1005;
const ABNORMAL = 1006;

export async function openWebSocket(parts: LinkParts, events: LinkEvents): Promise<Link> {
  const { plan, dialer, signal, after } = parts;
  const socket = await dialer.dial(signal);
  // Already encrypted, where it has to be.
  const url = after === undefined ? new URL(plan.url) : withParameter(plan.url, 'after', after);
  url.protocol = 'ws:';
  // Its types do not know closeTimeout yet.
  const options: ClientOptions & { readonly closeTimeout: number } = {
    createConnection: () => socket,
    headers: { host: plan.url.host, ...plan.headers },
    perMessageDeflate: false,
    maxPayload: plan.maxMessage,
    closeTimeout: plan.times.close,
  };
  let native: WebSocket;
  try {
    native = new WebSocket(url, [...plan.protocols], options);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  const link = new WebSocketLink(native, socket, parts, events);
  const late = (): Error =>
    new ConnectionError('timeout', `${plan.url.host} did not answer within ${plan.times.answer} ms`);
  try {
    await within<void>({ time: plan.times.answer, late, signal }, (resolve, reject) => {
      native.once('open', resolve);
      native.once('error', (error) => reject(handshakeError(plan.url.host, error)));
      native.once('close', () =>
        reject(new ConnectionError('lost', `${plan.url.host} closed the connection without an answer`)),
      );
      native.once('unexpected-response', (_request, response) => reject(rejection(plan.url.host, response)));
      // It was given to us paused.
      setImmediate(() => socket.resume());
    });
  } catch (error) {
    native.terminate();
    socket.destroy();
    throw error;
  }
  link.begin();
  return link;
}

class WebSocketLink implements Link {
  /** Whether messages carry ids: known with the first one, because a server that is no gateway takes no notice of `?after=`. */
  private numbered: boolean | undefined;
  private paused = false;
  private writer: Deferred | undefined;
  private failure: ConnectionError | undefined;
  private isOver = false;
  private pinging: NodeJS.Timeout | undefined;
  /** Of the last look: what had come and gone, and since when the peer is silent. */
  private seen = { read: 0, waiting: 0, at: 0 };
  private unanswered = false;
  private heard = false;
  private readonly sent = (): void => this.wake();

  constructor(
    private readonly native: WebSocket,
    private readonly socket: Socket,
    private readonly parts: LinkParts,
    private readonly events: LinkEvents,
  ) {
    if (parts.after === undefined) this.numbered = false;
    // From the beginning: the first messages may come with the answer.
    native.on('message', (data: Buffer, isBinary) => this.take(data, isBinary));
    native.on('error', (error) => {
      this.failure ??= failureOf(error);
    });
    const heard = (): void => {
      this.heard = true;
    };
    native.on('pong', heard).on('ping', heard);
  }

  /** It is open. */
  begin(): void {
    const { native, parts } = this;
    this.events.facts({ transport: 'websocket', ...(native.protocol === '' ? {} : { protocol: native.protocol }) });
    native.on('close', (code, reason) => this.over(code, reason.toString()));
    this.seen.at = performance.now();
    this.pinging = setInterval(() => this.look(performance.now()), parts.plan.times.ping);
    if (native.readyState === WebSocket.CLOSED) this.over(ABNORMAL, '');
  }

  send(data: string | Uint8Array): Promise<void> | undefined {
    this.native.send(data, { binary: typeof data !== 'string' }, this.sent);
    if (this.native.bufferedAmount < HIGH || this.isOver) return undefined;
    this.writer ??= new Deferred();
    return this.writer.promise;
  }

  pause(): void {
    this.paused = true;
    this.native.pause();
  }

  resume(): void {
    this.paused = false;
    this.unanswered = false;
    this.native.resume();
  }

  close({ code, reason }: Ending): void {
    // Its answer stands behind what we have not read.
    this.native.resume();
    this.native.close(code, reason);
  }

  terminate(): void {
    this.native.terminate();
  }

  private take(data: Buffer, isBinary: boolean): void {
    if (this.numbered === undefined) this.numbered = !isBinary && data.toString('latin1', 0, 14) === 'event:joined\n{';
    if (!this.numbered) this.events.message(isBinary ? data : data.toString(), '');
    else if (isBinary) {
      const end = 1 + (data[0] ?? 0);
      this.events.message(data.subarray(end), data.toString('latin1', 1, end));
    } else {
      const end = data.indexOf(0x0a);
      const head = data.toString('latin1', 0, end);
      const text = data.toString('utf8', end + 1);
      if (head.startsWith('id:')) this.events.message(text, head.slice(3));
      else tellEvent(this.events, head.slice(6), text);
    }
  }

  /** Finds a peer that is gone: nothing was heard of it since the ping before. */
  private look(now: number): void {
    const { native, socket, seen } = this;
    const { stall } = this.parts.plan.times;
    const waiting = native.bufferedAmount;
    // Bytes of a large message are a sign of life, and so is that it takes ours.
    const heard = this.heard || socket.bytesRead !== seen.read || waiting < seen.waiting;
    if (heard || !this.unanswered || this.paused) seen.at = now;
    // A peer that is held back itself may not have come to our ping yet: what waits has a longer time.
    else if (waiting === 0 || now - seen.at >= stall) {
      this.failure ??= new ConnectionError('lost', `${this.parts.plan.url.host} does not answer any more`);
      native.terminate();
      return;
    }
    this.heard = false;
    seen.read = socket.bytesRead;
    seen.waiting = waiting;
    this.unanswered = true;
    // A ping behind others would say nothing new.
    if (native.readyState === WebSocket.OPEN && waiting < HIGH) native.ping();
  }

  private wake(): void {
    if (this.writer === undefined || this.native.bufferedAmount > LOW) return;
    this.writer.resolve();
    this.writer = undefined;
  }

  private over(code: number, reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    clearInterval(this.pinging);
    this.writer?.resolve();
    const lost = new ConnectionError('lost', `the connection to ${this.parts.plan.url.host} was lost`);
    if (this.failure !== undefined || code === ABNORMAL) this.events.ended(this.failure ?? lost);
    else this.events.ended({ code: code === NO_CODE ? 1000 : code, reason });
  }
}

/** Of a connection that was open: what ws complains about, or what the system says. */
function failureOf(error: Error): ConnectionError {
  const code = 'code' in error ? String(error.code) : '';
  return new ConnectionError(code.startsWith('WS_') ? 'protocol' : 'lost', error.message, { cause: error });
}

function handshakeError(server: string, error: Error): ConnectionError {
  const isBroken = 'code' in error && ['ECONNRESET', 'EPIPE'].includes(String(error.code));
  const message = isBroken ? `${server} closed the connection without an answer` : `${server}: ${error.message}`;
  return new ConnectionError(isBroken ? 'lost' : 'protocol', message, { cause: error });
}
