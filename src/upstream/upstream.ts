/**
 * A server that the gateway asks: a bounded number of connections, which are kept where that is safe. A request waits for a free one, in
 * its turn, for as long as its signal lets it.
 */
import { isIP, type Socket } from 'node:net';
import { ConnectError, Connector, type ConnectorOptions } from './connecting.ts';
import { drop, UpstreamExchange, type UpstreamResponse } from './exchange.ts';
import { connectionFault, StaleConnection, UpstreamBusy, UpstreamError } from './faults.ts';
import { type Connection, Incoming, ReadBuffers } from './incoming.ts';
import { requestHead, type UpstreamRequest } from './request.ts';

/** How long a connection is kept for another request, milliseconds: less than what servers usually do, so that they seldom close first. */
const KEPT_FOR = 60_000;

export interface UpstreamOptions {
  readonly server: UpstreamServer;
  readonly maxConnections: number;
  /** Undefined: as many as come, for as long as their signals let them. */
  readonly waiting?: WaitLimits;
  /** How many connections are kept, and for how many milliseconds; as many as there are, for a minute. A server that says a shorter time has it. */
  readonly kept?: { readonly max: number; readonly time: number };
}

/** Who waits for a connection. */
export interface WaitLimits {
  /** How many at once. */
  readonly max: number;
  /** For how many milliseconds. */
  readonly time: number;
}

/** Where the server is, and how it is called. */
export interface UpstreamServer extends Pick<ConnectorOptions, 'remote' | 'tls' | 'timeout' | 'keepAliveAfter'> {
  /** What Host says where the request does not say it. */
  readonly host: string;
}

/** Methods that may be sent again when nobody knows whether the first one arrived (RFC 9110 section 9.2.2). */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

export class Upstream {
  /** The one used last is taken first. */
  private readonly idle: { readonly connection: Connection; readonly forget: () => void }[] = [];
  private readonly waiting = new Set<() => void>();
  private readonly open = new Set<Socket>();
  private readonly connector: Connector;
  private readonly buffers = new ReadBuffers();
  private busy = 0;
  private closed = false;
  private ended = false;

  constructor(private readonly options: UpstreamOptions) {
    this.connector = new Connector({
      ...options.server,
      opened: (socket) => {
        this.open.add(socket);
        socket.once('close', () => this.open.delete(socket));
      },
    });
  }

  /** Rejects with an `UpstreamError`, or with the reason of the request's signal. */
  async ask(request: UpstreamRequest): Promise<UpstreamResponse> {
    const head = requestHead(request, this.options.server.host);
    await this.turn(request.signal);
    try {
      const kept = request.switches === true ? undefined : this.idle.pop();
      if (kept !== undefined) {
        kept.forget();
        try {
          return await this.exchange(kept.connection, request, head, true);
        } catch (error) {
          if (!(error instanceof StaleConnection) || !REPEATABLE.has(request.method)) throw error;
        }
      }
      return await this.exchange(await this.connect(request.signal), request, head, false);
    } catch (error) {
      this.next();
      throw error;
    }
  }

  /** Keeps no connection from here on. What is under way goes on. */
  close(): void {
    this.closed = true;
    for (const { connection, forget } of this.idle.splice(0)) {
      forget();
      drop(connection.socket);
    }
  }

  /** Ends what is under way, too. Resolves when no connection is left. */
  async end(): Promise<void> {
    this.close();
    this.ended = true;
    const sockets = [...this.open];
    const all = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of sockets) drop(socket);
    await Promise.all(all);
  }

  /** The place that this takes is given back by `next`: after a rejection by `ask`, otherwise when the answer is over. */
  private async exchange(
    connection: Connection,
    request: UpstreamRequest,
    head: string,
    reused: boolean,
  ): Promise<UpstreamResponse> {
    const exchange = new UpstreamExchange(connection, request, head, reused);
    const response = await exchange.response;
    void exchange.over.then((milliseconds) => {
      if (milliseconds > 0) this.keep(connection, milliseconds);
      this.next();
    });
    return response;
  }

  /** @param atMost milliseconds that the server keeps it */
  private keep(connection: Connection, atMost: number): void {
    const { socket, incoming } = connection;
    const { max, time } = this.options.kept ?? { max: Number.POSITIVE_INFINITY, time: KEPT_FOR };
    const milliseconds = Math.min(time, atMost);
    // Bytes that nobody has asked for: whatever they are, the next answer would begin with them.
    const isClean = incoming.takeUnasked().length === 0;
    if (this.closed || !isClean || this.idle.length >= max || milliseconds <= 0) {
      drop(socket);
      return;
    }
    const end = (): void => {
      entry.forget();
      const at = this.idle.indexOf(entry);
      if (at >= 0) this.idle.splice(at, 1);
      drop(socket);
    };
    const timer = setTimeout(end, milliseconds);
    timer.unref();
    const forget = (): void => {
      clearTimeout(timer);
      incoming.goTo(undefined);
      socket.off('end', end).off('error', end).off('close', end);
    };
    const entry = { connection, forget };
    incoming.goTo(() => {
      end();
      return false;
    });
    socket.on('end', end).on('error', end).on('close', end).resume();
    this.idle.push(entry);
  }

  /** Waits for a place among the connections. */
  private async turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.busy < this.options.maxConnections) {
      this.busy++;
      return;
    }
    const limits = this.options.waiting;
    if (limits !== undefined && this.waiting.size >= limits.max)
      throw new UpstreamBusy(
        'full',
        `${this.busy} requests are under way, and ${this.waiting.size} wait for their turn`,
      );
    await new Promise<void>((resolve, reject) => {
      const late = limits && setTimeout(() => leave(tooLate(limits.time)), limits.time);
      const go = (): void => {
        clearTimeout(late);
        signal.removeEventListener('abort', aborted);
        resolve();
      };
      const leave = (reason: unknown): void => {
        clearTimeout(late);
        signal.removeEventListener('abort', aborted);
        this.waiting.delete(go);
        reject(reason);
      };
      const aborted = (): void => leave(signal.reason);
      this.waiting.add(go);
      signal.addEventListener('abort', aborted);
    });
  }

  /** A place is free: whoever waits longest has it. */
  private next(): void {
    const [go] = this.waiting;
    if (go === undefined) {
      this.busy--;
      return;
    }
    this.waiting.delete(go);
    go();
  }

  private async connect(signal: AbortSignal): Promise<Connection> {
    if (this.ended) throw new UpstreamError('the gateway does not ask it any more', { failure: 'failed' });
    try {
      const incoming = new Incoming(this.buffers);
      const socket = (await this.connector.connect(signal, incoming.onread)).take();
      if (socket === undefined) throw signal.reason;
      return { socket, incoming };
    } catch (error) {
      throw error instanceof ConnectError ? connectionFault(error) : error;
    }
  }
}

function tooLate(milliseconds: number): UpstreamBusy {
  return new UpstreamBusy('timeout', `no connection was free within ${milliseconds} ms`);
}

/** The server of a URL, whose path and query are not looked at. */
export function serverAt({ protocol, hostname, port, host: authority, origin }: URL): UpstreamServer {
  // An address in brackets is one without them to the system.
  const host = hostname.replace(/^\[|\]$/g, '');
  const secure = protocol === 'https:';
  const remote = { kind: 'tcp', host, port: Number(port || (secure ? 443 : 80)), text: origin } as const;
  if (!secure) return { remote, host: authority };
  const name = isIP(host) === 0 ? { servername: host } : {};
  return { remote, host: authority, tls: { ...name, ALPNProtocols: ['http/1.1'] } };
}
