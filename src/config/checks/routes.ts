/** The paths of routes: each route has one, and no two routes have one key, unless they take different parts of its requests. */
import { parseRouteKey } from '../../routing/route-key.ts';
import type { TextPosition } from '../reading/positions.ts';
import { formatPath } from '../reading/problems.ts';
import type { RawFile, RouteSchema } from '../route-schema.ts';
import { isTable } from '../values/tables.ts';
import type { KeyPath, Reading } from '../values/value.ts';

/** Where a key is written; undefined for what did not come from a file. */
export type PositionOf = (path: KeyPath) => TextPosition | undefined;

export function checkRouteKeys({ routes }: RawFile, reading: Reading, positionOf: PositionOf): void {
  const inFileOrder = [...routes].sort((a, b) => (positionOf(a.path)?.line ?? 0) - (positionOf(b.path)?.line ?? 0));
  const first = new Map<string, KeyPath>();
  for (const { path, kind, table } of inFileOrder) {
    const key = parseRouteKey(path[1]);
    const served = `${key === undefined ? path[1] : key.host + key.path} ${kind.part?.(table) ?? ''}`;
    const before = first.get(served);
    if (before === undefined) {
      first.set(served, path);
      continue;
    }
    const line = positionOf(before)?.line;
    const where = line === undefined ? '' : ` in line ${line}`;
    reading.problem(path, `has the path of ${formatPath(before)}${where}: a path can have only one route`);
  }
}

/** A header such as "[status]" alone would do nothing. Above "[status."/ops/"]" it is the header of the table that has the route. */
export function checkPathsAreThere({ table, routes }: RawFile, kinds: readonly RouteSchema[], reading: Reading): void {
  const path = (name: string): string => (routes.some(({ key }) => key === '/') ? `/${name}/` : '/');
  for (const { name } of kinds) {
    const value = Object.hasOwn(table, name) ? table[name] : undefined;
    if (isTable(value) && Object.keys(value).length === 0)
      reading.problem(
        [name],
        'the path of the route is missing',
        `write [${name}."${path(name)}"], or remove the table`,
      );
  }
}
