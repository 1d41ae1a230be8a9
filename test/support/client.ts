/** A WebSocket client for tests: messages and the close are waited for, never slept for. */
import { once } from 'node:events';
import { request } from 'node:http';
import WebSocket from 'ws';

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

export class TestSocket {
  readonly messages: string[] = [];
  /** Whether each of them was binary. */
  readonly binary: boolean[] = [];
  readonly closed: Promise<Closed>;
  /** What went wrong with the connection, if anything did. */
  error: Error | undefined;
  private readonly watchers = new Set<() => void>();

  private constructor(readonly ws: WebSocket) {
    ws.on('message', (data: Buffer, binary) => {
      this.messages.push(data.toString());
      this.binary.push(binary);
      for (const watcher of [...this.watchers]) watcher();
    });
    this.closed = new Promise((resolve) => {
      ws.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        for (const watcher of [...this.watchers]) watcher();
      });
    });
    ws.on('error', (error) => {
      this.error = error;
    });
  }

  /** Resolves when it is open; rejects when the upgrade is refused. */
  static async open(
    url: string,
    options: WebSocket.ClientOptions = {},
    protocols: readonly string[] = [],
  ): Promise<TestSocket> {
    const ws = new WebSocket(url, [...protocols], { perMessageDeflate: false, ...options });
    const socket = new TestSocket(ws);
    await once(ws, 'open');
    return socket;
  }

  /** The first `count` messages. Rejects when the socket closes before. */
  async first(count: number): Promise<readonly string[]> {
    await new Promise<void>((resolve, reject) => {
      const deadline = setTimeout(
        () =>
          reject(
            new Error(`${this.messages.length} of ${count} messages in 30 s: ${this.messages.slice(-3).join(' | ')}`),
          ),
        60_000,
      );
      const look = (): void => {
        if (this.messages.length >= count) resolve();
        else if (this.ws.readyState === WebSocket.CLOSED)
          reject(new Error(`closed after ${this.messages.length} messages`, { cause: this.error }));
        else return;
        clearTimeout(deadline);
        this.watchers.delete(look);
      };
      this.watchers.add(look);
      look();
    });
    return this.messages.slice(0, count);
  }
}

export interface Refusal {
  readonly status: number;
  readonly headers: { readonly [name: string]: string | string[] | undefined };
  readonly body: string;
}

/** Asks for an upgrade that is expected to be refused. */
export async function refused(url: string, options: WebSocket.ClientOptions = {}): Promise<Refusal> {
  const ws = new WebSocket(url, { perMessageDeflate: false, ...options });
  ws.on('error', () => undefined);
  const [, response] = (await once(ws, 'unexpected-response')) as [unknown, import('node:http').IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

/** A plain request with any method, path and headers as they are given: nothing is normalised on the way. */
export async function ask(
  port: number,
  path: string,
  options: {
    readonly method?: string;
    readonly headers?: { readonly [name: string]: string };
    readonly body?: string | Buffer;
    readonly localAddress?: string;
  } = {},
): Promise<Refusal> {
  const outgoing = request({
    host: '127.0.0.1',
    port,
    path,
    method: options.method ?? 'GET',
    headers: options.headers ?? {},
    localAddress: options.localAddress,
    agent: false,
  });
  outgoing.end(options.body);
  const [response] = (await once(outgoing, 'response')) as [import('node:http').IncomingMessage];
  const parts: Buffer[] = [];
  for await (const chunk of response) parts.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts).toString() };
}
