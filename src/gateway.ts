/** The composition root: a configuration becomes a running gateway. */
import { randomBytes } from 'node:crypto';
import type { Config, Limits, ListenConfig, ProcessConfig, StreamConfig } from './config/schema.ts';
import { chooseEngine } from './engine/choose.ts';
import type { EngineHost, HeaderList, Listening, ListenOptions } from './engine/engine.ts';
import { FileCache } from './files/cache.ts';
import type { Resource } from './files/resources.ts';
import { healthHandler, metricsHandler } from './handlers/admin.ts';
import { BROWSER_FILES, BrowserFiles } from './handlers/browser-files.ts';
import { cgiHandler } from './handlers/cgi.ts';
import { type Launch, planLaunch } from './handlers/launch.ts';
import { staticHandler } from './handlers/static.ts';
import { streamHandler } from './handlers/stream.ts';
import { streamProgram } from './handlers/stream-program.ts';
import type { Handler } from './http/handler.ts';
import { Pipeline } from './http/pipeline.ts';
import type { Route } from './http/route.ts';
import { type Entry, Router } from './http/router.ts';
import type { Assets } from './ops/assets.ts';
import type { Log } from './ops/log.ts';
import type { Metrics } from './ops/metrics.ts';
import { Tallies } from './ops/tallies.ts';
import { readSystem } from './process/confine.ts';
import { type ProgramEvents, Programs } from './process/programs.ts';
import { chooseSpawner } from './process/spawner.ts';

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

/** Largest request head, bytes: what both engines are told. */
const MAX_HEADER_BYTES = 16_384;
const HEADER_TIMEOUT = 10_000;
const KEEP_ALIVE_TIMEOUT = 10_000;
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
  private readonly files = new FileCache<Resource>({ maxBytes: FILE_CACHE, freshFor: FILE_FRESH });
  private readonly system = readSystem();
  private metrics: Metrics | undefined;
  private stopping: Promise<void> | undefined;
  private hurry: (() => void) | undefined;

  constructor(
    private readonly config: Config,
    private readonly parts: GatewayParts,
  ) {
    const wanted = config.processes.spawner;
    const { spawner, reason } = chooseSpawner(parts.assets, wanted);
    if (reason !== undefined) parts.log[wanted === 'posix' ? 'warn' : 'info'](reason);
    this.programs = new Programs(spawner, config.processes.max, programEvents(this.tallies, parts.log));
  }

  async start(): Promise<void> {
    const { config } = this;
    const router = new Router(this.routes());
    const serve = this.pipeline(router, config.log.requests);
    for (const listen of config.listen) this.listeners.push(await this.listen(listen, serve));
    if (config.admin !== undefined) {
      const admin = this.pipeline(new Router(await this.adminRoutes()), false);
      this.admin = await this.listen({ address: config.admin.listen, engine: 'node' }, admin);
    }
    for (const listening of this.listeners) this.announce('listening on', listening, '');
    if (this.admin !== undefined) this.announce('metrics on', this.admin, 'metrics');
    this.parts.log.info('ready');
  }

  private announce(what: string, listening: Listening, path: string): void {
    this.parts.log.info(`${what} ${url(listening)}${path}`, { port: listening.port, engine: listening.engine });
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
      own: { headers: ReadonlyMap<string, string>; limits: Limits },
    ): void => {
      const wrapped = this.parts.wrap?.(key, handler) ?? handler;
      this.handlers.push(wrapped);
      const headers: HeaderList = [...own.headers].map(([name, value]) => [name.toLowerCase(), value]);
      entries.push({ key, value: { key, handler: wrapped, headers, limits: own.limits } });
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
          version,
          programs: this.programs,
          launch: this.launch(key, route),
          inherited: process.env,
          documentRoot,
        }),
        route,
      );
    for (const [key, route] of config.stream) add(key, this.stream(key, route), route);
    // Without a stream nobody needs them.
    if (config.stream.size > 0) entries.push(this.browserFiles());
    return entries;
  }

  private browserFiles(): Entry<Route> {
    const { assets, log } = this.parts;
    const handler = new BrowserFiles({ assets, log, tallies: this.tallies });
    this.handlers.push(handler);
    const key = BROWSER_FILES;
    return { key, value: { key, handler, headers: [], limits: this.config.defaults.limits } };
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
    return streamHandler(key, route, { log, tallies: this.tallies, programs: this.programs, start });
  }

  private async adminRoutes(): Promise<Entry<Route>[]> {
    // Loaded here, because without an admin listener nobody reads metrics.
    const { createMetrics } = await import('./ops/metrics.ts');
    this.metrics = createMetrics(this.tallies, this.parts.log, this.parts.version);
    const { limits } = this.config.defaults;
    const route = (key: string, handler: Handler): Entry<Route> => ({
      key,
      value: { key, handler, headers: [], limits },
    });
    return [route('/metrics', metricsHandler(this.metrics)), route('/healthz', healthHandler())];
  }

  private pipeline(router: Router<Route>, logRequests: boolean): Pipeline {
    const run = randomBytes(3).toString('hex');
    let count = 0;
    const nextId = (): string => `${run}-${(++count).toString(36)}`;
    return new Pipeline({ router, log: this.parts.log, tallies: this.tallies, logRequests, nextId });
  }

  private async listen(listen: ListenConfig, pipeline: Pipeline): Promise<Listening> {
    const { log, assets } = this.parts;
    const { engine, fallback } = await chooseEngine(listen.engine, assets, MAX_HEADER_BYTES);
    if (fallback !== undefined) log.info(fallback);
    const name = listen.address.text;
    const host: EngineHost = {
      exchange: pipeline.serve,
      refused: (why, client) => {
        this.tallies.refused.add(1, name);
        log.info(`refused: ${why}`, { listener: name, client });
      },
      failed: (error) =>
        log.error('internal error', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    };
    const maxMessage = Math.max(0, ...[...this.config.stream.values()].map((route) => route.max_message));
    const options: ListenOptions = {
      name,
      address: listen.address,
      maxHeaderBytes: MAX_HEADER_BYTES,
      headerTimeout: HEADER_TIMEOUT,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
      maxMessage,
    };
    return await engine.listen(options, host);
  }

  // ---- stopping ----

  private async drainAndClose(reason: string): Promise<void> {
    const everything = [...this.listeners, ...(this.admin === undefined ? [] : [this.admin])];
    for (const listening of everything) listening.stop();
    for (const handler of this.handlers) handler.drain(reason);
    await this.drained(everything);
    await Promise.all(this.handlers.map((handler) => handler.close()));
    for (const listening of everything) listening.close();
    await this.programs.closeAll(STOP_PROGRAMS);
    this.metrics?.close();
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

/** What a person would type to get there. */
function url(listening: Listening): string {
  if (listening.port === undefined) return listening.name;
  const host = listening.name.slice(0, listening.name.lastIndexOf(':'));
  const typed = host === '' || host === '[::]' || host === '0.0.0.0' ? 'localhost' : host;
  return `http://${typed}:${listening.port}/`;
}

/** Feeds the counts and the log from what happens to programs. */
function programEvents(tallies: Tallies, log: Log): ProgramEvents {
  return {
    started(owner) {
      tallies.processesStarted.add(1, owner);
      tallies.processes.add(1, owner);
    },
    ended(owner, reason, exit) {
      tallies.processes.add(-1, owner);
      tallies.processesEnded.add(1, owner, reason);
      if (reason === 'abandoned') log.error('a program hangs in the kernel and cannot be killed', { route: owner });
      else log.debug('program ended', { route: owner, reason, exit: exit?.signal ?? exit?.code });
    },
    refused: (owner, code) => tallies.processesRefused.add(1, owner, code),
    watchdogLost: (reason) => log.warn(reason),
  };
}
