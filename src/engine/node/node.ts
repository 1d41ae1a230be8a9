/**
 * The engine on node:http and `ws`: it serves what uWebSockets.js does not, in every corner, and everything where that cannot be loaded.
 */
import { createServer, IncomingMessage, type Server, type ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { parseHost, sameHost } from '../../net/host.ts';
import { usualPort } from '../../net/origin.ts';
import type { ExchangeParts } from '../base-exchange.ts';
import type { EngineEvents, ListenerFacts, ListenOptions, Request } from '../engine.ts';
import { readFacts, readOpening, splitTarget } from '../heads.ts';
import type { AcceptedConnection, Peer } from '../peer.ts';
import { headRefusal, REFUSED_TOO_OFTEN, refusalReply, TOO_MANY_CONNECTIONS } from '../refusals.ts';
import { Connection } from './connection.ts';
import { Copies } from './copies.ts';
import { NodeExchange, type NodeShared } from './exchange.ts';
import type { Http2Sessions } from './http2/server.ts';
import { isOpenEnded, OpenBody } from './open-body.ts';
import { PendingUpgrade } from './pending-upgrade.ts';
import { routeSecure, secureServer, strangerReason } from './tls.ts';
import { Upgrader } from './upgrade.ts';

/** How often Node looks for heads that are overdue. Milliseconds. */
const LOOK_EVERY = 1000;
/** Connections that may be reading their 503 at once. */
const MAX_TURNED_AWAY = 16;

/** Serves the connections of one listener that the door has accepted. */
export class NodeServer {
  private readonly server: Server;
  /** Those that speak HTTP. Over TLS they come only after the handshake, and their sockets are others than those that were accepted. */
  private readonly connections = new Map<Socket, Connection>();
  private readonly shared: NodeShared;
  private readonly events: EngineEvents;
  private readonly http2: Http2Sessions | undefined;
  private stopped = false;
  private turnedAway = 0;

  private constructor(
    makeServer: (settings: ServerOptions) => Server,
    private readonly options: ListenOptions,
    shared: ExchangeParts,
    private readonly facts: ListenerFacts,
    private readonly peerOf: (accepted: Socket) => Peer | undefined,
    http2: typeof import('./http2/server.ts') | undefined,
  ) {
    this.events = shared.events;
    this.shared = { ...shared, upgrader: new Upgrader(), copies: new Copies() };
    this.server = makeServer({
      IncomingMessage: Incoming,
      maxHeaderSize: options.maxHeaderBytes,
      headersTimeout: options.headerTimeout,
      // The body's time is the pipeline's.
      requestTimeout: 0,
      keepAliveTimeout: options.keepAliveTimeout,
      connectionsCheckingInterval: LOOK_EVERY,
      insecureHTTPParser: false,
      // Ours, so that it is counted.
      requireHostHeader: false,
    });
    // A client that has shut its sending side is answered all the same: see `Connection.halfClosed`. The types do not have it.
    Reflect.set(this.server, 'httpAllowHalfOpen', true);
    // Without this, fields above 1000 are dropped in silence; the bound in bytes is enough.
    this.server.maxHeadersCount = 0;
    this.http2 = http2 && new http2.Http2Sessions(options, this.shared);
    http2?.keepFromHttp1(this.server);
    this.route();
  }

  /** @param peerOf who is at the other end of a connection that was accepted; undefined once that is closed */
  static async start(
    options: ListenOptions,
    shared: ExchangeParts,
    facts: ListenerFacts,
    peerOf: (accepted: Socket) => Peer | undefined,
  ): Promise<NodeServer> {
    const { tls, http2 = false } = options;
    const makeServer = tls === undefined ? createServer : await secureServer(tls, options.headerTimeout, http2);
    const Http2 = tls !== undefined && http2 ? await import('./http2/server.ts') : undefined;
    const server = new NodeServer(makeServer, options, shared, facts, peerOf, Http2);
    // The door listens; but this is what Node's HTTP begins to look after its deadlines with.
    server.server.emit('listening');
    return server;
  }

  /** Takes a paused connection whose first byte for HTTP or TLS is next. One that was not admitted is told so, where that is cheap. */
  serve(socket: Socket, { peer, admitted }: AcceptedConnection): void {
    const isPlain = this.options.tls === undefined;
    socket.setNoDelay(true);
    // Within a handshake a client that shuts its sending side has left. It would count until the handshake's time is over.
    if (!isPlain) socket.allowHalfOpen = false;
    this.server.emit('connection', socket);
    const connection = isPlain ? new Connection(socket, peer) : undefined;
    if (connection !== undefined) this.connections.set(socket, connection);
    socket.once('close', () => {
      this.connections.delete(socket);
      if (!admitted) this.turnedAway--;
    });
    // TLS reads by itself, from what lies under this socket.
    if (isPlain) socket.resume();
    if (!admitted) this.turnAway(socket, connection);
  }

  /** Lets HTTP/2 clients know that they are to go. The others learn it from their next answer. */
  leave(): void {
    this.http2?.stop();
  }

  /** Closes the connections that wait for a next request; the others are served on. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.server.close();
    this.leave();
  }

  /** One connection too many is told so, while there is room even for that. */
  private turnAway(socket: Socket, connection: Connection | undefined): void {
    this.turnedAway++;
    // Over TLS it could only be told after a handshake, which is what costs.
    if (connection === undefined || this.turnedAway > MAX_TURNED_AWAY) socket.destroy();
    else connection.refuse(TOO_MANY_CONNECTIONS);
  }

  private route(): void {
    const { server } = this;
    const { tls } = this.options;
    if (tls !== undefined)
      routeSecure(server, {
        opened: (socket, raw, facts) => {
          const peer = raw && this.peerOf(raw);
          // Its connection has ended while the handshake did.
          if (peer === undefined) {
            socket.destroy();
            return;
          }
          // From here on it may wait for its answer: see `Connection.halfClosed`.
          socket.allowHalfOpen = true;
          if (this.http2?.takes({ socket, peer, secure: facts, listener: this.factsFor(peer) })) return;
          this.connections.set(socket, new Connection(socket, peer, facts));
          socket.once('close', () => this.connections.delete(socket));
        },
        refused: (reason, raw) => this.events.refused(reason, (raw && this.peerOf(raw))?.address ?? ''),
      });
    server.on('request', (incoming, response) => this.accept(incoming, response, undefined, false));
    server.on('checkContinue', (incoming, response) => this.accept(incoming, response, undefined, true));
    // An expectation that we do not know is not worth a refusal (RFC 9110 section 10.1.1 permits both).
    server.on('checkExpectation', (incoming, response) => this.accept(incoming, response, undefined, false));
    server.on('upgrade', (incoming, _socket, head) => {
      const Released = isOpenEnded(incoming) ? OpenBody : PendingUpgrade;
      this.accept(incoming, new ServerResponse(incoming), new Released(incoming.socket, head), false);
    });
    server.on('connect', (incoming) => {
      incoming.socket.on('error', () => {});
      this.refuse(incoming.socket, 405, 'CONNECT');
    });
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.clientError(error, socket as Socket));
  }

  private accept(
    incoming: IncomingMessage,
    response: ServerResponse,
    released: PendingUpgrade | OpenBody | undefined,
    awaitsContinue: boolean,
  ): void {
    const { socket } = incoming;
    const connection = this.connections.get(socket);
    // Behind a refusal, or an answer that closes the connection, nothing is a request any more.
    if (connection === undefined || connection.last) {
      connection?.ignore();
      return;
    }
    const version = incoming.httpVersion;
    if (version !== '1.0' && version !== '1.1') {
      this.refuse(socket, 505, 'an HTTP version other than 1.0 and 1.1');
      return;
    }
    const { secure, peer } = connection;
    const stranger = this.options.tls?.requiresClient === true ? strangerReason(secure?.peerCertificate) : undefined;
    if (stranger !== undefined) {
      this.refuse(socket, 403, stranger);
      return;
    }
    const method = incoming.method ?? '';
    const target = splitTarget(incoming.url ?? '', method);
    if (target === undefined) {
      this.refuse(socket, 400, 'a target that is neither a path nor a URL');
      return;
    }
    const headers = pairs(incoming.rawHeaders);
    const facts = readFacts(headers, version);
    if (typeof facts === 'string') {
      this.refuse(socket, 400, facts);
      return;
    }
    if (target.authority !== undefined && !namesHost(target.authority, target.scheme, facts.host)) {
      this.refuse(socket, 421, 'a URL of another host than Host says');
      return;
    }
    const request: Request = {
      method,
      path: target.path,
      query: target.query,
      version,
      headers,
      remoteAddress: peer.address,
      remotePort: peer.port,
      localAddress: peer.local,
      listener: this.factsFor(peer),
      ...(peer.anonymous ? { anonymous: true } : {}),
      ...secure,
    };
    const opening =
      facts.asksUpgrade && method === 'GET' && version === '1.1' ? readOpening(headers, facts.hasBody) : undefined;
    const handshake = opening?.refused === undefined ? opening?.handshake : undefined;
    const exchange = new NodeExchange(
      request,
      handshake,
      facts,
      incoming,
      response,
      connection,
      released,
      awaitsContinue,
      this.shared,
    );
    exchange.handle(headRefusal(request, facts, opening));
  }

  /** Without TLS of ours a preface tells that the client speaks TLS, or nothing. */
  private factsFor({ secure, preface }: Peer): ListenerFacts {
    if (this.facts.secure || preface === 0) return this.facts;
    return secure ? { ...this.facts, secure } : { ...this.facts, secureUnknown: true };
  }

  private refuse(socket: Socket, status: number, reason: string): void {
    const connection = this.connections.get(socket);
    const answered = this.events.refused(reason, connection?.peer.address ?? '');
    connection?.refuse(answered ? refusalReply(status, reason) : REFUSED_TOO_OFTEN);
  }

  private clientError(error: NodeJS.ErrnoException, socket: Socket): void {
    const { code = '' } = error;
    const connection = this.connections.get(socket);
    if (connection?.last) return;
    // Somebody who left in the middle of something is not malformed.
    if (code === 'HPE_INVALID_EOF_STATE' || !/^(HPE_|ERR_HTTP_)/.test(code)) {
      socket.destroy();
      return;
    }
    const before = connection?.secure === undefined ? (connection?.peer.preface ?? 0) : 0;
    const isSilent = socket.bytesRead <= before;
    this.refuse(socket, STATUS_OF_ERROR[code] ?? 400, reasonOfError(error, isSilent));
  }
}

const STATUS_OF_ERROR: { readonly [code: string]: number } = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  HPE_HEADER_OVERFLOW: 431,
};

function reasonOfError(error: NodeJS.ErrnoException, isSilent: boolean): string {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return isSilent ? 'a connection without a request' : 'a head that took too long';
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'a head that is too large';
  return error.message;
}

/** Whether a URL in a request line is of the host that the Host field names. */
function namesHost(authority: string, scheme: string, field = ''): boolean {
  const [named, host] = [parseHost(authority), parseHost(field)];
  return named !== undefined && host !== undefined && sameHost(named, host, usualPort(scheme));
}

function pairs(raw: readonly string[]): (readonly [string, string])[] {
  const list: (readonly [string, string])[] = [];
  for (let at = 0; at < raw.length; at += 2) list.push([(raw[at] ?? '').toLowerCase(), raw[at + 1] ?? '']);
  return list;
}

/**
 * A request for which Node asks whether it is to give up the connection to an upgrade. It is for WebSocket only: clients also offer
 * others (`h2c`), and with a body, and must then be served as if they had not (RFC 9110 section 7.8). And it gives up the connection of a
 * request that may have a body without a length (`open-body.ts`), in which it would look for the next request.
 */
class Incoming extends IncomingMessage {
  declare private announced: boolean | null | undefined;

  get upgrade(): boolean | null | undefined {
    if (isOpenEnded(this)) return true;
    if (this.announced !== true || this.method === 'CONNECT') return this.announced;
    if (this.method !== 'GET' || this.httpVersion !== '1.1') return false;
    const facts = readFacts(pairs(this.rawHeaders), '1.1');
    return typeof facts === 'object' && facts.asksUpgrade && !facts.hasBody;
  }

  set upgrade(announced: boolean | null | undefined) {
    this.announced = announced;
  }
}
