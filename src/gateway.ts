/** The composition root: a configuration becomes a running gateway. */
import { randomBytes } from 'node:crypto';
import type { Redirect } from './config/redirect.ts';
import type { Config, ListenerConfig, ProcessConfig, RoutePolicies, StreamConfig } from './config/schema.ts';
import { tlsSettings } from './config/tls.ts';
import { chooseEngine } from './engine/choose.ts';
import type { EngineHost, HeaderList, Listening, ListenOptions } from './engine/engine.ts';
import { listeningUrl } from './engine/listening-url.ts';
import { FileCache } from './files/cache.ts';
import type { Resource } from './files/resources.ts';
import { healthHandler, metricsHandler, readyHandler } from './handlers/admin.ts';
import { BROWSER_FILES, BrowserFiles } from './handlers/browser-files.ts';
import { cgiHandler } from './handlers/cgi.ts';
import { fastcgiHandler } from './handlers/fastcgi.ts';
import { hstsFields, httpsRouter } from './handlers/https.ts';
import { type Launch, planLaunch } from './handlers/launch.ts';
import { staticHandler } from './handlers/static.ts';
import { streamHandler } from './handlers/stream.ts';
import type { FindRoute } from './handlers/stream-polled.ts';
import { streamProgram } from './handlers/stream-program.ts';
import { CutReply } from './http/errors.ts';
import type { Handler } from './http/handler.ts';
import { Pipeline } from './http/pipeline.ts';
import type { Route } from './http/route.ts';
import { type Entry, Router } from './http/router.ts';
import type { Assets } from './ops/assets.ts';
import type { Log } from './ops/log.ts';
import { avoidCompiler, giveBack } from './ops/memory.ts';
import { memoryLimit } from './ops/memory-limit.ts';
import type { Metrics } from './ops/metrics.ts';
import { openReadiness, type Readiness } from './ops/readiness.ts';
import { shield } from './ops/shield.ts';
import { Tallies } from './ops/tallies.ts';
import { UNGUARDED } from './policy/connection-guard.ts';
import { Policies } from './policy/policies.ts';
import { readSystem } from './process/confine.ts';
import { programEvents } from './process/program-events.ts';
import { Programs } from './process/programs.ts';
import { chooseSpawner } from './process/spawner.ts';
import { Certificates } from './tls/certificates.ts';

export interface GatewayParts {
  readonly assets: Assets;
  readonly log: Log;
  readonly version: string;
  /** Wraps a route's handler, for `runnel run`: a page in front of its stream. */
  readonly wrap?: (key: string, handler: Handler) => Handler;
}

export interface Gateway {
  readonly listeners: readonly Listening[];
  /** Where /metrics is, when it is anywhere. */
  readonly admin: Listening | undefined;
  readonly tallies: Tallies;
  /** Of every TLS listener. */
  readonly certificates: Certificates;
  /** Drains, then ends what is left. Resolves when no connection and no process is. Called again it stops draining. */
  stop(reason: string): Promise<void>;
}

/** Listens, and serves until it is stopped. Rejects with a `ListenError`; then nothing is left open. */
export async function startGateway(config: Config, parts: GatewayParts): Promise<Gateway> {
  const gateway = new RunningGateway(config, parts);
  try {
    await gateway.start();
  } catch (error) {
    await gateway.stop('it could not start');
    throw error;
  }
  return gateway;
}

/** Milliseconds after the start, when what only the start needed is given back. */
const TRIM_AFTER = 250;
/** Milliseconds that programs have to end, KILL included, when the gateway stops. */
const STOP_PROGRAMS = 5000;
/** Bytes of small files that are kept in memory. */
const FILE_CACHE = 8 << 20;
/** Milliseconds that they are served without a look at the disk. */
const FILE_FRESH = 1000;

class RunningGateway implements Gateway {
  readonly listeners: Listening[] = [];
  readonly tallies = new Tallies();
  admin: Listening | undefined;
  private readonly handlers: Handler[] = [];
  private readonly programs: Programs;
  readonly certificates: Certificates;
  private readonly files = new FileCache<Resource>({ maxBytes: FILE_CACHE, freshFor: FILE_FRESH });
  private readonly policies: Policies;
  private readonly system = readSystem();
  private router: Router<Route> | undefined;
  /** Why something serves that is slower than what was wanted. */
  private readonly slower = new Set<string>();
  private readonly readiness: Readiness;
  private readonly addon: unknown;
  private trimming: NodeJS.Timeout | undefined;
  private metrics: Metrics | undefined;
  private stopping: Promise<void> | undefined;
  private hurry: (() => void) | undefined;

  constructor(
    private readonly config: Config,
    private readonly parts: GatewayParts,
  ) {
    this.policies = new Policies(config, this.tallies, parts.log, () => this.ports());
    const limit = memoryLimit();
    if (avoidCompiler(limit)) parts.log.info('memory is small: no optimising compiler', { bytes: limit });
    const wanted = config.processes.spawner;
    const { spawner, reason, addon } = chooseSpawner(parts.assets, wanted);
    if (reason !== undefined && wanted === 'posix') parts.log.warn(reason);
    else if (reason !== undefined) this.slower.add(reason);
    this.readiness = openReadiness(process.env, addon, parts.log);
    this.addon = addon;
    // Not with a Node of the owner's: there a debugger may be wanted.
    if (parts.assets.single && addon !== undefined) shield(addon);
    this.certificates = new Certificates(parts.log, this.tallies);
    this.programs = new Programs(spawner, config.processes.max, programEvents(this.tallies, parts.log));
  }

  async start(): Promise<void> {
    const { config } = this;
    this.router = new Router(this.routes());
    const policies = this.policies.ofAdmin();
    for (const listen of config.listen) {
      const router =
        listen.redirect === undefined ? this.router : httpsRouter(this.httpsPort(listen.redirect), policies);
      const serve = this.pipeline(router, config.log.requests, hstsFields(listen.tls?.hsts));
      this.listeners.push(await this.listen(listen, serve));
    }
    if (config.admin !== undefined) {
      const admin = this.pipeline(new Router(await this.adminRoutes()), false, []);
      this.admin = await this.listen({ address: config.admin.listen, engine: 'node' }, admin, false);
    }
    // In one line, since mostly it is one reason.
    if (this.slower.size > 0) this.parts.log.info([...this.slower].join('; '));
    for (const listening of this.listeners) this.announce('listening on', listening, '');
    if (this.admin !== undefined) this.announce('metrics on', this.admin, 'metrics');
    this.parts.log.info('ready');
    this.readiness.ready(this.listeners.map(({ name }) => name).join(', '));
    // Only our own executable: the pages of a Node that others run too are no loss.
    if (this.parts.assets.single && this.addon !== undefined)
      this.trimming = setTimeout(() => giveBack(this.addon, this.parts.log), TRIM_AFTER).unref();
  }

  private announce(what: string, listening: Listening, path: string): void {
    const { port, engine } = listening;
    this.parts.log.info(`${what} ${listeningUrl(listening)}${path}`, { port, engine });
  }

  stop(reason: string): Promise<void> {
    if (this.stopping === undefined) this.stopping = this.drainAndClose(reason);
    else this.hurry?.();
    return this.stopping;
  }

  // ---- building ----

  /** The table of handler kinds. */
  private routes(): Entry<Route>[] {
    const { config } = this;
    const entries: Entry<Route>[] = [];
    const add = (
      key: string,
      handler: Handler,
      own: RoutePolicies & { headers: ReadonlyMap<string, string> },
    ): void => {
      const wrapped = this.parts.wrap?.(key, handler) ?? handler;
      this.handlers.push(wrapped);
      const headers: HeaderList = [...own.headers].map(([name, value]) => [name.toLowerCase(), value]);
      entries.push({ key, value: { key, handler: wrapped, headers, ...this.policies.of(own) } });
    };
    const { log, version } = this.parts;
    const documentRoot = config.static.get('/')?.root;
    for (const [key, route] of config.static)
      add(key, staticHandler(route, { route: key, cache: this.files, log }), route);
    for (const [key, route] of config.cgi)
      add(
        key,
        cgiHandler(route, {
          route: key,
          log,
          tallies: this.tallies,
          version,
          programs: this.programs,
          launch: this.launch(key, route),
          inherited: process.env,
          documentRoot,
        }),
        route,
      );
    for (const [key, route] of config.fastcgi)
      add(key, fastcgiHandler(route, { route: key, log, tallies: this.tallies, version, documentRoot }), route);
    for (const [key, route] of config.stream) add(key, this.stream(key, route), route);
    // Without a stream nobody needs them.
    if (config.stream.size > 0) {
      const [key, policies] = [BROWSER_FILES, this.policies.of(config.defaults)];
      const handler = new BrowserFiles({ assets: this.parts.assets, log, tallies: this.tallies });
      this.handlers.push(handler);
      entries.push({ key, value: { key, handler, headers: [], ...policies } });
    }
    return entries;
  }

  private launch(key: string, route: ProcessConfig): Launch {
    const launch = planLaunch(route, { system: this.system, terminals: () => this.programs.terminals });
    if (launch.shortcoming !== undefined) this.parts.log.warn(launch.shortcoming, { route: key });
    return launch;
  }

  private stream(key: string, route: StreamConfig): Handler {
    const { log, version } = this.parts;
    const start = streamProgram(key, route, {
      log,
      programs: this.programs,
      version,
      launch: this.launch(key, route),
    });
    const find: FindRoute = (host, path) => this.router?.find(host, path);
    return streamHandler(key, route, { log, tallies: this.tallies, programs: this.programs, version, find, start });
  }

  private async adminRoutes(): Promise<Entry<Route>[]> {
    // Loaded here, because without an admin listener nobody reads metrics.
    const { createMetrics } = await import('./ops/metrics.ts');
    this.metrics = createMetrics(this.tallies, this.parts.log, this.parts.version);
    const policies = this.policies.ofAdmin();
    const ready = readyHandler(() => this.certificates.states(Date.now()));
    const route = (key: string, handler: Handler): Entry<Route> => ({
      key,
      value: { key, handler, headers: [], ...policies },
    });
    return [
      route('/metrics', metricsHandler(this.metrics)),
      route('/healthz', healthHandler()),
      route('/readyz', ready),
    ];
  }

  /** The one that is configured, or else the first TLS listener's, which is bound by the time that somebody asks. */
  private httpsPort(redirect: Redirect): () => number {
    const secure = this.config.listen.findIndex(({ tls }) => tls !== undefined);
    return () => redirect.port ?? this.listeners[secure]?.port ?? 443;
  }

  private pipeline(router: Router<Route>, logRequests: boolean, headers: HeaderList): Pipeline {
    const run = randomBytes(3).toString('hex');
    let count = 0;
    const nextId = (): string => `${run}-${(++count).toString(36)}`;
    const { policies, tallies } = this;
    return new Pipeline({ router, policies, log: this.parts.log, tallies, headers, logRequests, nextId });
  }

  /** The ports that clients connect to; not the operator's own. */
  private ports(): readonly number[] {
    return this.listeners.flatMap(({ port }) => (port === undefined ? [] : [port]));
  }

  private async listen(listen: ListenerConfig, pipeline: Pipeline, guarded = true): Promise<Listening> {
    const { log, assets } = this.parts;
    const { header_bytes, header_time, keep_alive } = this.config.connections;
    const name = listen.address.text;
    const tls = listen.tls === undefined ? undefined : await this.certificates.open(name, tlsSettings(listen.tls));
    const wanted =
      tls !== undefined || listen.proxy_protocol || listen.address.kind === 'systemd' ? 'node' : listen.engine;
    const { engine, fallback } = await chooseEngine(wanted, assets, header_bytes);
    if (fallback !== undefined) this.slower.add(fallback);
    const host: EngineHost = {
      ...(guarded ? this.policies.guard.of(name, listen.proxy_protocol) : UNGUARDED),
      exchange: pipeline.serve,
      refused: (why, client) => {
        this.tallies.refused.add(1, name);
        log.info(`refused: ${why}`, { listener: name, client });
      },
      failed: (error) => {
        if (error instanceof CutReply) return;
        log.error('internal error', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      },
    };
    const options: ListenOptions = {
      name,
      address: listen.address,
      maxHeaderBytes: header_bytes,
      headerTimeout: header_time,
      keepAliveTimeout: keep_alive,
      maxMessage: Math.max(0, ...[...this.config.stream.values()].map((route) => route.max_message)),
      tls,
      isProxy: listen.proxy_protocol ? this.policies.isProxy : undefined,
    };
    return await engine.listen(options, host);
  }

  // ---- stopping ----

  private async drainAndClose(reason: string): Promise<void> {
    this.certificates.close();
    const everything = [...this.listeners, ...(this.admin === undefined ? [] : [this.admin])];
    clearTimeout(this.trimming);
    this.readiness.stopping(reason);
    for (const listening of everything) listening.stop();
    for (const handler of this.handlers) handler.drain(reason);
    await this.drained(everything);
    await Promise.all(this.handlers.map((handler) => handler.close()));
    for (const listening of everything) listening.close();
    await this.programs.closeAll(STOP_PROGRAMS);
    this.metrics?.close();
    this.readiness.close();
  }

  /** Waits for the last connection, for `stop_timeout`, or for a second signal. */
  private async drained(everything: readonly Listening[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      this.hurry = resolve;
      timer = setTimeout(resolve, this.config.stop_timeout);
    });
    await Promise.race([Promise.all(everything.map(({ drained }) => drained)), enough]);
    clearTimeout(timer);
  }
}
