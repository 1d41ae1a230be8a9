/** Requests that another server answers: passed on to it, and its response back, at the pace of whoever is slower. */
import { randomBytes } from 'node:crypto';
import { type BodySource, headerValue, type Reply, type Upgrade } from '../../engine/engine.ts';
import { Busy, HttpError } from '../../http/errors.ts';
import type { Answer, Call, Handler } from '../../http/handler.ts';
import { NoBody } from '../../http/reply-bodies.ts';
import { parseHost } from '../../net/host.ts';
import type { Log } from '../../ops/log.ts';
import type { Tallies, ValuesOf } from '../../ops/tallies.ts';
import { Held } from '../../ownership/held.ts';
import { shortage } from '../../programs/start-error.ts';
import { routeKeyOf } from '../../routing/route-key.ts';
import { KeepAlive } from '../../stream/clients/keepalive.ts';
import { CLOSE } from '../../stream/message.ts';
import { ConnectError } from '../../upstream/connecting.ts';
import type { UpstreamResponse } from '../../upstream/exchange.ts';
import { UpstreamBusy, UpstreamError } from '../../upstream/faults.ts';
import type { UpstreamRequest } from '../../upstream/request.ts';
import { serverIdentity } from '../../upstream/trust.ts';
import { Upstream, type UpstreamServer } from '../../upstream/upstream.ts';
import { ClientHandshake, UpstreamSockets } from '../../upstream/websocket.ts';
import { authorityOf } from './address.ts';
import { Bridge, type BridgeParts } from './bridge.ts';
import type { ProxyConfig } from './keys.ts';
import { hasPassed, type RequestFieldOptions, requestFields, requestTarget } from './request-fields.ts';
import { type Places, responseFields } from './response-fields.ts';

export interface ProxyDeps {
  /** The route's key. */
  readonly route: string;
  readonly log: Log;
  readonly tallies: Pick<Tallies, 'busy' | 'dropped' | 'upstreamRequests'>;
}

/** Serves what `config.upstream` answers. Throws an `Error` for a file of authorities that cannot be read. */
export function proxyHandler(config: ProxyConfig, deps: ProxyDeps): Handler {
  const proxy = new ProxyRoute(config, deps);
  return {
    kind: 'proxy',
    methods: undefined,
    takesBody: true,
    crossSite: 'open',
    handle: (call) => proxy.handle(call),
    retire: (reason) => proxy.retire(reason),
    close: () => proxy.close(),
  };
}

/** After how much silence the system asks whether the other end of a connection is still there. Milliseconds. */
const KEEP_ALIVE_AFTER = 30_000;
/** Methods whose requests say how long their body is even where it is empty. */
const HAS_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** A line of an event stream that nobody sees (HTML, "parsing an event stream"). */
const COMMENT = Buffer.from(':\n');
const NOTHING = Buffer.alloc(0);

class ProxyRoute {
  private readonly upstream: Upstream;
  private readonly fields: RequestFieldOptions;
  private readonly keepAlive: KeepAlive;
  private readonly bridges = new Set<Bridge>();
  /** Made with the first WebSocket. */
  private bridgeParts: BridgeParts | undefined;

  constructor(
    private readonly config: ProxyConfig,
    private readonly deps: ProxyDeps,
  ) {
    const { max_connections: maxConnections, max_waiting: max, queue_timeout: time } = config;
    this.upstream = new Upstream({
      server: serverOf(config),
      maxConnections,
      waiting: { max, time },
      kept: { max: config.max_idle, time: config.keep_alive },
    });
    const pingInterval = config.ping_interval;
    this.keepAlive = new KeepAlive({ pingInterval, idleTimeout: undefined, maxLifetime: undefined });
    const { path, prefix } = routeKeyOf(deps.route);
    this.fields = {
      via: `runnel-${randomBytes(6).toString('hex')}`,
      forwarded: config.forwarded,
      prefix: config.strip_prefix ? (prefix ? path.slice(0, -1) : path) : '',
      own: config.request_headers,
      userField: config.auth.proxy_user?.toLowerCase().replaceAll('_', '-'),
      keepsAuthorization:
        config.auth.require !== 'none' && (config.auth.basic !== undefined || config.auth.tokens !== undefined),
    };
  }

  async handle(call: Call): Promise<Answer> {
    call.note('upstream', this.config.upstream.text);
    if (hasPassed(call.request, this.fields.via)) {
      this.count('loop');
      throw new HttpError(508, `the request came back to this route: ${this.name} leads to this gateway itself`);
    }
    try {
      if (call.handshake !== undefined) return await this.shakeHands(call, call.handshake.protocols);
      const response = await this.upstream.ask(this.request(call));
      this.count('answered');
      return this.reply(call, response);
    } catch (error) {
      throw call.signal.aborted ? this.left(call) : this.refusal(error);
    }
  }

  retire(reason: string): void {
    this.upstream.close();
    for (const bridge of this.bridges) bridge.end({ code: CLOSE.goingAway, reason });
  }

  async close(): Promise<void> {
    await this.upstream.end();
  }

  private get name(): string {
    return `the upstream ${this.config.upstream.text}`;
  }

  private request(call: Call): UpstreamRequest {
    const { request, body } = call;
    const { prefix } = this.fields;
    const isTold = HAS_BODY.has(request.method) || (body?.length ?? 0) > 0;
    return {
      method: request.method,
      target: requestTarget(call.path, request.query, prefix),
      host: this.config.host === 'keep' ? headerValue(request.headers, 'host') : undefined,
      headers: requestFields(request, call.id, call.user, this.fields),
      body: isTold ? body : undefined,
      signal: call.signal,
      times: { head: this.config.timeout, total: this.config.total_timeout },
    };
  }

  private reply(call: Call, response: UpstreamResponse): Reply {
    const { status, reason, body } = response;
    const headers = responseFields(response.headers, status, () => this.places(call));
    if (call.request.method === 'HEAD') {
      const length = headerValue(response.headers, 'content-length');
      return {
        status,
        reason,
        headers,
        body: new NoBody(/^\d{1,15}$/.test(length ?? '') ? Number(length) : undefined),
      };
    }
    if (!isSource(body)) return { status, reason, headers, body };
    if (!isEventStream(response)) {
      response.limitSilence(this.config.idle_timeout);
      return { status, reason, headers, body, opening: NOTHING };
    }
    // Whether anything happens on it is for its server to say, and the page is told at once that it is open.
    call.endless();
    return { status, reason, headers, body, opening: COMMENT };
  }

  // ---- WebSocket ----

  /** The upstream decides: its 101 is one for the client, and any other answer is the client's, too. */
  private async shakeHands(call: Call, protocols: readonly string[]): Promise<Answer> {
    this.bridgeParts ??= this.makeBridgeParts();
    const parts = this.bridgeParts;
    const handshake = new ClientHandshake(protocols);
    const asked = this.request(call);
    const headers = [...asked.headers.filter(([name]) => !name.startsWith('Sec-Websocket-')), ...handshake.headers];
    const response = await this.upstream.ask({ ...asked, method: 'GET', headers, body: undefined, switches: true });
    const { switched } = response;
    if (switched === undefined) {
      this.count('answered');
      return this.reply(call, response);
    }
    const held = new Held(switched, () => switched.connection.socket.destroy(), call.signal);
    try {
      const protocol = handshake.protocolOf(response);
      const bridge = new Bridge(parts, switched);
      if (held.take() === undefined) throw call.signal.reason;
      this.count('answered');
      return this.upgrade(call, response, protocol, bridge);
    } finally {
      held.giveBack();
    }
  }

  private upgrade(call: Call, response: UpstreamResponse, protocol: string | undefined, bridge: Bridge): Upgrade {
    const fields = responseFields(response.headers, response.status, () => this.places(call));
    return {
      protocol,
      headers: fields.filter(([name]) => !name.startsWith('sec-websocket-') && name !== 'date'),
      maxMessage: this.config.max_message,
      handlers: bridge,
      cancel: () => bridge.cancel(),
    };
  }

  private makeBridgeParts(): BridgeParts {
    const { config, bridges: open, keepAlive } = this;
    const { route, tallies } = this.deps;
    return {
      sockets: new UpstreamSockets(config.max_message),
      keepAlive,
      maxQueue: config.max_queue,
      open,
      overflowed: () => tallies.dropped.add(1, route, 'slow_upstream'),
    };
  }

  // ---- what both need ----

  private places({ request }: Call): Places {
    const { scheme, host } = this.config.upstream;
    return {
      prefix: this.fields.prefix,
      outer: request.prefix ?? '',
      upstream: { scheme, host },
      client: {
        scheme: request.listener.secure ? 'https' : 'http',
        host: parseHost(headerValue(request.headers, 'host') ?? ''),
      },
    };
  }

  // ---- failures ----

  private left(call: Call): unknown {
    this.count('left');
    return call.signal.reason;
  }

  /** What the client is answered: 503 where there is no room, 504 where nothing came in time, else 502. The message is for the log. */
  private refusal(error: unknown): unknown {
    if (!(error instanceof UpstreamError)) return error;
    this.count(error.failure);
    const message = `${this.name}: ${error.message}${error.detail === undefined ? '' : ` (${error.detail})`}`;
    if (error instanceof UpstreamBusy) {
      this.deps.tallies.busy.add(1, this.deps.route, error.why);
      return new Busy(message, { counted: true });
    }
    if (error.cause instanceof ConnectError && error.cause.passing) return shortage(message);
    return new HttpError(error.failure === 'timeout' ? 504 : 502, message);
  }

  private count(outcome: ValuesOf<'upstreamRequests', 1>): void {
    this.deps.tallies.upstreamRequests.add(1, this.deps.route, outcome);
  }
}

function serverOf(config: ProxyConfig): UpstreamServer {
  const { upstream } = config;
  const common = {
    remote: upstream.remote,
    host: authorityOf(upstream),
    timeout: config.connect_timeout,
    keepAliveAfter: KEEP_ALIVE_AFTER,
  };
  if (upstream.scheme === 'http') return common;
  const name = upstream.host.kind === 'name' ? upstream.host.name : undefined;
  return { ...common, tls: { ALPNProtocols: ['http/1.1'], ...serverIdentity(config, name) } };
}

function isSource(body: Buffer | BodySource): body is BodySource {
  return 'start' in body;
}

function isEventStream({ headers }: UpstreamResponse): boolean {
  if (headerValue(headers, 'content-encoding') !== undefined) return false;
  return /^text\/event-stream\b/i.test(headerValue(headers, 'content-type') ?? '');
}
