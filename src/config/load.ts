/** A configuration file to a frozen `Config`, or to every problem that it has. */
import { dirname, resolve } from 'node:path';
import { checkAcross, hasRoutes, type PositionOf } from './checks/checks.ts';
import { checkHosts, checkListeners } from './checks/listeners.ts';
import { checkAuth, checkCors } from './checks/policies.ts';
import { checkPrograms, type Objections } from './checks/programs.ts';
import { doubtRoutes } from './checks/route-doubts.ts';
import { type Disk, realDisk } from './disk/disk.ts';
import { deepFreeze } from './freeze.ts';
import { Positions } from './reading/positions.ts';
import { formatPath, formatValue, type Problem, sortProblems } from './reading/problems.ts';
import { decodeSource, readSource, type SourceTrouble } from './reading/source.ts';
import { suggestion, tablesOf } from './reading/suggest.ts';
import { parseToml } from './reading/toml.ts';
import { type Config, type FileConfig, type RoutePolicies, root } from './schema.ts';
import type { RawTable } from './values/tables.ts';
import type { KeyPath, Reading, Service } from './values/value.ts';

export type LoadResult =
  | { readonly ok: true; readonly config: Config; readonly file: string; readonly doubts: readonly Problem[] }
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
}

/** Reads and checks a file. Does not throw for anything that the file or the file system can do. */
export function loadConfig(file: string, around: Surroundings = {}): LoadResult {
  const source = readSource(file);
  return Buffer.isBuffer(source) ? parseConfig(source, file, around) : troubled(file, source);
}

/** The same for what was read already; `file` is what problems call it. */
export function parseConfig(source: Buffer, file: string, around: Surroundings = {}): LoadResult {
  const text = decodeSource(source);
  if (typeof text !== 'string') return troubled(file, text);
  if (text.trim() === '')
    return troubled(file, { message: 'is empty: nothing would be served', hint: 'add a route, such as [static."/"]' });
  const parsed = parseToml(text);
  if (!parsed.ok) return troubled(file, parsed.trouble);
  const positions = new Positions(text, parsed.statements);
  return readConfig(parsed.table, file, { directory: dirname(resolve(file)), ...around }, (path) => positions.of(path));
}

/** The same for tables that did not come from a file but have a file's shape, keys and notation. */
export function readConfig(
  table: RawTable,
  file: string,
  around: Surroundings = {},
  positionOf: PositionOf = () => undefined,
): LoadResult {
  const problems: Problem[] = [];
  const doubts: Problem[] = [];
  const report = (path: KeyPath, message: string, hint?: string) => {
    const position = positionOf(path);
    problems.push({ file, line: position?.line, column: position?.column, path: formatPath(path), message, hint });
  };
  const reading: Reading = {
    directory: around.directory ?? process.cwd(),
    disk: around.disk ?? realDisk(),
    service: around.service,
    wrong: (path, value, expected) => report(path, `must be ${expected} (got ${formatValue(value, path)})`),
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
    unknown: (path, known) => report(path, 'unknown key', suggestion(String(path.at(-1)), known, tablesOf(root))),
  };
  const read = root.read(table, [], reading);
  checkAcross(table, reading, positionOf);
  checkListeners(table, reading);
  if (read !== undefined) {
    checkHosts(read, reading);
    doubtRoutes(read, reading);
  }
  checkCors(table, reading);
  checkAuth(table, reading);
  if (around.objections !== undefined) checkPrograms(table, reading, around.objections);
  if (problems.length === 0 && !hasRoutes(table))
    report([], 'there is no route: nothing would be served', 'add one, such as [static."/"]');
  if (problems.length > 0) return { ok: false, problems: sortProblems(problems) };
  if (read === undefined) throw new Error('a value was refused without a problem');
  return { ok: true, config: deepFreeze(complete(read)), file, doubts: sortProblems(doubts) };
}

function troubled(file: string, trouble: SourceTrouble): LoadResult {
  const { message, hint, position } = trouble;
  return { ok: false, problems: [{ file, line: position?.line, column: position?.column, path: '', message, hint }] };
}

/** Gives every route what it inherits: a key that it sets itself stays, every other is `[defaults]`'. */
function complete(read: FileConfig): Config {
  const inherit = <R extends Inheriting>(routes: ReadonlyMap<string, R>) =>
    new Map([...routes].map(([key, route]) => [key, { ...route, ...inherited(route, read.defaults) }]));
  return {
    ...read,
    static: inherit(read.static),
    cgi: inherit(read.cgi),
    fastcgi: inherit(read.fastcgi),
    stream: inherit(read.stream),
  };
}

type Inheriting = Pick<NonNullable<ReturnType<FileConfig['static']['get']>>, 'headers' | keyof RoutePolicies>;

function inherited(route: Inheriting, defaults: FileConfig['defaults']) {
  const headers: ReadonlyMap<string, string> = new Map([...defaults.headers, ...route.headers]);
  return {
    headers,
    limits: override(defaults.limits, route.limits),
    cors: override(defaults.cors, route.cors),
    cross_site: route.cross_site ?? defaults.cross_site,
    auth: override(defaults.auth, route.auth),
  };
}

function override<T extends object>(base: T, own: { readonly [K in keyof T]?: T[K] | undefined }): T {
  const set = Object.entries(own).filter(([, value]) => value !== undefined);
  return { ...base, ...Object.fromEntries(set) };
}
