/**
 * Configuration → built routes. A reload builds them anew out of those that are there: a route whose configuration did not change
 * keeps its handler, and with it its programs, its clients and its history.
 */
import { formatPath } from '../config/reading/problems.ts';
import type { Config, ProcessConfig, RoutePolicies, StreamConfig } from '../config/schema.ts';
import type { HeaderList } from '../engine/engine.ts';
import type { FileCache } from '../files/cache.ts';
import type { ReadBuffers } from '../files/read-buffers.ts';
import type { Resource } from '../files/resources.ts';
import { cgiHandler } from '../handlers/cgi/handler.ts';
import { fastcgiHandler } from '../handlers/fastcgi/handler.ts';
import { BROWSER_FILES, BrowserFiles } from '../handlers/own/browser-files.ts';
import { staticHandler } from '../handlers/static/handler.ts';
import type { Handler } from '../http/handler.ts';
import type { Route } from '../http/route.ts';
import type { Assets } from '../ops/assets.ts';
import type { Log } from '../ops/log.ts';
import type { Tallies } from '../ops/tallies.ts';
import type { Policies } from '../policy/policies.ts';
import { readSystem } from '../process/confinement/confine.ts';
import type { Programs } from '../process/programs.ts';
import { type Launch, planLaunch } from '../programs/launch.ts';
import { type Entry, Router } from '../routing/router.ts';
import { streamHandler } from '../stream/handler.ts';
import type { FindRoute } from '../stream/sources/poll/streams.ts';
import { streamProgram } from '../stream/sources/program/start.ts';
import { same } from './differences.ts';

/** What the handlers of all configurations share. */
export interface RouteParts {
  readonly assets: Assets;
  readonly log: Log;
  readonly version: string;
  readonly tallies: Tallies;
  readonly programs: Programs;
  readonly files: FileCache<Resource>;
  readonly buffers: ReadBuffers;
  /** How many tables were built before this one. */
  readonly generation: number;
  /** In the table that is in force when it is asked. */
  readonly find: FindRoute;
  /** Wraps a route's handler. */
  readonly wrap?: ((key: string, handler: Handler) => Handler) | undefined;
}

interface Built {
  readonly handler: Handler;
  /** Everything that the handler was made from. */
  readonly madeFrom: unknown;
}

export interface RouteTable {
  readonly router: Router<Route>;
  /** By name, as `stream."/live"`. */
  readonly built: ReadonlyMap<string, Built>;
}

export const NO_ROUTES: RouteTable = { router: new Router([]), built: new Map() };

/** What has become of the routes of one table in the next. */
export interface RouteChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly kept: readonly string[];
  /** Handlers that only the next table has, and those that only this one had. */
  readonly begun: readonly Handler[];
  readonly over: readonly Handler[];
}

/** Throws an `Error` for what a check of the configuration would have found. Nothing runs yet of what is built here. */
export function buildRoutes(config: Config, policies: Policies, parts: RouteParts, before: RouteTable): RouteTable {
  return new Building(config, policies, parts, before).table();
}

export function compareRoutes(before: RouteTable, next: RouteTable): RouteChanges {
  const names = [...next.built.keys()].filter((name) => name !== BROWSER_FILES);
  const handlers = (table: RouteTable): readonly Handler[] => [...table.built.values()].map(({ handler }) => handler);
  const [old, young] = [new Set(handlers(before)), new Set(handlers(next))];
  const isSame = (name: string): boolean => before.built.get(name)?.handler === next.built.get(name)?.handler;
  return {
    added: names.filter((name) => !before.built.has(name)),
    changed: names.filter((name) => before.built.has(name) && !isSame(name)),
    removed: [...before.built.keys()].filter((name) => name !== BROWSER_FILES && !next.built.has(name)),
    kept: names.filter(isSame),
    begun: [...young].filter((handler) => !old.has(handler)),
    over: [...old].filter((handler) => !young.has(handler)),
  };
}

class Building {
  private readonly built = new Map<string, Built>();
  private readonly entries: Entry<Route>[] = [];
  /** Asked anew each time: users may have been added since. */
  private readonly system = readSystem();

  constructor(
    private readonly config: Config,
    private readonly policies: Policies,
    private readonly parts: RouteParts,
    private readonly before: RouteTable,
  ) {}

  /** The table of handler kinds. */
  table(): RouteTable {
    const { config } = this;
    const { log, version, tallies, programs, files: cache, buffers, generation, assets } = this.parts;
    const documentRoot = config.static.get('/')?.root;
    for (const [key, route] of config.static)
      this.add('static', key, route, undefined, () =>
        staticHandler(route, { route: key, cache, buffers, cacheName: `${generation} ${key}`, log }),
      );
    for (const [key, route] of config.cgi)
      this.add('cgi', key, route, documentRoot, () => {
        const launch = this.launch(key, route);
        const inherited = process.env;
        return cgiHandler(route, { route: key, log, tallies, version, programs, launch, inherited, documentRoot });
      });
    for (const [key, route] of config.fastcgi)
      this.add('fastcgi', key, route, documentRoot, () =>
        fastcgiHandler(route, { route: key, log, tallies, version, documentRoot }),
      );
    for (const [key, route] of config.stream) this.add('stream', key, route, undefined, () => this.stream(key, route));
    // Without a stream nobody needs them.
    if (config.stream.size > 0) {
      const handler = this.handler(BROWSER_FILES, undefined, () => new BrowserFiles({ assets, log, tallies }));
      this.enter(BROWSER_FILES, handler, [], config.defaults);
    }
    return { router: new Router(this.entries), built: this.built };
  }

  /** @param ground what else the handler is made from */
  private add(
    kind: 'static' | 'cgi' | 'fastcgi' | 'stream',
    key: string,
    route: RoutePolicies & { readonly headers: ReadonlyMap<string, string> },
    ground: unknown,
    make: () => Handler,
  ): void {
    // Header fields are put on answers to come: nobody has to leave for them.
    const madeFrom = { ...route, headers: undefined, ground };
    const handler = this.handler(formatPath([kind, key]), madeFrom, () => {
      const handler = make();
      return this.parts.wrap?.(key, handler) ?? handler;
    });
    const headers: HeaderList = [...route.headers].map(([name, value]) => [name.toLowerCase(), value]);
    this.enter(key, handler, headers, route);
  }

  private handler(name: string, madeFrom: unknown, make: () => Handler): Handler {
    const known = this.before.built.get(name);
    const built = known !== undefined && same(known.madeFrom, madeFrom) ? known : { handler: make(), madeFrom };
    this.built.set(name, built);
    return built.handler;
  }

  private enter(key: string, handler: Handler, headers: HeaderList, policies: RoutePolicies): void {
    this.entries.push({ key, value: { key, handler, headers, ...this.policies.of(policies) } });
  }

  private launch(key: string, route: ProcessConfig): Launch {
    const { programs, log } = this.parts;
    const launch = planLaunch(route, { system: this.system, terminals: () => programs.terminals });
    if (launch.shortcoming !== undefined) log.warn(launch.shortcoming, { route: key });
    return launch;
  }

  private stream(key: string, route: StreamConfig): Handler {
    const { log, version, tallies, programs, find } = this.parts;
    const start = streamProgram(key, route, { log, programs, version, launch: this.launch(key, route) });
    return streamHandler(key, route, { log, tallies, programs, version, find, start });
  }
}
