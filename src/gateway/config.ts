/** The configuration of this gateway: the schema of `config/` with the kinds of routes that there are. */
import * as load from '../config/load.ts';
import { type ConfigOf, schemaOf } from '../config/schema.ts';
import type { RawTable } from '../config/values/tables.ts';
import { ROUTE_KINDS } from '../handlers/kinds.ts';

export const SCHEMA = schemaOf(ROUTE_KINDS);

/** The whole file: frozen, defaults filled in, paths absolute and seen to exist. */
export type Config = ConfigOf<(typeof ROUTE_KINDS)[number]>;

export type LoadResult = load.LoadResult<Config>;

/** Reads and checks a file. Does not throw for anything that the file or the file system can do. */
export function loadConfig(file: string, around?: load.Surroundings): LoadResult {
  return load.loadConfig(SCHEMA, file, around);
}

/** The same for what was read already; `file` is what problems call it. */
export function parseConfig(source: Buffer, file: string, around?: load.Surroundings): LoadResult {
  return load.parseConfig(SCHEMA, source, file, around);
}

/** The same for tables that did not come from a file but have a file's shape, keys and notation. */
export function readConfig(table: RawTable, file: string, around?: load.Surroundings): LoadResult {
  return load.readConfig(SCHEMA, table, file, around);
}
