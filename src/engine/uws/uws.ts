/**
 * The engine on uWebSockets.js: the default of a plain listener. What it does differently from what one would expect was
 * measured; the comments say so, and `docs/engines.md` lists what remains.
 */
import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket, us_socket_context_t } from 'uWebSockets.js';
import { addressText, readAddress, UNIX_PEER } from '../../net/address.ts';
import { loadUws, type UwsModule } from '../../ops/addons/addon.ts';
import type { Assets } from '../../ops/assets.ts';
import {
  type Engine,
  type EngineEvents,
  ListenError,
  type ListenerFacts,
  type Listening,
  type ListenOptions,
  type Request,
} from '../engine.ts';
import { type HeadFacts, type Opening, readFacts, readOpening } from '../heads.ts';
import { checkPort, freeUnixPath, unixPathRemover, whyRefused } from '../listen-check.ts';
import { OpenConnections } from '../open-connections.ts';
import { headRefusal } from '../refusals.ts';
import { UwsExchange } from './exchange.ts';
import { LastingHeads } from './head.ts';
import { Liveness } from './liveness.ts';
import { SelfConnection } from './self-connection.ts';
import { LoopIterations, UnconfirmedAnswers, type UwsLast, type UwsOpening, type UwsShared } from './shared.ts';
import type { SocketData } from './socket.ts';

/** What its types leave out. */
interface Untyped {
  _cfg(setting: 'silent'): void;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}
interface UntypedApp {
  listen(host: string, port: number, options: number, done: (socket: us_listen_socket | false) => void): void;
  listen_unix(done: (socket: us_listen_socket | false) => void, path: string): void;
}

/** How much larger than the largest message the limit inside is, so that ours is met first and answered with 1009. */
const MESSAGE_MARGIN = 64 * 1024;
const MAX_PAYLOAD = 0x7fffffff;
const NOT_ASCII = /[^\x00-\x7f]/;
/** Their requests can be passed on from a first route to a second, which gives two handles of one response. Others go without. */
const TWICE = ['get', 'head', 'post', 'put', 'patch', 'del', 'options'] as const;
const BRINGS_A_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/**
 * Loads uWebSockets.js. `maxHeaderBytes` holds for the whole process: it is read once, when the add-on is loaded. Rejects with the
 * reason when it cannot be loaded here.
 */
export async function uwsEngine(assets: Assets, maxHeaderBytes: number): Promise<Engine> {
  const uws = await loadUws(assets, maxHeaderBytes);
  const untyped = uws as unknown as Untyped;
  untyped._cfg('silent');
  return {
    name: 'uws',
    listen: (options, events) => new UwsListener(uws, untyped.LIBUS_LISTEN_EXCLUSIVE_PORT, options, events).listen(),
  };
}

class UwsListener {
  private readonly app: TemplatedApp;
  private readonly shared: UwsShared;
  private readonly localAddress: string | undefined;
  private facts: ListenerFacts;
  private stopped = false;
  /** The connection to ourselves is open and not counted. */
  private selfConnected = false;
  /** The handle of the request that is just being passed on to the second route. */
  private grip: HttpResponse | undefined;

  constructor(
    private readonly uws: UwsModule,
    private readonly exclusive: number,
    private readonly options: ListenOptions,
    events: EngineEvents,
  ) {
    this.app = uws.App();
    this.localAddress = ownAddress(options.address);
    this.facts = { name: options.name, secure: false, port: undefined };
    this.shared = {
      events,
      connections: new OpenConnections(() => this.app.close()),
      liveness: new Liveness(),
      selfConnection: new SelfConnection(),
      heads: new LastingHeads(),
      unconfirmed: new UnconfirmedAnswers(),
      iterations: new LoopIterations(),
    };
    this.route();
  }

  async listen(): Promise<Listening> {
    const { name, address } = this.options;
    if (address.kind === 'systemd') throw new ListenError(name, 'EINVAL', 'this engine takes no socket from systemd');
    // It would read a preface of version 2 from everybody, and demand it from nobody.
    if (this.options.isProxy !== undefined)
      throw new ListenError(name, 'EINVAL', 'this engine does not serve the PROXY protocol');
    checkPort(name, address);
    if (address.kind === 'unix') await freeUnixPath(name, address.path);
    const socket = this.open();
    if (socket === false) throw await whyRefused(name, address);
    const removePath = address.kind === 'unix' ? unixPathRemover(address.path) : () => {};
    const port = address.kind === 'tcp' ? this.uws.us_socket_local_port(socket) : undefined;
    this.facts = { name, secure: false, port };
    await this.shared.selfConnection.open(address, port);
    const stop = () => {
      if (this.stopped) return;
      this.stopped = true;
      this.shared.selfConnection.close();
      this.uws.us_listen_socket_close(socket);
      removePath();
      this.shared.connections.stop();
    };
    const close = () => {
      stop();
      this.app.close();
    };
    return { engine: 'uws', secure: false, name, port, stop, finished: this.shared.connections.finished, close };
  }

  /** Exclusive: otherwise any number of programs could listen on the same port, each getting some of the connections. */
  private open(): us_listen_socket | false {
    const { address } = this.options;
    const app = this.app as unknown as UntypedApp;
    let opened: us_listen_socket | false = false;
    const done = (socket: us_listen_socket | false) => {
      opened = socket;
    };
    if (address.kind === 'unix') app.listen_unix(done, address.path);
    else if (address.kind === 'tcp') app.listen(address.host, address.port, this.exclusive, done);
    return opened;
  }

  private route(): void {
    const { connections } = this.shared;
    let refusing = false;
    const changed = (response: HttpResponse, change: number): void => {
      if (change < 0) {
        connections.closed();
        if (this.stopped && this.selfConnected) this.selfConnected = false;
        else if (!refusing) this.shared.events.closed(undefined);
        return;
      }
      connections.opened();
      if (this.shared.events.opened(this.peerOf(response))) return;
      // Its end is told to this filter before `close` returns.
      refusing = true;
      response.close();
      refusing = false;
    };
    this.app.filter(changed);
    this.app.ws<SocketData>('/*', {
      maxPayloadLength: Math.min(this.options.maxMessage * 2 + MESSAGE_MARGIN, MAX_PAYLOAD),
      maxBackpressure: 0,
      idleTimeout: 0,
      maxLifetime: 0,
      sendPingsAutomatically: false,
      upgrade: (response, request, context) => this.accept(response, request, context, false),
      open: (socket) => socket.getUserData().socket.opened(socket),
      message: (socket, message, binary) => socket.getUserData().socket.received(message, binary),
      drain: (socket) => socket.getUserData().socket.drained(),
      ping: (socket, message) => socket.getUserData().socket.pinged(message.byteLength),
      pong: (socket) => socket.getUserData().socket.ponged(),
      close: (socket, code, message) => {
        socket.getUserData().socket.closed(code, message);
        // The filter does not tell of a connection's end once it has become a WebSocket.
        connections.ended();
        connections.closed();
        this.shared.events.closed(socket.getUserData().socket.remoteAddress);
      },
    });
    for (const method of TWICE) {
      this.app[method]('/*', (response, request) => this.accept(response, request, undefined, true));
    }
    this.app.any('/*', (response, request) => this.accept(response, request, undefined, false));
  }

  /** Nothing may be thrown out of here, and somebody must listen for the abort: either would end the process. */
  private accept(
    response: HttpResponse,
    native: HttpRequest,
    context: us_socket_context_t | undefined,
    mayComeAgain: boolean,
  ): void {
    const { grip } = this;
    this.grip = undefined;
    if (this.shared.selfConnection.accepts(native.getUrl(), response)) {
      // Ours is no client's connection.
      this.selfConnected = true;
      this.shared.events.closed(this.peerOf(response));
      return;
    }
    let exchange: UwsExchange | undefined;
    response.onAborted(() => exchange?.abort());
    try {
      const request = this.copyHead(response, native);
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
      const refusal = headRefusal(request, opening);
      const last: UwsLast | undefined = isLast ? { grip } : undefined;
      exchange = new UwsExchange(request, response, facts, asUwsOpening(opening, context), last, this.shared);
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
    if (this.options.address.kind === 'unix') return UNIX_PEER;
    return addressText(new Uint8Array(response.getRemoteAddress()));
  }

  /** The native request is only there during the callback. */
  private copyHead(response: HttpResponse, native: HttpRequest): Request {
    // First of all: `getMethod` and the like change the bytes in place (measured).
    const method = native.getCaseSensitiveMethod();
    const headers: (readonly [string, string])[] = [];
    native.forEach((name, value) => {
      headers.push([name, bytewise(value)]);
    });
    return {
      method,
      path: targetBytes(native.getUrl()),
      query: targetBytes(native.getQuery()),
      version: '1.1',
      headers,
      remoteAddress: this.peerOf(response),
      remotePort: undefined,
      localAddress: this.localAddress,
      listener: this.facts,
    };
  }
}

/** The one address that a listener has; undefined for a listener on all of them: uWebSockets.js does not tell which one a client has reached. */
function ownAddress(address: ListenOptions['address']): string | undefined {
  if (address.kind !== 'tcp') return undefined;
  const host = readAddress(address.host);
  return host === '::' || host === '0.0.0.0' ? undefined : host;
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
  return text === undefined || text.includes('\ufffd') ? text : bytewise(text);
}

/** One character per byte: uWebSockets.js has decoded UTF-8. */
function bytewise(value: string): string {
  return NOT_ASCII.test(value) ? Buffer.from(value).toString('latin1') : value;
}
