/** The composition root: a configuration becomes a running gateway, and another one the same gateway's next. */
import { formatPath } from '../config/reading/problems.ts';
import { listeningUrl } from '../engine/door/listening.ts';
import type { Listening } from '../engine/engine.ts';
import { CacheBudget } from '../files/cache.ts';
import { ReadBuffers } from '../files/file-body.ts';
import { statusPages } from '../handlers/status/pages.ts';
import type { Handler } from '../http/handler.ts';
import type { StatusPages } from '../http/route-kind.ts';
import { Compressor } from '../http/sending/compress/compressor.ts';
import type { Assets } from '../ops/assets.ts';
import type { Log } from '../ops/log.ts';
import { MemoryKeeper } from '../ops/memory/keeper.ts';
import { memoryLimit } from '../ops/memory/limit.ts';
import type { Operator } from '../ops/status.ts';
import { missingProc } from '../ops/system/proc.ts';
import { openReadiness, type Readiness } from '../ops/system/readiness.ts';
import { shield } from '../ops/system/shield.ts';
import { Tallies } from '../ops/tallies.ts';
import { SharedObjects } from '../ownership/shared-objects.ts';
import { Policies } from '../policy/policies.ts';
import { Programs, programEvents } from '../process/programs.ts';
import type { Exit } from '../process/spawn.ts';
import { chooseSpawner } from '../process/spawner.ts';
import { Certificates } from '../tls/serving/certificates.ts';
import { type Config, type ConfiguredRoute, everyRoute } from './config.ts';
import type { ReloadChanges, ReloadOutcome, Remaining } from './control/protocol.ts';
import { changedTables, needRestart } from './differences.ts';
import { listenerOpener } from './listener-opener.ts';
import { Listeners, type OpenListener, type PreparedListeners } from './listeners.ts';
import { Maintenance } from './operating/maintenance.ts';
import { GatewayOperator } from './operating/operator.ts';
import { serviceLine } from './operating/service-line.ts';
import { Patience } from './patience.ts';
import { Pipelines } from './pipelines.ts';
import { Reloader, type RereadResult } from './reloader.ts';
import {
  buildRoutes,
  compareRoutes,
  type ExtraRoute,
  NO_ROUTES,
  type RouteChanges,
  type RouteTable,
} from './routes.ts';

export interface GatewayParts {
  readonly assets: Assets;
  readonly log: Log;
  readonly version: string;
  /** Routes that are not in the configuration, for `runnel websocketd`: what is served beside its stream. */
  readonly extra?: readonly ExtraRoute[];
  /** Wraps a route's handler, for `runnel run`: a page in front of its stream. */
  readonly wrap?: (key: string, handler: Handler) => Handler;
  /** A program of a stream has ended, and its clients have been told, for `runnel run --once`. */
  readonly programOver?: ((exit: Exit) => void) | undefined;
  /** Reads the configuration anew, for a reload. Without it there is no file. */
  readonly reread?: () => RereadResult;
  /** That file, as it is shown to the operator. */
  readonly file?: string | undefined;
}

export interface Gateway {
  /**
   * Reads certificates and configuration anew. What did not change goes on as it is; with an error everything does. Never rejects:
   * the log says what came of it, too. Called while it is at work it begins once more afterwards, once for any number of calls.
   */
  reload(): Promise<ReloadOutcome>;
  /** Where clients can connect now; without the operator's own listener. */
  listening(): readonly Listening[];
  /** What it does, for whoever operates it. */
  readonly operator: Operator;
  /**
   * Lets requests under way finish, then ends what is left. Resolves when no connection and no process is. Called again it stops waiting.
   * @param within How long they may take, milliseconds; left out: `stop_timeout`. Called again with it, it waits so long from then.
   */
  stop(reason: string, within?: number): Promise<void>;
  /** What there is of it, and while it stops how long it goes on waiting for that, milliseconds. */
  remaining(): Remaining & { readonly left: number | undefined };
}

/** Listens, and serves until it is stopped. Rejects with a `ListenError` or a `RouteError`; then nothing is left open. */
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

/** Milliseconds that programs have to end, KILL included, when the gateway stops. */
const STOP_PROGRAMS = 5000;
/** Bytes of small files that are kept in memory. */
const FILE_CACHE = { usual: 8 << 20, small: 1 << 20 };
/** Milliseconds that they are served without a look at the disk. */
const FILE_FRESH = 1000;
/** Bytes of a message that every listener takes, so that a stream can be added without a restart: the default of max_message. */
const USUAL_MESSAGE = 64 * 1024;

/** What follows from a configuration. */
interface BuiltConfig {
  readonly config: Config;
  readonly policies: Policies;
  readonly routes: RouteTable;
}

/** A configuration that is about to be in force. */
interface PreparedConfig {
  readonly changes: RouteChanges;
  readonly listeners: PreparedListeners;
  commit(): void;
}

class RunningGateway implements Gateway {
  private readonly tallies = new Tallies();
  private readonly programs: Programs;
  private readonly certificates: Certificates;
  private readonly files: CacheBudget;
  private readonly compressor: Compressor;
  private readonly buffers = new ReadBuffers();
  private readonly shared = new SharedObjects();
  /** For the C library. */
  private readonly addon: unknown;
  private readonly listeners: Listeners;
  private readonly pipelines: Pipelines;
  private readonly readiness: Readiness;
  private readonly memory: MemoryKeeper;
  readonly operator: GatewayOperator;
  private readonly statusPages: StatusPages;
  /** What is in force. */
  private built: BuiltConfig;
  /** The largest message of what is in force or about to be. */
  private largest = 0;
  /** Why something serves that is slower than what was wanted. */
  private readonly slower = new Set<string>();
  private readonly reloader: Reloader;
  private stopping: Promise<void> | undefined;
  private readonly patience = new Patience();

  constructor(
    /** Some of its keys hold as long as the process. */
    private readonly first: Config,
    private readonly parts: GatewayParts,
  ) {
    const { log, assets, version, reread, file } = parts;
    const { tallies } = this;
    const policies = new Policies(first, tallies, log, () => this.ports());
    this.built = { config: first, policies, routes: NO_ROUTES };

    // What this machine offers.
    const wanted = first.processes.spawner;
    const { spawner, reason, addon } = chooseSpawner(assets, wanted, (lost) => log.warn(lost));
    this.addon = addon;
    if (reason !== undefined && wanted !== 'auto') log.warn(reason);
    else if (reason !== undefined) this.slower.add(reason);
    log.openSyslog(addon);
    this.readiness = openReadiness(process.env, addon, log);
    const memory = memoryLimit();
    this.memory = new MemoryKeeper(memory, addon, assets.single, log);
    // Not with a Node of the owner's: there a debugger may be wanted.
    if (assets.single && addon !== undefined) shield(addon);

    // What all configurations share.
    this.programs = new Programs(spawner, first.processes.max, programEvents(tallies, log));
    this.files = new CacheBudget({ maxBytes: FILE_CACHE[this.memory.small ? 'small' : 'usual'], freshFor: FILE_FRESH });
    this.compressor = new Compressor({ files: this.files, tallies, small: this.memory.small });
    this.certificates = new Certificates(log, tallies);
    const { readiness, certificates } = this;

    this.listeners = new Listeners(
      listenerOpener({
        ...{ assets, koffi: addon, log, tallies, certificates, guard: policies.guard, connections: first.connections },
        isProxy: (address) => this.built.policies.proxies.has(address),
        countRefused: (address, request) => this.built.policies.rates.countRefused(address, request, performance.now()),
        maxMessage: () => this.largest,
        slower: (why) => this.slower.add(why),
      }),
    );
    const maintenance = new Maintenance();
    this.operator = new GatewayOperator({
      ...{ log, version, tallies, certificates, maintenance, memoryLimit: memory, file },
      programs: this.programs,
      built: () => this.built,
      listeners: () => this.listeners.open,
      reload: async () => void (await this.reload()),
      lastReload: () => this.reloader.result,
      stopping: () => this.stopping !== undefined,
    });
    this.statusPages = statusPages({
      ...{ operator: this.operator, assets, log, tallies },
      find: (host, path, handshake) => this.built.routes.router.find(host, path, handshake),
    });
    this.pipelines = new Pipelines({
      ...{ log, version, tallies, certificates, maintenance, status: this.statusPages },
      securePort: () => this.listeners.open.find(({ listening }) => listening.secure)?.listening.port,
      routes: () => this.built.routes.router,
    });
    this.reloader = new Reloader({
      ...{ log, tallies, readiness, certificates, reread },
      change: (config) => this.change(config),
      status: () => this.status(),
    });
  }

  async start(): Promise<void> {
    const { changes, commit } = await this.prepare(this.first, this.built.policies);
    commit();
    this.handOver(changes);
    const missing = missingProc();
    if (missing !== undefined) this.parts.log.warn(missing);
    // In one line, since mostly it is one reason.
    if (this.slower.size > 0) this.parts.log.info([...this.slower].join('; '));
    this.announce([]);
    this.parts.log.info('ready');
    this.reloader.loaded();
    this.readiness.ready(this.status());
    this.readiness.follow(() => this.status());
    this.memory.start();
  }

  reload(): Promise<ReloadOutcome> {
    return this.reloader.request();
  }

  stop(reason: string, within?: number): Promise<void> {
    const again = this.stopping !== undefined;
    this.patience.setTo(within ?? (again ? 0 : this.built.config.stop_timeout));
    this.stopping ??= this.retireAndClose(reason);
    return this.stopping;
  }

  remaining(): Remaining & { readonly left: number | undefined } {
    const loads = this.listeners.all.map(({ load }) => load());
    return {
      connections: loads.reduce((sum, { connections }) => sum + connections, 0),
      requests: loads.reduce((sum, { requests }) => sum + requests, 0),
      programs: this.programs.size,
      left: this.patience.left,
    };
  }

  // ---- building ----

  /** Builds what `config` describes and opens its listeners. Rejects when that cannot be; then everything is as it was. */
  private async prepare(config: Config, policies: Policies): Promise<PreparedConfig> {
    const { assets, log, version, wrap, extra, programOver } = this.parts;
    const { tallies, programs, files, compressor, buffers, addon, shared } = this;
    const before = this.built.routes;
    const routes = buildRoutes(
      config,
      policies,
      {
        ...{ assets, log, version, tallies, programs, files, buffers, addon, shared, wrap, extra, programOver },
        compressor,
        find: (host, path, handshake) => this.built.routes.router.find(host, path, handshake),
        status: this.statusPages,
      },
      before,
    );
    const changes = compareRoutes(before, routes);
    this.largest = Math.max(USUAL_MESSAGE, ...everyRoute(config).map(maxMessage));
    try {
      await Promise.all(changes.begun.map((handler) => handler.prepare?.()));
      const listeners = await this.listeners.prepare(this.pipelines.of(config, policies, routes.router));
      const commit = (): void => {
        listeners.commit(config.stop_timeout);
        this.built = { config, policies, routes };
        this.pipelines.commit();
        this.watch(config);
      };
      return { changes, listeners, commit };
    } catch (error) {
      // Somebody may have come through a listener that was open for a moment.
      for (const handler of changes.begun) handler.retire('the new configuration could not start');
      throw error;
    }
  }

  /** Keeps the last hour for who may look at it. */
  private watch(config: Config): void {
    const looked = config.admin !== undefined || config.status.size > 0;
    if (looked) this.operator.samples.start();
    else this.operator.samples.stop();
    this.operator.listenersChanged();
  }

  /** The handlers of the configuration before leave, those that are new begin. */
  private handOver({ begun, over }: RouteChanges): void {
    for (const handler of over) handler.retire('the configuration has changed');
    for (const handler of begun) handler.begin?.();
  }

  private announce(before: readonly OpenListener[]): void {
    for (const listener of this.listeners.open) {
      if (before.includes(listener)) continue;
      const { port, engine } = listener.listening;
      const what = listener.admin ? 'status page and metrics on' : 'listening on';
      this.parts.log.info(`${what} ${listeningUrl(listener.listening)}${elsewhere(listener)}`, { port, engine });
    }
  }

  listening(): readonly Listening[] {
    return this.listeners.open.flatMap(({ admin, listening }) => (admin ? [] : [listening]));
  }

  private status(): string {
    const addresses = this.listeners.open.flatMap(({ admin, listening }) => (admin ? [] : [listening.name]));
    const streams = everyRoute(this.built.config).filter(({ kind }) => kind.name === 'stream').length;
    return serviceLine(addresses, streams, this.tallies, this.reloader.result?.why);
  }

  /** The ports that clients connect to; not the operator's own. */
  private ports(): readonly number[] {
    return this.listeners.open.flatMap(({ admin, listening }) =>
      admin || listening.port === undefined ? [] : [listening.port],
    );
  }

  // ---- reloading ----

  /** Puts another configuration in force. Rejects when that cannot be; then everything is as it was. */
  private async change(config: Config): Promise<ReloadChanges> {
    const { log } = this.parts;
    const { config: before, policies: old } = this.built;
    const policies = new Policies(config, this.tallies, log, () => this.ports(), old);
    const { changes, listeners, commit } = await this.prepare(config, policies);
    const { open } = this.listeners;
    commit();
    const tables = changedTables(before, config);
    if (tables.includes('connections')) policies.takeOver();
    this.programs.allow(config.processes.max);
    log.setLevel(config.log.level);
    this.handOver(changes);
    this.announce(open);
    const named = (some: readonly OpenListener[]) => some.map(({ listening }) => `listen "${listening.name}"`);
    const made: ReloadChanges = {
      added: [...changes.added, ...named(listeners.added)],
      changed: [...changes.changed, ...named(listeners.changed), ...tables],
      removed: [...changes.removed, ...named(listeners.removed)],
      kept: changes.kept.length + listeners.kept.length,
      restart: [...needRestart(this.first, config), ...tooLarge(config, listeners.kept)],
    };
    const { added, changed, removed, kept, restart } = made;
    const list = (names: readonly string[]) => (names.length === 0 ? undefined : names.join(', '));
    log.info('the configuration is reloaded', {
      ...{ added: list(added), changed: list(changed), removed: list(removed), kept },
    });
    if (restart.length > 0) log.warn(`a restart is needed for ${restart.join(', ')}`);
    return made;
  }

  // ---- stopping ----

  private async retireAndClose(reason: string): Promise<void> {
    await this.reloader.close();
    this.certificates.close();
    this.memory.stop();
    this.readiness.stopping(reason);
    this.listeners.stop();
    this.operator.samples.stop();
    this.pipelines.retire(reason);
    const handlers = compareRoutes(this.built.routes, NO_ROUTES).over;
    for (const handler of handlers) handler.retire(reason);
    await this.finished();
    await Promise.all(handlers.map((handler) => handler.close()));
    this.listeners.close();
    await this.programs.closeAll(STOP_PROGRAMS);
    this.readiness.close();
  }

  /** Waits for the last connection, for as long as there is patience. */
  private async finished(): Promise<void> {
    await Promise.race([Promise.all(this.listeners.all.map(({ finished }) => finished)), this.patience.over]);
    this.patience.end();
  }
}

/** For people, who might think that "localhost" is all. */
function elsewhere({ listen: { address } }: OpenListener): string {
  if (address.kind !== 'tcp' || (address.host !== '::' && address.host !== '0.0.0.0')) return '';
  return `, and every ${address.host === '::' ? '' : 'IPv4 '}address of this machine`;
}

/** Streams with larger messages than the engine of a listener was told of when that was opened. */
function tooLarge(config: Config, kept: readonly OpenListener[]): readonly string[] {
  const bounds = kept.flatMap(({ admin, listening, maxMessage }) =>
    admin || listening.engine === 'node' ? [] : [maxMessage],
  );
  const least = Math.min(...bounds);
  return everyRoute(config).flatMap((route) =>
    maxMessage(route) > least ? [`${formatPath([route.kind.name, route.key])}.max_message`] : [],
  );
}

/** The largest message that a route takes over WebSocket, bytes. */
function maxMessage({ kind, route }: ConfiguredRoute): number {
  return kind.maxMessage?.(route) ?? 0;
}
