/**
 * A stream by WebSocket (RFC 6455), over a connection that we have made, so that proxies and certificates are ours. The frames are our own and
 * not those of ws, which costs four times as much for a line that is sent and brings along zlib and TLS (`docs/connect.md` has figures). Compression is not offered: 64 KiB
 * of it may be 64 MiB of messages.
 */
import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { Deferred } from '../../ownership/deferred.ts';
import { CLOSE, OPCODE, type Opcode } from '../../upstream/frames/frames.ts';
import { acceptOf, newKey } from '../../upstream/frames/handshake.ts';
import { FrameError, FrameReader, type FrameTaker } from '../../upstream/frames/reader.ts';
import { closePayload, FrameBatch } from '../../upstream/frames/writer.ts';
import { within } from '../dialing/within.ts';
import { ConnectionError } from '../errors.ts';
import { type Ending, type Link, type LinkEvents, type LinkParts, tellEvent, withParameter } from './link.ts';
import { rejection } from './rejection.ts';

/** Bytes that may wait for the kernel before the writer takes a break. */
const HIGH = 256 * 1024;
const LOW = 64 * 1024;
/** Bytes of messages that are written together; fewer where no more are sent in the same turn. */
const BATCH = 64 * 1024;

export async function openWebSocket(parts: LinkParts, events: LinkEvents): Promise<Link> {
  const { plan, dialer, signal } = parts;
  const socket = await dialer.dial(signal);
  const server = plan.url.host;
  try {
    const late = (): Error => new ConnectionError('timeout', `${server} did not answer within ${plan.times.answer} ms`);
    const { protocol, head } = await within<Handshake>({ time: plan.times.answer, late, signal }, (resolve, reject) => {
      const key = newKey();
      const asked = askFor(socket, key, parts);
      asked.once('upgrade', (response, _socket, head) => {
        try {
          resolve({ protocol: agreedProtocol(response, key, parts), head });
        } catch (error) {
          reject(error);
        }
      });
      asked.once('response', (response) => reject(rejection(server, response)));
      asked.on('error', (error) => reject(handshakeError(server, error)));
      asked.end();
      // It was given to us paused.
      setImmediate(() => socket.resume());
    });
    events.facts({ transport: 'websocket', ...(protocol === '' ? {} : { protocol }) });
    return new WebSocketLink(socket, head, parts, events);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

interface Handshake {
  /** "" where none was agreed on. */
  readonly protocol: string;
  /** What has come behind the answer. */
  readonly head: Buffer;
}

function askFor(socket: Socket, key: string, { plan, after }: LinkParts): ReturnType<typeof request> {
  const { pathname, search } = after === undefined ? plan.url : withParameter(plan.url, 'after', after);
  const own: { readonly [name: string]: string } = {
    ...(plan.headers['host'] === undefined ? { Host: plan.url.host } : {}),
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': key,
    ...(plan.protocols.length === 0 ? {} : { 'Sec-WebSocket-Protocol': plan.protocols.join(',') }),
  };
  const ours = new Set(Object.keys(own).map((name) => name.toLowerCase()));
  const given = Object.entries(plan.headers).filter(([name]) => !ours.has(name));
  const headers = { ...Object.fromEntries(given), ...own };
  return request({ path: `${pathname}${search}`, setHost: false, headers, createConnection: () => socket });
}

/** Throws a `ConnectionError` where the answer is not the one to `key`. */
function agreedProtocol({ headers }: IncomingMessage, key: string, { plan }: LinkParts): string {
  const refuse = (what: string): never => {
    throw new ConnectionError('protocol', `${plan.url.host} has answered the WebSocket handshake with ${what}`);
  };
  if (headers.upgrade?.toLowerCase() !== 'websocket') refuse('another protocol');
  if (headers['sec-websocket-accept'] !== acceptOf(key)) refuse('a wrong Sec-WebSocket-Accept');
  if (headers['sec-websocket-extensions'] !== undefined) refuse('an extension that was not offered');
  const protocol = headers['sec-websocket-protocol'];
  if (protocol === undefined && plan.protocols.length > 0) refuse('none of the subprotocols that were offered');
  if (protocol !== undefined && !plan.protocols.includes(protocol)) refuse('a subprotocol that was not offered');
  return protocol ?? '';
}

class WebSocketLink implements Link, FrameTaker {
  /** Whether messages carry ids: known with the first one, because a server that is no gateway takes no notice of `?after=`. */
  private numbered: boolean | undefined;
  private paused = false;
  private writer: Deferred | undefined;
  private failure: ConnectionError | undefined;
  /** What the server has closed it with. */
  private received: Ending | undefined;
  /** `closing`: our close frame was sent. */
  private state: 'open' | 'closing' | 'over' = 'open';
  private readonly pinging: NodeJS.Timeout;
  private closeTimer: NodeJS.Timeout | undefined;
  /** Of the last look: what had come and gone, and since when the peer is silent. */
  private seen = { read: 0, waiting: 0, at: performance.now() };
  private unanswered = false;
  private readonly batch = new FrameBatch();
  private readonly reader: FrameReader;
  private readonly sent = (): void => this.wake();
  private readonly flush = (): void => this.write();

  constructor(
    private readonly socket: Socket,
    head: Buffer,
    private readonly parts: LinkParts,
    private readonly events: LinkEvents,
  ) {
    const { plan, after } = parts;
    if (after === undefined) this.numbered = false;
    this.reader = new FrameReader(this, plan.maxMessage);
    this.pinging = setInterval(() => this.look(performance.now()), plan.times.ping);
    socket.on('error', (error) => {
      this.failure ??= new ConnectionError('lost', error.message, { cause: error });
    });
    socket.on('close', () => this.over());
    if (head.length > 0) socket.unshift(head);
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    if (socket.destroyed) this.over();
  }

  send(data: string | Uint8Array, isText = typeof data === 'string'): Promise<void> | undefined {
    if (this.state !== 'open') return undefined;
    this.put(data, isText ? OPCODE.text : OPCODE.binary);
    if (this.waiting < HIGH) return undefined;
    this.writer ??= new Deferred();
    return this.writer.promise;
  }

  pause(): void {
    this.paused = true;
    this.socket.pause();
  }

  resume(): void {
    this.paused = false;
    this.unanswered = false;
    this.socket.resume();
  }

  close({ code, reason }: Ending): void {
    // Its answer stands behind what we have not read.
    this.socket.resume();
    this.sendClose(code, reason);
  }

  terminate(): void {
    this.socket.destroy();
  }

  message(data: Buffer, isText: boolean): void {
    if (this.numbered === undefined) this.numbered = isText && data.toString('latin1', 0, 14) === 'event:joined\n{';
    if (!this.numbered) this.events.message(data, '', isText);
    else if (isText) {
      const end = data.indexOf(0x0a);
      const head = data.toString('latin1', 0, end);
      if (head.startsWith('id:')) this.events.message(data.subarray(end + 1), head.slice(3), true);
      else tellEvent(this.events, head.slice(6), data.toString('utf8', end + 1));
    } else {
      const end = 1 + (data[0] ?? 0);
      this.events.message(data.subarray(end), data.toString('latin1', 1, end));
    }
  }

  ping(data: Buffer): void {
    // A server that pings and takes no answers must not fill the memory.
    if (this.state === 'open' && this.waiting < HIGH) this.put(data, OPCODE.pong);
  }

  /** The server has closed it: it gets its answer, and ends the connection. */
  private closed(code: number, reason: string): void {
    this.received = { code: code === CLOSE.noCode ? 1000 : code, reason };
    if (this.state === 'open') this.sendClose(code === CLOSE.noCode ? undefined : code, reason);
    this.socket.end();
  }

  private read(chunk: Buffer): void {
    if (this.received !== undefined) return;
    try {
      this.reader.feed(chunk);
      const { closing } = this.reader;
      if (closing !== undefined) this.closed(closing.code, closing.reason);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.failure ??= new ConnectionError('protocol', `${this.parts.plan.url.host}: ${error.message}`, {
        cause: error,
      });
      this.sendClose(error.code, '');
      this.socket.removeAllListeners('data').destroySoon();
    }
  }

  /** Bytes that were sent and not taken by the kernel yet. */
  private get waiting(): number {
    return this.socket.writableLength + this.batch.bytes;
  }

  /** What is sent in one turn goes out together. */
  private put(data: string | Uint8Array, opcode: Opcode): void {
    if (this.batch.bytes === 0) process.nextTick(this.flush);
    this.batch.add(data, opcode);
    if (this.batch.bytes >= BATCH) this.write();
  }

  private write(): void {
    if (this.batch.bytes > 0 && this.socket.writable) this.socket.write(this.batch.take(), this.sent);
  }

  private sendClose(code: number | undefined, reason: string): void {
    if (this.state !== 'open') return;
    this.put(closePayload(code, reason), OPCODE.close);
    this.write();
    this.state = 'closing';
    this.closeTimer = setTimeout(() => this.socket.destroy(), this.parts.plan.times.close);
  }

  /** Finds a peer that is gone: nothing was heard of it since the ping before. */
  private look(now: number): void {
    const { socket, seen, waiting } = this;
    const { stall } = this.parts.plan.times;
    // Any byte is a sign of life, a pong's or one of a large message, and so is that it takes ours.
    const heard = socket.bytesRead !== seen.read || waiting < seen.waiting;
    if (heard || !this.unanswered || this.paused) seen.at = now;
    // A peer that is held back itself may not have come to our ping yet: what waits has a longer time.
    else if (waiting === 0 || now - seen.at >= stall) {
      this.failure ??= new ConnectionError('lost', `${this.parts.plan.url.host} does not answer any more`);
      socket.destroy();
      return;
    }
    seen.read = socket.bytesRead;
    seen.waiting = waiting;
    this.unanswered = true;
    // A ping behind others would say nothing new.
    if (this.state === 'open' && waiting < HIGH) this.put('', OPCODE.ping);
  }

  private wake(): void {
    if (this.writer === undefined || this.waiting > LOW) return;
    this.writer.resolve();
    this.writer = undefined;
  }

  private over(): void {
    if (this.state === 'over') return;
    // It was paused when the connection broke.
    if (this.socket.readableLength > 0 && this.received === undefined && this.failure?.failure !== 'protocol') {
      const rest = this.socket.read() as Buffer | null;
      if (rest !== null) this.read(rest);
    }
    this.state = 'over';
    clearInterval(this.pinging);
    clearTimeout(this.closeTimer);
    this.writer?.resolve();
    const lost = new ConnectionError('lost', `the connection to ${this.parts.plan.url.host} was lost`);
    if (this.received !== undefined && this.failure?.failure !== 'protocol') this.events.ended(this.received);
    else this.events.ended(this.failure ?? lost);
  }
}

function handshakeError(server: string, error: Error): ConnectionError {
  const isBroken = 'code' in error && ['ECONNRESET', 'EPIPE'].includes(String(error.code));
  const message = isBroken ? `${server} closed the connection without an answer` : `${server}: ${error.message}`;
  return new ConnectionError(isBroken ? 'lost' : 'protocol', message, { cause: error });
}
