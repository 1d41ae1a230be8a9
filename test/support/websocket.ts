/** A WebSocket client for tests, and handlers that remember what they were told. */
import { WebSocket } from 'ws';
import type { Exchange, HeaderList, Socket, SocketHandlers } from '../../src/engine/engine.ts';
import { isSecure } from './secure.ts';
import { until } from './until.ts';

/** The server's end: what the handlers were told, in order. */
export class Recorded implements SocketHandlers {
  socket: Socket | undefined;
  readonly events: string[] = [];
  readonly messages: { readonly data: Buffer; readonly binary: boolean }[] = [];
  drains = 0;
  /** How often it was said that there will be no WebSocket. */
  cancels = 0;

  constructor(private readonly onMessage?: (socket: Socket, data: Buffer, binary: boolean) => void) {}

  open(socket: Socket): void {
    this.socket = socket;
    this.events.push('open');
  }
  message(data: Buffer, binary: boolean): void {
    this.events.push('message');
    this.messages.push({ data, binary });
    if (this.socket !== undefined) this.onMessage?.(this.socket, data, binary);
  }
  drain(): void {
    this.drains++;
  }
  pong(): void {
    this.events.push('pong');
  }
  ping(bytes: number): void {
    this.events.push(`ping ${bytes}`);
  }
  close(code: number, reason: string): void {
    this.events.push(`close ${code} ${reason}`);
  }

  /** The server's socket, once it is open. */
  async opened(): Promise<Socket> {
    await until(() => this.socket !== undefined, 'the socket to open');
    if (this.socket === undefined) throw new Error('not open');
    return this.socket;
  }

  /** How it ended, once it has. */
  async closed(): Promise<string> {
    await until(() => this.events.at(-1)?.startsWith('close') === true, 'the socket to close');
    return this.events.at(-1) ?? '';
  }
}

export function upgradeTo(
  exchange: Exchange,
  handlers: SocketHandlers,
  changes: { readonly protocol?: string; readonly headers?: HeaderList; readonly maxMessage?: number } = {},
): void {
  const cancel = (): void => {
    if (handlers instanceof Recorded) handlers.cancels++;
  };
  exchange.upgrade({ protocol: undefined, headers: [], maxMessage: 1 << 20, ...changes, handlers, cancel });
}

/** The client's end. */
export class Client {
  readonly messages: { readonly data: Buffer; readonly binary: boolean }[] = [];
  pings = 0;
  ended: string | undefined;
  error: Error | undefined;
  readonly headers = new Map<string, string | undefined>();

  private constructor(readonly native: WebSocket) {
    native.on('message', (data: Buffer, binary) => this.messages.push({ data, binary }));
    native.on('ping', () => this.pings++);
    native.on('close', (code, reason) => {
      this.ended = `${code} ${reason.toString()}`;
    });
    native.on('error', (error) => {
      this.error = error;
    });
  }

  static async connect(port: number, protocols: string[] = [], path = '/'): Promise<Client> {
    const native = new WebSocket(`${isSecure(port) ? 'wss' : 'ws'}://127.0.0.1:${port}${path}`, protocols, {
      perMessageDeflate: false,
      rejectUnauthorized: false,
    });
    const client = new Client(native);
    native.on('upgrade', (response) => {
      for (const [name, value] of Object.entries(response.headers)) client.headers.set(name, String(value));
    });
    let open = false;
    native.on('open', () => {
      open = true;
    });
    await until(() => open || client.error !== undefined, 'the client to open');
    if (client.error !== undefined) throw client.error;
    return client;
  }

  /** Code and reason, once it is closed. */
  async closed(): Promise<string> {
    await until(() => this.ended !== undefined, 'the client to be closed');
    return this.ended ?? '';
  }
}
