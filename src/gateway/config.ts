/** The configuration of this gateway: the schema of `config/` with the kinds of routes that there are. */

import type { RouteConfig } from '../config/keys/routes.ts';
import * as load from '../config/load.ts';
import { type ConfigOf, routesOf, schemaOf } from '../config/schema.ts';
import type { RawTable } from '../config/values/tables.ts';
import { ROUTE_KINDS } from '../handlers/kinds.ts';
import type { RouteKind } from '../http/route-kind.ts';

export const SCHEMA = schemaOf(ROUTE_KINDS);

/** The whole file: frozen, defaults filled in, paths absolute and seen to exist. */
export type Config = ConfigOf<(typeof ROUTE_KINDS)[number]>;

export type LoadResult = load.LoadResult<Config>;

/** Reads and checks a file. Does not throw for anything that the file or the file system can do. */
export function loadConfig(file: string, surroundings?: load.Surroundings): LoadResult {
  return load.loadConfig(SCHEMA, file, surroundings);
}

/** The same for what was read already; `file` is what problems call it. */
export function parseConfig(source: Buffer, file: string, surroundings?: load.Surroundings): LoadResult {
  return load.parseConfig(SCHEMA, source, file, surroundings);
}

/** The same for tables that did not come from a file but have a file's shape, keys and notation. */
export function readConfig(table: RawTable, file: string, surroundings?: load.Surroundings): LoadResult {
  return load.readConfig(SCHEMA, table, file, surroundings);
}

/** A route of a configuration, with its kind. */
export interface ConfiguredRoute {
  readonly kind: RouteKind;
  readonly key: string;
  readonly route: RouteConfig;
}

/** In the order of the kinds. */
export function everyRoute(config: Config): readonly ConfiguredRoute[] {
  const kinds: readonly RouteKind[] = ROUTE_KINDS;
  return kinds.flatMap((kind) => [...routesOf(config, kind)].map(([key, route]) => ({ kind, key, route })));
}
