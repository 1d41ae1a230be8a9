/**
 * What a kind of route tells the configuration about itself. The kinds are above this layer: here is what reading, checks and the
 * reference page need to know of any of them, and no name of one.
 */
import type { RoutePart, Router } from '../routing/router.ts';
import type { RouteConfig } from './keys/routes.ts';
import { isTable, type RawTable, type Table } from './values/tables.ts';
import type { Fields, KeyPath, Reading } from './values/value.ts';

/** Keys that go together, for the reference page. */
export interface KeyGroup {
  readonly title: string;
  readonly keys: readonly string[];
}

/** @typeParam N the name of its table; @typeParam R one of its routes, complete */
export interface RouteSchema<N extends string = string, R extends RouteConfig = RouteConfig> {
  /** Its table is `[name."/path"]`. */
  readonly name: N;
  /** A sentence for the reference page. */
  readonly doc: string;
  /** How one such table is read: the keys of the kind, and those that every route has. */
  readonly table: Table<Fields>;
  /** In the order of the reference page, behind which come the keys that are in none. Undefined: there are few enough. */
  readonly groups?: readonly KeyGroup[];
  /** Whether its routes start programs: then they have the keys of `keys/programs.ts`. */
  readonly startsPrograms: boolean;
  /** The folder that a route serves; undefined for one that serves something else. */
  folder?(route: R): ServedFolder | undefined;
  /** Whether its WebSockets may be compressed. Of such a kind `compress` means this, and nothing of its other answers. */
  deflates?(route: R): boolean;
  /**
   * The part of the requests for its path that a route takes; undefined: all. Asked of a table as it is written, and of one that was read:
   * the keys that it goes by have the same values in both.
   */
  part?(route: RawTable): RoutePart | undefined;
  /** What must hold between the keys of its routes, or between them and the rest of the file, beyond what `table` sees. */
  check?(file: RawFile, reading: Reading): void;
  /** What is likely to be meant otherwise about one of its routes. Asked only where the whole file could be read. */
  doubt?(key: string, route: R, routes: Router<ReadRoute>, reading: Reading): void;
}

/** A folder that a route serves. */
export interface ServedFolder {
  readonly root: string;
  /** Whether what is in it is sent, or run. */
  readonly holds: 'files' | 'programs';
  /** Names that stand for a folder in it. */
  readonly index: readonly string[];
  /** Extensions of what an interpreter runs; other programs start by themselves. */
  readonly interpreted: readonly string[];
  /** The route also answers for what is not in it. */
  readonly answersAll: boolean;
}

/** A file's own tables, as the parser hands them out: not checked, and whatever is wrong with one hides nothing of another. */
export interface RawFile {
  readonly table: RawTable;
  /** In the order of the kinds. */
  readonly routes: readonly RawRoute[];
}

export interface RawRoute {
  readonly kind: RouteSchema;
  readonly key: string;
  /** Where it is in the file: the kind's name and the key. */
  readonly path: readonly [kind: string, key: string];
  /** Empty where something else than a table was written. */
  readonly table: RawTable;
}

export function rawFile(table: RawTable, kinds: readonly RouteSchema[]): RawFile {
  const routes = kinds.flatMap((kind) =>
    Object.entries(tableAt(table, [kind.name])).map(([key, route]) => ({
      kind,
      key,
      path: [kind.name, key] as const,
      table: isTable(route) ? route : {},
    })),
  );
  return { table, routes };
}

/** The table at `path`, empty where there is none. */
export function tableAt(table: RawTable, path: KeyPath): RawTable {
  let value: unknown = table;
  for (const step of path) value = isTable(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  return isTable(value) ? value : {};
}

/** A route of a file that could be read. */
export interface ReadRoute {
  readonly kind: RouteSchema;
  readonly key: string;
  readonly config: RouteConfig;
  readonly folder: ServedFolder | undefined;
  /** Whether it asks for a proof of who somebody is. */
  readonly guarded: boolean;
}
