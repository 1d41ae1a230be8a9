/**
 * The schema of a configuration file: every key once, with its type, its default and a sentence for the person who sets it. The types,
 * the defaults, the errors, `runnel schema` and `docs/configuration.md` are made from it. Here are the tables that are about no route,
 * and how those of the kinds of routes are put among them. The kinds are above this layer: `gateway/config.ts` has both.
 */
import { admin } from './keys/admin.ts';
import { listeners, USUAL_LISTEN } from './keys/listen.ts';
import { log } from './keys/log.ts';
import { connections } from './keys/policies.ts';
import { defaults, type RouteConfig } from './keys/routes.ts';
import type { RouteSchema } from './route-schema.ts';
import { routeKey } from './values/names.ts';
import { choice, duration, integer } from './values/simple.ts';
import { mapOf, type Table, table } from './values/tables.ts';
import { type Fields, optional, preset, type Values } from './values/value.ts';

const processes = table({
  max: preset(
    integer({ min: 1, max: 100_000 }),
    256,
    'How many programs of all routes together may run at once. Further requests and clients get 503.',
  ),
  spawner: preset(
    choice('auto', 'starter', 'posix', 'child_process'),
    'auto',
    'How programs are started: by a small separate process, by posix_spawn of the C library, or by the child_process of Node. "auto" uses the first method that works.',
  ),
});

const common = {
  listen: preset(listeners, USUAL_LISTEN, 'The addresses that accept connections.'),
  processes: preset(processes, {}, 'The programs of all routes.'),
  admin: optional(admin, "The operator's own listener: status page, metrics, health."),
  defaults: preset(
    defaults,
    {},
    "Settings that every route inherits. The route's own table overrides them key by key.",
  ),
  connections: preset(connections, {}, 'Limits on clients that apply before a route is chosen.'),
  stop_timeout: preset(
    duration('0s', '10m'),
    '10s',
    'How long active requests may continue after the gateway is told to stop.',
  ),
  log: preset(
    log,
    {},
    'The content, format and destination of the log. The default destination is standard output. See docs/logs.md.',
  ),
} as const;

/** A file without its routes: frozen, defaults filled in, paths absolute and seen to exist. */
export type CommonConfig = Values<typeof common>;

/** A file with its routes: a map for each kind, from a route's key to what it says and inherits. */
export type ConfigOf<K extends RouteSchema> = CommonConfig & {
  readonly [N in K as N['name']]: ReadonlyMap<string, N extends RouteSchema<string, infer R> ? R : never>;
};

/** All that a file can have. */
export interface Schema<C extends CommonConfig = CommonConfig> {
  readonly root: Table<Fields>;
  readonly kinds: readonly RouteSchema[];
  /** Never set: carries the type for the compiler. */
  readonly carries?: C;
}

export function schemaOf<K extends RouteSchema>(kinds: readonly K[]): Schema<ConfigOf<K>> {
  const routes = kinds.map(({ name, doc, table: route }) => [
    name,
    preset(mapOf(route, routeKey, `[${name}."/path"] tables`), {}, doc),
  ]);
  const { listen, ...others } = common;
  return { root: table({ listen, ...Object.fromEntries(routes), ...others }), kinds };
}

/** The routes of one kind. */
export function routesOf<R extends RouteConfig>(
  config: CommonConfig,
  kind: RouteSchema<string, R>,
): ReadonlyMap<string, R> {
  const tables: Values<Fields> = config;
  // `schemaOf` has put there what the kind reads.
  return tables[kind.name] as ReadonlyMap<string, R>;
}
