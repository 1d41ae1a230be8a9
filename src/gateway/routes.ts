/**
 * Configuration → built routes. A reload builds them anew out of those that are there: a route whose configuration did not change
 * keeps its handler, and with it its programs, its clients and its history.
 */
import type { RouteConfig, RoutePolicies } from '../config/keys/routes.ts';
import { formatPath } from '../config/reading/problems.ts';
import type { HeaderList } from '../engine/engine.ts';
import { BROWSER_FILES, BrowserFiles } from '../handlers/own/browser-files.ts';
import type { Handler } from '../http/handler.ts';
import type { Route } from '../http/route.ts';
import type { CommonParts, RouteKind } from '../http/route-kind.ts';
import type { Compressor } from '../http/sending/compress/compressor.ts';
import { compressing, hasAnEnd } from '../http/sending/compress/handler.ts';
import type { Assets } from '../ops/assets.ts';
import type { Policies, WritingRules } from '../policy/policies.ts';
import { readSystem } from '../process/confinement/confine.ts';
import { type RouteEntry, type RoutePart, Router } from '../routing/router.ts';
import { type Config, type ConfiguredRoute, everyRoute } from './config.ts';
import { same } from './differences.ts';

/** A route of a verb's own, beside those of the configuration. It asks nobody to sign in. */
export interface ExtraRoute {
  readonly key: string;
  readonly handler: Handler;
  /** Names in lower case. */
  readonly headers: HeaderList;
}

/** What the handlers of all configurations share. */
export interface RouteParts extends CommonParts {
  readonly assets: Assets;
  readonly compressor: Compressor;
  /** Routes that are not in the configuration. */
  readonly extra?: readonly ExtraRoute[] | undefined;
  /** Wraps a route's handler. */
  readonly wrap?: ((key: string, handler: Handler) => Handler) | undefined;
}

interface BuiltRoute {
  readonly handler: Handler;
  /** Everything that the handler was made from. */
  readonly madeFrom: unknown;
}

export interface RouteTable {
  readonly router: Router<Route>;
  /** By name, as `stream."/live"`. */
  readonly built: ReadonlyMap<string, BuiltRoute>;
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
  private readonly built = new Map<string, BuiltRoute>();
  private readonly entries: RouteEntry<Route>[] = [];
  /** Asked anew each time: users may have been added since. */
  private readonly system = readSystem();

  constructor(
    private readonly config: Config,
    private readonly policies: Policies,
    private readonly parts: RouteParts,
    private readonly before: RouteTable,
  ) {}

  table(): RouteTable {
    const { config } = this;
    const routes = everyRoute(config);
    const documents = documentRoot(routes);
    for (const { kind, key, route } of routes)
      this.add(kind, key, route, kind.usesDocumentRoot === true ? documents : undefined);
    if (routes.some(({ kind }) => kind.usesBrowserFiles === true)) {
      const { assets, log, tallies } = this.parts;
      const handler = this.handler(BROWSER_FILES, undefined, () => new BrowserFiles({ assets, log, tallies }));
      this.enter(BROWSER_FILES, handler, [], config.defaults);
    }
    for (const { key, handler, headers } of this.parts.extra ?? [])
      this.enter(
        key,
        this.handler(`extra ${key}`, undefined, () => handler),
        headers,
        config.defaults,
      );
    return { router: new Router(this.entries), built: this.built };
  }

  private add(kind: RouteKind, key: string, route: RouteConfig, documentRoot: string | undefined): void {
    // Header fields are put on answers to come: nobody has to leave for them.
    const madeFrom = { ...route, headers: undefined, documentRoot };
    const handler = this.handler(formatPath([kind.name, key]), madeFrom, () => {
      const plain = kind.build(key, route, { ...this.parts, system: this.system, documentRoot });
      const fits = kind.deflates === undefined ? undefined : hasAnEnd;
      const built = route.compress === true ? compressing(plain, this.parts.compressor, key, fits) : plain;
      return this.parts.wrap?.(key, built) ?? built;
    });
    const headers: HeaderList = [...route.headers].flatMap(([name, values]) =>
      values.map((value) => [name.toLowerCase(), value] as const),
    );
    this.enter(key, handler, headers, route, { part: kind.part?.({ ...route }), writing: kind.writing?.(route) });
  }

  private handler(name: string, madeFrom: unknown, make: () => Handler): Handler {
    const known = this.before.built.get(name);
    const built = known !== undefined && same(known.madeFrom, madeFrom) ? known : { handler: make(), madeFrom };
    this.built.set(name, built);
    return built.handler;
  }

  private enter(
    key: string,
    handler: Handler,
    headers: HeaderList,
    policies: RoutePolicies,
    own: { readonly part?: RoutePart | undefined; readonly writing?: WritingRules | undefined } = {},
  ): void {
    const value = { key, handler, headers, ...this.policies.of(policies, own.writing) };
    this.entries.push({ key, value, part: own.part });
  }
}

/** The folder whose files are served at "/" on every host. */
function documentRoot(routes: readonly ConfiguredRoute[]): string | undefined {
  const folders = routes.flatMap(({ kind, key, route }) => (key === '/' ? (kind.folder?.(route) ?? []) : []));
  return folders.find(({ holds }) => holds === 'files')?.root;
}
