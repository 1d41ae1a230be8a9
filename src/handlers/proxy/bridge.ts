/** One WebSocket through a proxy route: messages, closes and the pace of either end are passed on to the other. */
import type { Socket, SocketHandlers } from '../../engine/engine.ts';
import type { KeepAlive, PingedClient, Watch, WatchOwner } from '../../stream/clients/keepalive.ts';
import { CLOSE, type Ending } from '../../stream/message.ts';
import type { Switched } from '../../upstream/exchange.ts';
import type { UpstreamSocket, UpstreamSocketEvents, UpstreamSockets } from '../../upstream/websocket.ts';

/** What the bridges of one route share. */
export interface BridgeParts {
  readonly sockets: UpstreamSockets;
  readonly keepAlive: KeepAlive;
  /** Bytes of a client's messages that may wait for the upstream where the client cannot be held back. */
  readonly maxQueue: number;
  /** Those that are open. */
  readonly open: Set<Bridge>;
  /** The upstream reads too slowly for a client that cannot be held back. */
  overflowed(): void;
}

/** No close frame has come. */
const LOST = 1006;

/** The client's side. Of the request it keeps nothing. */
export class Bridge implements SocketHandlers, WatchOwner {
  private switched: Switched | undefined;
  private client: Socket | undefined;
  private pinged: Pinged | undefined;
  private upstream: UpstreamSocket | undefined;
  private watch: Watch | undefined;

  /** @param switched the connection to the upstream; this ends it */
  constructor(
    private readonly parts: BridgeParts,
    switched: Switched,
  ) {
    this.switched = switched;
  }

  /** There will be no WebSocket. */
  cancel(): void {
    this.switched?.connection.socket.destroy();
    this.switched = undefined;
  }

  /** The gateway wants no more of it: both ends are told so. */
  end({ code, reason }: Ending): void {
    this.client?.close(code, reason);
    this.upstream?.close(code, reason);
  }

  /** The client does not answer pings any more. */
  vanished(): void {
    this.client?.terminate();
  }

  // ---- from the client ----

  open(client: Socket): void {
    const { switched, parts } = this;
    this.switched = undefined;
    this.client = client;
    parts.open.add(this);
    this.pinged = new Pinged(client);
    this.watch = parts.keepAlive.add(this.pinged, this);
    // Its 'close' has been told to nobody.
    if (switched === undefined || switched.connection.socket.destroyed) {
      client.terminate();
      return;
    }
    this.upstream = parts.sockets.adopt(switched.connection, new UpstreamSide(this));
    this.upstream.start(switched.head);
  }

  message(data: Buffer, binary: boolean): void {
    const { upstream, client, parts, pinged } = this;
    this.heard();
    if (upstream === undefined || client === undefined || pinged === undefined) return;
    if (upstream.bufferedAmount > parts.maxQueue) {
      parts.overflowed();
      this.end({ code: CLOSE.tryAgainLater, reason: 'the upstream reads too slowly' });
    } else if (!upstream.send(data, binary)) pinged.heldBack = client.pause();
  }

  drain(): void {
    this.heard();
    this.upstream?.resume();
  }

  pong(): void {
    this.heard();
  }

  ping(): void {
    this.heard();
  }

  close(code: number, reason: string): void {
    const { upstream, watch } = this;
    this.parts.open.delete(this);
    if (watch !== undefined) this.parts.keepAlive.remove(watch);
    this.client = undefined;
    upstream?.close(code, reason);
  }

  private heard(): void {
    this.watch?.heard();
  }

  // ---- from the upstream ----

  batch(deliver: () => void): void {
    if (this.client === undefined) deliver();
    else this.client.batch(deliver);
  }

  deliver(data: Buffer, binary: boolean): void {
    if (this.client?.lend(data, binary) === false) this.upstream?.pause();
  }

  caughtUp(): void {
    const { client, pinged } = this;
    if (client === undefined || pinged?.heldBack !== true) return;
    pinged.heldBack = false;
    this.heard();
    client.resume();
  }

  /** What the upstream did not say, its client is not told either: a connection that was lost is one that is lost. */
  left(code: number, reason: string): void {
    if (code === LOST) this.client?.terminate();
    else this.client?.close(code, reason);
  }
}

class UpstreamSide implements UpstreamSocketEvents {
  constructor(private readonly bridge: Bridge) {}

  batch(deliver: () => void): void {
    this.bridge.batch(deliver);
  }

  message(data: Buffer, binary: boolean): void {
    this.bridge.deliver(data, binary);
  }

  drain(): void {
    this.bridge.caughtUp();
  }

  closed(code: number, reason: string): void {
    this.bridge.left(code, reason);
  }
}

class Pinged implements PingedClient {
  heldBack = false;

  constructor(private readonly client: Socket) {}

  ping(): void {
    this.client.ping();
  }

  get bufferedAmount(): number {
    return this.client.bufferedAmount;
  }

  terminate(): void {
    this.client.terminate();
  }
}
