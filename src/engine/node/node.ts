/**
 * The engine on node:http and `ws`: it speaks TLS and HTTP/1.0, pipelines, knows the client's port, and serves where the native
 * engine cannot be loaded.
 */
import { createServer, IncomingMessage, type Server, type ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { parseHost, sameHost } from '../../net/host.ts';
import { usualPort } from '../../net/origin.ts';
import type { Engine, EngineEvents, ListenerFacts, Listening, ListenOptions, Request } from '../engine.ts';
import { readFacts, readOpening, splitTarget } from '../heads.ts';
import { checkPort, freeUnixPath, listenError, nodeAddress } from '../listen-check.ts';
import { OpenConnections } from '../open-connections.ts';
import { headRefusal, REFUSED_TOO_OFTEN, refusalReply, TOO_MANY_CONNECTIONS } from '../refusals.ts';
import { type AcceptedConnection, Acceptor } from './acceptor.ts';
import { Connection, type Peer } from './connection.ts';
import { NodeExchange, type NodeShared } from './exchange.ts';
import { PendingUpgrade } from './pending-upgrade.ts';
import { routeSecure, secureServer, strangerReason } from './tls.ts';
import { Upgrader } from './upgrade.ts';

/** How often Node looks for heads that are overdue. Milliseconds. */
const LOOK_EVERY = 1000;
/** Connections that may be reading their 503 at once. */
const MAX_TURNED_AWAY = 16;

export function nodeEngine(): Engine {
  return {
    name: 'node',
    async listen(options, events) {
      const { tls } = options;
      const makeServer = tls === undefined ? createServer : await secureServer(tls, options.headerTimeout);
      return await new NodeListener(makeServer, options, events).listen();
    },
  };
}

class NodeListener {
  private readonly server: Server;
  private readonly acceptor: Acceptor;
  /** Those that speak HTTP. Over TLS they come only after the handshake, and their sockets are others than those of `acceptor`. */
  private readonly connections = new Map<Socket, Connection>();
  private readonly shared: NodeShared;
  private facts: ListenerFacts;
  private stopped = false;
  private turnedAway = 0;

  constructor(
    makeServer: (settings: ServerOptions) => Server,
    private readonly options: ListenOptions,
    private readonly events: EngineEvents,
  ) {
    this.facts = { name: options.name, secure: options.tls !== undefined, port: undefined };
    this.shared = { events, connections: new OpenConnections(() => this.acceptor.dropAll()), upgrader: new Upgrader() };
    this.acceptor = new Acceptor(events, this.shared.connections, this.serve, (socket, { admitted }) => {
      this.connections.delete(socket);
      if (!admitted) this.turnedAway--;
    });
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
    this.route();
  }

  async listen(): Promise<Listening> {
    const { name, address } = this.options;
    checkPort(name, address);
    if (address.kind === 'unix') await freeUnixPath(name, address.path);
    await new Promise<void>((resolve, reject) => {
      const refused = (error: Error) => reject(listenError(name, error));
      this.server.once('error', refused);
      this.server.listen(nodeAddress(name, address), () => {
        this.server.off('error', refused);
        resolve();
      });
    });
    this.server.on('error', (error) => this.events.failed(error));
    const bound = this.server.address();
    const port = typeof bound === 'object' ? bound?.port : undefined;
    this.facts = { name, secure: this.facts.secure, port };
    const stop = () => {
      if (this.stopped) return;
      this.stopped = true;
      // Closes the connections that wait for a next request, too.
      this.server.close();
      this.shared.connections.stop();
    };
    const close = () => {
      stop();
      this.acceptor.dropAll();
    };
    return {
      engine: 'node',
      name,
      secure: this.facts.secure,
      port,
      stop,
      finished: this.shared.connections.finished,
      close,
    };
  }

  /** One connection too many is told so, while there is room even for that. */
  private turnAway(socket: Socket, connection: Connection | undefined): void {
    this.turnedAway++;
    // Over TLS it could only be told after a handshake, which is what costs.
    if (connection === undefined || this.turnedAway > MAX_TURNED_AWAY) socket.destroy();
    else connection.refuse(TOO_MANY_CONNECTIONS);
  }

  /** From here on it is Node's HTTP that reads from it, or its TLS. */
  private readonly serve = (socket: Socket, { peer, admitted }: AcceptedConnection): void => {
    const connection = this.options.tls === undefined ? new Connection(socket, peer) : undefined;
    if (connection !== undefined) this.connections.set(socket, connection);
    if (!admitted) this.turnAway(socket, connection);
  };

  private route(): void {
    const { server } = this;
    const { tls, isProxy, headerTimeout: deadline } = this.options;
    const isUnix = (): boolean => server.listening && this.facts.port === undefined;
    this.acceptor.watch(server, isUnix, isProxy && { isProxy, deadline });
    if (tls !== undefined)
      routeSecure(server, {
        opened: (socket, raw, facts) => {
          const peer = this.acceptor.peerOf(raw);
          // Its connection has ended while the handshake did.
          if (peer === undefined) {
            socket.destroy();
            return;
          }
          this.connections.set(socket, new Connection(socket, peer, facts));
          socket.once('close', () => this.connections.delete(socket));
        },
        refused: (reason, raw) => this.events.refused(reason, this.acceptor.peerOf(raw)?.address ?? ''),
      });
    server.on('request', (incoming, response) => this.accept(incoming, response, undefined, false));
    server.on('checkContinue', (incoming, response) => this.accept(incoming, response, undefined, true));
    // An expectation that we do not know is not worth a refusal (RFC 9110 section 10.1.1 permits both).
    server.on('checkExpectation', (incoming, response) => this.accept(incoming, response, undefined, false));
    server.on('upgrade', (incoming, _socket, head) => {
      const pendingUpgrade = new PendingUpgrade(incoming.socket, head);
      this.accept(incoming, new ServerResponse(incoming), pendingUpgrade, false);
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
    pendingUpgrade: PendingUpgrade | undefined,
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
      pendingUpgrade,
      awaitsContinue,
      this.shared,
    );
    exchange.handle(headRefusal(request, opening));
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
    // Somebody who left in the middle of something, or who has not said a word yet, is not malformed.
    const before = connection?.secure === undefined ? (connection?.peer.preface ?? 0) : 0;
    const silent = code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead <= before;
    if (silent || code === 'HPE_INVALID_EOF_STATE' || !/^(HPE_|ERR_HTTP_)/.test(code)) {
      socket.destroy();
      return;
    }
    this.refuse(socket, STATUS_OF_ERROR[code] ?? 400, reasonOfError(error));
  }
}

const STATUS_OF_ERROR: { readonly [code: string]: number } = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  HPE_HEADER_OVERFLOW: 431,
};

function reasonOfError(error: NodeJS.ErrnoException): string {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'a head that took too long';
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
 * others (`h2c`), and with a body, and must then be served as if they had not (RFC 9110 section 7.8).
 */
class Incoming extends IncomingMessage {
  declare private announced: boolean | null | undefined;

  get upgrade(): boolean | null | undefined {
    if (this.announced !== true || this.method === 'CONNECT') return this.announced;
    if (this.method !== 'GET' || this.httpVersion !== '1.1') return false;
    const facts = readFacts(pairs(this.rawHeaders), '1.1');
    return typeof facts === 'object' && facts.asksUpgrade && !facts.hasBody;
  }

  set upgrade(announced: boolean | null | undefined) {
    this.announced = announced;
  }
}
