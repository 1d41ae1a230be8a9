/** A configuration file to a frozen configuration, or to every problem that it has. */
import { dirname, resolve } from 'node:path';
import { checkAdmin, doubtAdmin } from './checks/admin.ts';
import {
  checkAddresses,
  checkListeners,
  checkSocketFiles,
  doubtHosts,
  type SocketObjections,
} from './checks/listeners.ts';
import { checkAuth, checkCors } from './checks/policies.ts';
import { checkPrograms } from './checks/programs.ts';
import { doubtRoutes } from './checks/route-doubts.ts';
import { checkPathsAreThere, checkRouteKeys, type PositionOf } from './checks/routes.ts';
import { type Disk, realDisk } from './disk/disk.ts';
import { isGuarded } from './keys/policies.ts';
import type { Objections } from './keys/programs.ts';
import { inherit } from './keys/routes.ts';
import { Positions } from './reading/positions.ts';
import { formatPath, formatValue, isSecret, type Problem, sortProblems } from './reading/problems.ts';
import { decodeSource, readSource, type SourceTrouble } from './reading/source.ts';
import { suggest, tablesOf } from './reading/suggest.ts';
import { parseToml } from './reading/toml.ts';
import { type RawFile, type ReadRoute, type RouteSchema, rawFile } from './route-schema.ts';
import { type CommonConfig, routesOf, type Schema } from './schema.ts';
import type { RawTable } from './values/tables.ts';
import type { Fields, KeyPath, Reading, Service, Values } from './values/value.ts';

export type LoadResult<C extends CommonConfig> =
  | { readonly ok: true; readonly config: C; readonly file: string; readonly doubts: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** What a configuration is read against; left out, it is what lies around the file. */
export interface Surroundings {
  /** Relative paths in the file are relative to this folder. */
  readonly directory?: string;
  readonly disk?: Disk;
  /** The service for which it is judged from outside. */
  readonly service?: Service;
  /** What speaks against the user and the limits of a program on this machine; not asked when left out. */
  readonly objections?: Objections;
  /** The same of the owner and the group of a socket. */
  readonly socketObjections?: SocketObjections;
}

/** Reads and checks a file. Does not throw for anything that the file or the file system can do. */
export function loadConfig<C extends CommonConfig>(
  schema: Schema<C>,
  file: string,
  surroundings: Surroundings = {},
): LoadResult<C> {
  const source = readSource(file);
  return Buffer.isBuffer(source) ? parseConfig(schema, source, file, surroundings) : troubled(file, source);
}

/** The same for what was read already; `file` is what problems call it. */
export function parseConfig<C extends CommonConfig>(
  schema: Schema<C>,
  source: Buffer,
  file: string,
  surroundings: Surroundings = {},
): LoadResult<C> {
  const text = decodeSource(source);
  if (typeof text !== 'string') return troubled(file, text);
  if (text.trim() === '')
    return troubled(file, { message: 'is empty: nothing would be served', hint: 'add a route, such as [static."/"]' });
  const parsed = parseToml(text);
  if (!parsed.ok) return troubled(file, parsed.trouble);
  const positions = new Positions(text, parsed.statements);
  return readConfig(schema, parsed.table, file, { directory: dirname(resolve(file)), ...surroundings }, (path) =>
    positions.of(path),
  );
}

/** The same for tables that did not come from a file but have a file's shape, keys and notation. */
export function readConfig<C extends CommonConfig>(
  schema: Schema<C>,
  table: RawTable,
  file: string,
  surroundings: Surroundings = {},
  positionOf: PositionOf = () => undefined,
): LoadResult<C> {
  const { root, kinds } = schema;
  const problems: Problem[] = [];
  const doubts: Problem[] = [];
  const report = (path: KeyPath, message: string, hint?: string) => {
    const position = positionOf(path);
    problems.push({ file, line: position?.line, column: position?.column, path: formatPath(path), message, hint });
  };
  const reading: Reading = {
    directory: surroundings.directory ?? process.cwd(),
    disk: surroundings.disk ?? realDisk(),
    service: surroundings.service,
    wrong: (path, value, expected, hint) =>
      report(
        path,
        `must be ${expected} (got ${formatValue(value, path)})`,
        // What is hidden there is not told here.
        isSecret(path) && typeof value !== 'number' && typeof value !== 'boolean' ? undefined : hint,
      ),
    problem: report,
    doubt: (path, message) => {
      const position = positionOf(path);
      doubts.push({
        file,
        line: position?.line,
        column: position?.column,
        path: formatPath(path),
        message,
        hint: undefined,
      });
    },
    unknown(path, known, value) {
      const { hint, meant } = suggest(path, value, known, tablesOf(root));
      report(path, 'unknown key', hint);
      return meant;
    },
  };
  const read = root.read(table, [], reading);
  const config = read === undefined ? undefined : complete(read, schema);
  const raw = rawFile(table, kinds);
  check(raw, kinds, reading, positionOf);
  if (surroundings.objections !== undefined) checkPrograms(raw, reading, surroundings.objections);
  if (config !== undefined && surroundings.socketObjections !== undefined)
    checkSocketFiles(config, reading, surroundings.socketObjections);
  if (config !== undefined) doubt(config, kinds, reading);
  if (problems.length === 0 && raw.routes.length === 0)
    report([], 'there is no route: nothing would be served', 'add one, such as [static."/"]');
  if (problems.length > 0) return { ok: false, problems: sortProblems(problems) };
  if (config === undefined) throw new Error('a value was refused without a problem');
  return { ok: true, config: deepFreeze(config), file, doubts: sortProblems(doubts) };
}

function troubled(
  file: string,
  { message, hint, position }: SourceTrouble,
): { readonly ok: false; readonly problems: readonly Problem[] } {
  return { ok: false, problems: [{ file, line: position?.line, column: position?.column, path: '', message, hint }] };
}

/**
 * What must hold between the keys of a file. Read from the file's own tables and not from what was made of them, so that one wrong value
 * elsewhere does not hide these.
 */
function check(file: RawFile, kinds: readonly RouteSchema[], reading: Reading, positionOf: PositionOf): void {
  checkAddresses(file.table, reading);
  checkRouteKeys(file, reading, positionOf);
  checkPathsAreThere(file, kinds, reading);
  for (const kind of kinds) kind.check?.(file, reading);
  checkListeners(file.table, reading);
  checkCors(file, reading);
  checkAuth(file, reading);
  checkAdmin(file, reading);
}

/** What is no mistake for certain. */
function doubt(config: CommonConfig, kinds: readonly RouteSchema[], reading: Reading): void {
  const routes = kinds.flatMap((kind) =>
    [...routesOf(config, kind)].map(([key, route]): ReadRoute => {
      return { kind, key, config: route, folder: kind.folder?.(route), guarded: isGuarded(route.auth) };
    }),
  );
  doubtHosts(config, routes, reading);
  doubtRoutes(routes, reading);
  doubtAdmin(config, reading);
}

/** The routes of every kind get what they inherit. */
function complete<C extends CommonConfig>(read: Values<Fields>, { kinds }: Schema<C>): C {
  // The cast: `schemaOf` has made both the type and what was read of the same kinds.
  const file = read as C;
  const routes = kinds.map((kind) => {
    const entries = [...routesOf(file, kind)].map(([key, route]) => [key, inherit(route, file.defaults)] as const);
    return [kind.name, new Map(entries)] as const;
  });
  return { ...file, ...Object.fromEntries(routes) };
}

/** Makes a value unchangeable, all the way down. Maps too, which `Object.freeze` alone leaves open. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  if (value instanceof Map) {
    for (const [key, entry] of value) {
      deepFreeze(key);
      deepFreeze(entry);
    }
    for (const method of ['set', 'delete', 'clear']) Object.defineProperty(value, method, { value: refuse });
  }
  Object.freeze(value);
  for (const entry of Object.values(value)) deepFreeze(entry);
  return value;
}

function refuse(): never {
  throw new TypeError('the configuration cannot be changed');
}
