/** Switches a connection of Node to WebSocket with `ws`, which is loaded when the first client asks for it. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { WebSocket, WebSocketServer } from 'ws';
import type { Upgrade } from './engine.ts';
import type { Takeover } from './node-takeover.ts';

/** How long a client may take to answer our close frame. Milliseconds. */
const CLOSE_TIMEOUT = 10_000;

export class Upgrader {
  /** By the largest message, which is an option of `ws`'s server; there are as many as routes at most. */
  private readonly servers = new Map<number, WebSocketServer>();

  /** Writes the 101 and hands over the open WebSocket. When the client has gone by then, `opened` is never called. */
  async upgrade(
    request: IncomingMessage,
    socket: Socket,
    takeover: Takeover,
    upgrade: Upgrade,
    opened: (native: WebSocket) => void,
  ): Promise<void> {
    const server = this.servers.get(upgrade.maxMessage) ?? (await this.load(upgrade.maxMessage));
    // `ws` would choose the client's first protocol, and insists on one spelling of the header.
    request.headers['sec-websocket-protocol'] = upgrade.protocol;
    request.headers.upgrade = 'websocket';
    server.once('headers', (lines) => {
      for (const [name, value] of upgrade.headers) lines.push(`${name}: ${asUtf8(value)}`);
    });
    server.handleUpgrade(request, socket, takeover.takeHead(), opened);
    // The takeover paused it, and a listener for data does not wake a socket that was paused on purpose.
    socket.resume();
  }

  private async load(maxPayload: number): Promise<WebSocketServer> {
    const ws = await import('ws');
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload,
      // Not in the types yet.
      closeTimeout: CLOSE_TIMEOUT,
    };
    const server = this.servers.get(maxPayload) ?? new ws.WebSocketServer(options);
    this.servers.set(maxPayload, server);
    return server;
  }
}

/** `ws` writes UTF-8; our strings have one character per byte. */
function asUtf8(value: string): string {
  return Buffer.from(value, 'latin1').toString();
}
