/**
 * The engine on uWebSockets.js, which serves most connections. What it does differently from what one would expect was
 * measured; the comments say so, `docs/uwebsockets.md` lists it, and `docs/engines.md` what remains of it.
 */
import type { HttpRequest, HttpResponse, us_socket_context_t } from 'uWebSockets.js';
import { addressText, UNIX_PEER } from '../../net/address.ts';
import type { UwsModule } from '../../ops/addons/addon.ts';
import type { ServedIdentity } from '../../tls/serving/contexts.ts';
import type { ExchangeParts } from '../base-exchange.ts';
import type { Descriptors } from '../descriptors.ts';
import type { ConnectionTls, ListenerFacts, ListenOptions, Request } from '../engine.ts';
import { type HeadFacts, type Opening, readFacts, readOpening } from '../heads.ts';
import { ownAddress, type Peer } from '../peer.ts';
import { headRefusal } from '../refusals.ts';
import { UwsExchange } from './exchange.ts';
import { LastingHeads } from './head.ts';
import { type AdoptingApp, KnownPeers } from './known-peers.ts';
import { Liveness } from './liveness.ts';
import { SecureApps } from './secure-apps.ts';
import { SelfConnection } from './self-connection.ts';
import { LoopIterations, UnconfirmedAnswers, type UwsLast, type UwsOpening, type UwsShared } from './shared.ts';
import type { SocketData } from './socket.ts';

/** What a connection can be adopted with. */
export interface UwsParts {
  readonly uws: UwsModule;
  readonly descriptors: Descriptors;
}

/** How much larger than the largest message the limit inside is, so that ours is met first and answered with 1009. */
const MESSAGE_MARGIN = 64 * 1024;
/** Values of `compression`, which its types do not export. */
const DISABLED = 0;
const SHARED_COMPRESSOR = 1;
const MAX_PAYLOAD = 0x7fffffff;
/** Of one address: how many connections that wait for requests are known by their ports, at once. Each next one costs an app, 28 KiB, once. */
const MOST_KNOWN = 8;
/** Of a connection with TLS it tells nothing. */
const UNTOLD: ConnectionTls = { protocol: undefined, cipher: undefined, serverName: undefined };
const NOT_ASCII = /[^\x00-\x7f]/;
/** Their requests can be passed on from a first route to a second, which gives two handles of one response. Others go without. */
const TWICE = ['get', 'head', 'post', 'put', 'patch', 'del', 'options'] as const;
const BRINGS_A_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** Serves the connections of one listener that the door has accepted. */
export class UwsServer {
  /** The app of most connections that are known, then the next; the last one has those whose port is not known. */
  private readonly apps: KnownPeers[] = [];
  private readonly shared: UwsShared;
  private readonly secure: SecureApps;
  private readonly localAddress: string | undefined;
  private stopped = false;
  /** The handle of the request that is just being passed on to the second route. */
  private grip: HttpResponse | undefined;

  private constructor(
    private readonly parts: UwsParts,
    private readonly options: ListenOptions,
    shared: ExchangeParts,
    private readonly facts: ListenerFacts,
  ) {
    this.localAddress = ownAddress(options.address);
    this.secure = new SecureApps(parts.uws, {
      // One app for each identity, so that sessions can be resumed whatever the address: none of its connections is known by its port.
      route: (app) => this.route(new KnownPeers(app as AdoptingApp, false, parts.descriptors)),
      unable: (title, reason) =>
        shared.events.limited(`TLS for ${title} is served by the engine "node" from now on: ${reason}`),
    });
    this.shared = {
      ...shared,
      liveness: new Liveness(),
      selfConnection: new SelfConnection(),
      descriptors: parts.descriptors,
      deflates: options.deflates === true,
      heads: new LastingHeads(),
      unconfirmed: new UnconfirmedAnswers(),
      iterations: new LoopIterations(),
    };
  }

  static async start(
    parts: UwsParts,
    options: ListenOptions,
    shared: ExchangeParts,
    facts: ListenerFacts,
  ): Promise<UwsServer> {
    const server = new UwsServer(parts, options, shared, facts);
    await server.shared.selfConnection.open(parts.uws.App() as AdoptingApp, parts.descriptors);
    return server;
  }

  /** Takes over a connection that is counted already. The descriptor is uWebSockets.js's from here on. */
  readonly adopt = (descriptor: number, peer: Peer): void => {
    const known = this.appFor(peer);
    known.remember(descriptor, peer);
    known.app.adoptSocket(descriptor);
  };

  /** The same for TLS with this identity; undefined where that cannot be served here. */
  adopterOf(identity: ServedIdentity): ((descriptor: number, peer: Peer) => void) | undefined {
    const known = this.secure.appFor(identity);
    return (
      known &&
      ((descriptor, peer) => {
        known.remember(descriptor, peer);
        known.app.adoptSocket(descriptor);
      })
    );
  }

  /** Nothing that closes the listener's connections: those are served on. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    // Those that are served on still write within its cork.
    const { connections, selfConnection } = this.shared;
    void connections.finished.then(() => selfConnection.close());
  }

  /** Drops every connection. */
  close(): void {
    this.stop();
    for (const { app } of this.apps) app.close();
    this.secure.close();
  }

  /** Also of a socket from systemd, which is known once the listener is open. */
  private get isUnix(): boolean {
    return this.facts.port === undefined;
  }

  /** One in which no other connection of its address waits for requests, as long as there are such. */
  private appFor({ address }: Peer): KnownPeers {
    const most = this.isUnix ? 0 : MOST_KNOWN;
    for (let at = 0; at < most; at++) {
      const app = this.apps[at] ?? this.addApp(true);
      if (!app.has(address)) return app;
    }
    return this.apps[most] ?? this.addApp(false);
  }

  private addApp(remembers: boolean): KnownPeers {
    const known = new KnownPeers(this.parts.uws.App() as AdoptingApp, remembers, this.parts.descriptors);
    this.apps.push(this.route(known));
    return known;
  }

  private route(known: KnownPeers): KnownPeers {
    const { app } = known;
    const { connections, events } = this.shared;
    const changed = (_response: HttpResponse, change: number): void => {
      // Those that come were counted by the door.
      if (change > 0) return;
      known.left();
      connections.closed();
      events.closed(undefined);
    };
    app.filter(changed);
    app.ws<SocketData>('/*', {
      maxPayloadLength: Math.min(this.options.maxMessage * 2 + MESSAGE_MARGIN, MAX_PAYLOAD),
      maxBackpressure: 0,
      // Its one compressor for all is made with the first app that has this, 0.3 MB.
      compression: this.options.deflates === true ? SHARED_COMPRESSOR : DISABLED,
      idleTimeout: 0,
      maxLifetime: 0,
      sendPingsAutomatically: false,
      upgrade: (response, request, context) => this.accept(known, response, request, context, false),
      open: (socket) => {
        const { socket: ours } = socket.getUserData();
        // The filter does not tell of a connection's end once it has become a WebSocket.
        known.left(ours.remoteAddress, ours.remotePort);
        ours.opened(socket);
      },
      message: (socket, message, binary) => socket.getUserData().socket.received(message, binary),
      drain: (socket) => socket.getUserData().socket.drained(),
      ping: (socket, message) => socket.getUserData().socket.pinged(message.byteLength),
      pong: (socket) => socket.getUserData().socket.ponged(),
      close: (socket, code, message) => {
        socket.getUserData().socket.closed(code, message);
        connections.ended();
        connections.closed();
        events.closed(socket.getUserData().socket.remoteAddress);
      },
    });
    for (const method of TWICE) {
      app[method]('/*', (response, request) => this.accept(known, response, request, undefined, true));
    }
    app.any('/*', (response, request) => this.accept(known, response, request, undefined, false));
    return known;
  }

  /** Nothing may be thrown out of here, and somebody must listen for the abort: either would end the process. */
  private accept(
    known: KnownPeers,
    response: HttpResponse,
    native: HttpRequest,
    context: us_socket_context_t | undefined,
    mayComeAgain: boolean,
  ): void {
    const { grip } = this;
    this.grip = undefined;
    let exchange: UwsExchange | undefined;
    try {
      const request = this.copyHead(known, response, native);
      const facts = readFacts(request.headers, '1.1');
      if (typeof facts === 'string') {
        // Closing is the only way that also stops what hides behind this request in the same read.
        response.close();
        this.shared.events.refused(facts, request.remoteAddress);
        return;
      }
      const isLast = endsConnection(request, facts, native);
      if (isLast && mayComeAgain) {
        this.grip = response;
        native.setYield(true);
        return;
      }
      const opening =
        facts.asksUpgrade && request.method === 'GET' ? readOpening(request.headers, facts.hasBody) : undefined;
      const refusal = headRefusal(request, facts, opening);
      const last: UwsLast | undefined = isLast ? { grip } : undefined;
      exchange = new UwsExchange(request, response, facts, asUwsOpening(opening, context), last, this.shared, known);
      exchange.handle(refusal);
    } catch (error) {
      if (exchange !== undefined) {
        exchange.broken(error);
        return;
      }
      this.shared.events.failed(error);
      response.close();
    }
  }

  /** It has no address over a Unix socket, and none over TCP when it has gone by now: that must not look the same. */
  private peerOf(response: HttpResponse): string {
    if (this.isUnix) return UNIX_PEER;
    return addressText(new Uint8Array(response.getRemoteAddress()));
  }

  /** The native request is only there during the callback. */
  private copyHead(known: KnownPeers, response: HttpResponse, native: HttpRequest): Request {
    // First of all: `getMethod` and the like change the bytes in place (measured).
    const sent = native.getCaseSensitiveMethod();
    // The usual one as a constant, which everything behind compares faster.
    const method = sent === 'GET' ? 'GET' : sent;
    const headers: (readonly [string, string])[] = [];
    native.forEach((name, value) => {
      headers.push([name, bytewise(value)]);
    });
    const remoteAddress = known.address ?? this.peerOf(response);
    const peer = known.of(remoteAddress);
    return {
      method,
      path: targetBytes(native.getUrl()),
      query: targetBytes(native.getQuery()),
      version: '1.1',
      headers,
      remoteAddress,
      remotePort: peer?.port,
      localAddress: this.localAddress ?? peer?.local,
      listener: this.facts,
      tls: this.options.tls === undefined ? undefined : UNTOLD,
    };
  }
}

/**
 * Whether nothing behind this request may be served. Chunks are read wrongly: extensions and more are taken for digits, any two bytes
 * for a line's end, so where the body ends is not certain. A field without a name hides those behind it, so a missing length is not
 * certain either. And a wish to close is seen only where it is the whole field (measured).
 */
function endsConnection(request: Request, facts: HeadFacts, native: HttpRequest): boolean {
  if (facts.chunked) return true;
  if (facts.contentLength === undefined && BRINGS_A_BODY.has(request.method)) return true;
  return facts.asksClose && native.getHeader('connection').length !== 'close'.length;
}

function asUwsOpening(opening: Opening | undefined, context: us_socket_context_t | undefined): UwsOpening | undefined {
  if (context === undefined || opening === undefined || opening.refused !== undefined) return undefined;
  return { handshake: opening.handshake, key: opening.key, context };
}

/** What was not UTF-8 cannot be had back: it stays as it is, and is refused. */
function targetBytes(text: string): string;
function targetBytes(text: string | undefined): string | undefined;
function targetBytes(text: string | undefined): string | undefined {
  return text === undefined || !NOT_ASCII.test(text) || text.includes('\ufffd') ? text : bytewise(text);
}

/** One character per byte: uWebSockets.js has decoded UTF-8. */
function bytewise(value: string): string {
  return NOT_ASCII.test(value) ? Buffer.from(value).toString('latin1') : value;
}
