/**
 * A server that the gateway asks: a bounded number of connections, which are kept where that is safe. A request waits for a free one, in
 * its turn, for as long as its signal lets it.
 */
import { isIP, type Socket } from 'node:net';
import { ConnectError, Connector } from './connecting.ts';
import { drop, requestHead, UpstreamExchange, type UpstreamRequest, type UpstreamResponse } from './exchange.ts';
import { connectionFault, StaleConnection } from './faults.ts';

/** How long a connection is kept for another request, milliseconds: less than what servers usually do, so that they seldom close first. */
const KEPT_FOR = 60_000;

export interface UpstreamOptions {
  /** Its path and query are not looked at. */
  readonly url: URL;
  readonly maxConnections: number;
}

/** Methods that may be sent again when nobody knows whether the first one arrived (RFC 9110 section 9.2.2), as far as they have no effect. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export class Upstream {
  /** The one used last is taken first. */
  private readonly idle: { readonly socket: Socket; readonly forget: () => void }[] = [];
  private readonly waiting = new Set<() => void>();
  private readonly connector: Connector;
  private busy = 0;
  private closed = false;

  constructor(private readonly options: UpstreamOptions) {
    this.connector = connectorFor(options.url);
  }

  /** Rejects with an `UpstreamError`, or with the reason of the request's signal. */
  async ask(request: UpstreamRequest): Promise<UpstreamResponse> {
    const head = requestHead(request, this.options.url.host);
    await this.turn(request.signal);
    try {
      const kept = this.idle.pop();
      if (kept !== undefined) {
        kept.forget();
        try {
          return await this.exchange(kept.socket, request, head, true);
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
    for (const { socket, forget } of this.idle.splice(0)) {
      forget();
      drop(socket);
    }
  }

  /** The place that this takes is given back by `next`: after a rejection by `ask`, otherwise when the answer is over. */
  private async exchange(
    socket: Socket,
    request: UpstreamRequest,
    head: string,
    reused: boolean,
  ): Promise<UpstreamResponse> {
    const exchange = new UpstreamExchange(socket, request, head, reused);
    const response = await exchange.response;
    void exchange.over.then((isFree) => {
      if (isFree) this.keep(socket);
      this.next();
    });
    return response;
  }

  private keep(socket: Socket): void {
    if (this.closed) {
      drop(socket);
      return;
    }
    const end = (): void => {
      entry.forget();
      const at = this.idle.indexOf(entry);
      if (at >= 0) this.idle.splice(at, 1);
      drop(socket);
    };
    const timer = setTimeout(end, KEPT_FOR);
    timer.unref();
    const forget = (): void => {
      clearTimeout(timer);
      socket.off('data', end).off('end', end).off('error', end).off('close', end);
    };
    const entry = { socket, forget };
    // Bytes that nobody has asked for: whatever they are, the next answer would begin with them.
    socket.on('data', end).on('end', end).on('error', end).on('close', end).resume();
    this.idle.push(entry);
  }

  /** Waits for a place among the connections. */
  private async turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.busy < this.options.maxConnections) {
      this.busy++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.waiting.delete(go);
        reject(signal.reason);
      };
      this.waiting.add(go);
      signal.addEventListener('abort', leave, { once: true });
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

  private async connect(signal: AbortSignal): Promise<Socket> {
    try {
      const connection = (await this.connector.connect(signal)).take();
      if (connection === undefined) throw signal.reason;
      return connection;
    } catch (error) {
      throw error instanceof ConnectError ? connectionFault(error) : error;
    }
  }
}

function connectorFor({ protocol, hostname, port, origin }: URL): Connector {
  // An address in brackets is one without them to the system.
  const host = hostname.replace(/^\[|\]$/g, '');
  const secure = protocol === 'https:';
  const remote = { kind: 'tcp', host, port: Number(port || (secure ? 443 : 80)), text: origin } as const;
  if (!secure) return new Connector({ remote });
  const name = isIP(host) === 0 ? { servername: host } : {};
  return new Connector({ remote, tls: { ...name, ALPNProtocols: ['http/1.1'] } });
}
