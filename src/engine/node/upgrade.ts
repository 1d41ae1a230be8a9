/** Switches a connection of Node to WebSocket with `ws`, which is loaded when the first client asks for it. */
import type { IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Server } from 'ws';
import type { HeaderList, Upgrade } from '../engine.ts';
import { deflateOffer } from '../socket-rules.ts';
import { type NativeClass, type NativeSocket, nativeClass } from './native.ts';
import type { PendingUpgrade } from './pending-upgrade.ts';

/**
 * How long a client may take to answer our close frame. Milliseconds. It may have MB in front of that frame in the kernel's buffers, which
 * nobody tells us of: with 10 s a client that read slowly lost its last messages, and the close code with them.
 */
const CLOSE_TIMEOUT = 60_000;
/**
 * A message may come in pieces, frames or packets, each of which costs some 300 bytes beside its own: so many of any size, and further ones
 * of this size on average.
 */
const FREE_PARTS = 1024;
const PART_SIZE = 256;

/** Nothing stays between messages. So many are compressed or expanded at once, in the whole process, and others wait; level 1 as for replies. */
const DEFLATE = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  concurrencyLimit: 4,
  // `NodeSocket` says which.
  threshold: 0,
  zlibDeflateOptions: { level: 1 },
} as const;

type ServerEnd = new (address: null, protocols: undefined, options: object) => NativeSocket;

export class Upgrader {
  /** By the largest message, which is an option of `ws`'s server, as compression is; there are as many as routes at most. */
  private readonly servers = new Map<number, Server<NativeClass>>();
  private readonly deflating = new Map<number, Server<NativeClass>>();
  private native: NativeClass | undefined;

  /** Writes the 101 and hands over the open WebSocket. When the client has gone by then, `opened` is never called. */
  async upgrade(
    request: IncomingMessage,
    socket: Socket,
    pendingUpgrade: PendingUpgrade,
    upgrade: Upgrade,
    opened: (native: NativeSocket) => void,
  ): Promise<void> {
    const deflates = upgrade.deflating !== undefined;
    const servers = deflates ? this.deflating : this.servers;
    const server = servers.get(upgrade.maxMessage) ?? (await this.load(upgrade.maxMessage, deflates));
    if (deflates) request.headers['sec-websocket-extensions'] = deflateOffer(fieldsOf(request));
    // `ws` would choose the client's first protocol, and insists on one spelling of the header.
    request.headers['sec-websocket-protocol'] = upgrade.protocol;
    request.headers.upgrade = 'websocket';
    const addFields = (lines: string[]): void => {
      for (const [name, value] of upgrade.headers) lines.push(`${name}: ${asUtf8(value)}`);
    };
    // It writes the head before it returns, or has refused: the fields of one client must not wait for the 101 of another.
    server.on('headers', addFields);
    try {
      server.handleUpgrade(request, socket, pendingUpgrade.takeHead(), opened);
    } finally {
      server.off('headers', addFields);
    }
    // `takeHead` paused it, and a listener for data does not wake a socket that was paused on purpose.
    socket.resume();
  }

  /**
   * Speaks WebSocket over a stream of HTTP/2, for which `accept` sends the head. When the client has gone by then neither that nor `opened` is
   * called.
   */
  async adopt(
    stream: Duplex,
    maxMessage: number,
    accept: () => void,
    opened: (native: NativeSocket) => void,
  ): Promise<void> {
    const { options } = this.servers.get(maxMessage) ?? (await this.load(maxMessage, false));
    // The types have no options for a server's end.
    const Native = this.native as ServerEnd | undefined;
    if (Native === undefined || stream.destroyed || !stream.writable) return;
    accept();
    const native = new Native(null, undefined, options);
    native.setSocket(stream, Buffer.alloc(0), options);
    opened(native);
  }

  private async load(maxPayload: number, deflates: boolean): Promise<Server<NativeClass>> {
    const found = await import('ws');
    // Node 20 now and then gives a CommonJS module of it that is loaded by half.
    const ws =
      typeof found.WebSocket === 'function' ? found : (createRequire(import.meta.url)('ws') as typeof import('ws'));
    this.native ??= nativeClass(ws.WebSocket);
    const parts = FREE_PARTS + Math.ceil(maxPayload / PART_SIZE);
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: deflates && DEFLATE,
      maxPayload,
      WebSocket: this.native,
      // `NodeSocket` answers pings: `ws` would drop a client that sends more than 60 at once, read or unread.
      autoPong: false,
      // Not in the types yet.
      closeTimeout: CLOSE_TIMEOUT,
      maxFragments: parts,
      maxBufferedChunks: parts,
    };
    const servers = deflates ? this.deflating : this.servers;
    const server = servers.get(maxPayload) ?? new ws.WebSocketServer(options);
    servers.set(maxPayload, server);
    return server;
  }
}

/** The one field that is looked for, as often as it is there. */
function fieldsOf(request: IncomingMessage): HeaderList {
  const value = request.headers['sec-websocket-extensions'];
  return value === undefined ? [] : [['sec-websocket-extensions', value]];
}

/** `ws` writes UTF-8; our strings have one character per byte. */
function asUtf8(value: string): string {
  return Buffer.from(value, 'latin1').toString();
}
