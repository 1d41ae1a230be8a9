/**
 * Whether this machine can do to programs what routes ask for: another user, limits. Who knows that (`process/confinement/confine.ts`) is
 * above this layer and is handed in. Read from the file's own tables, like the checks beside it, so that a wrong value elsewhere
 * hides nothing.
 */

import { type Confinement, confinementTypes, type Objections } from '../keys/programs.ts';
import { formatPath } from '../reading/problems.ts';
import { type RawFile, tableAt } from '../route-schema.ts';
import { isTable, type RawTable } from '../values/tables.ts';
import type { KeyPath, Reading, ValueType } from '../values/value.ts';

/** What every route with programs asks for, put to `objections`. What `[defaults]` asks for in vain is reported once. */
export function checkPrograms({ table, routes }: RawFile, reading: Reading, objections: Objections): void {
  const defaults = tableAt(table, ['defaults']);
  const said = new Set<string>();
  for (const { kind, path: route, table: own } of routes) {
    if (!kind.startsPrograms) continue;
    for (const { key: path, message } of objections(confinementOf(own, defaults, reading))) {
      const at = has(own, path) || !has(defaults, path) ? [...route, ...path] : ['defaults', ...path];
      const line = `${formatPath(at)} ${message}`;
      if (!said.has(line)) reading.problem(at, message);
      said.add(line);
    }
  }
}

/** What a route and the defaults say, as far as it can be read; what cannot was reported already. */
function confinementOf(route: RawTable, defaults: RawTable, reading: Reading): Confinement {
  const silent: Reading = { ...reading, wrong: () => undefined, problem: () => undefined, unknown: () => undefined };
  const given = <T>(table: RawTable, name: string, type: ValueType<T>): T | undefined =>
    Object.hasOwn(table, name) ? type.read(table[name], [name], silent) : undefined;
  const own = tableAt(route, ['limits']);
  const common = tableAt(defaults, ['limits']);
  const limit = <T>(name: string, type: ValueType<T>): T | undefined =>
    given(own, name, type) ?? given(common, name, type);
  const { user, group, limits } = confinementTypes;
  return {
    user: given(route, 'user', user),
    group: given(route, 'group', group),
    limits: Object.fromEntries(Object.entries(limits).map(([name, { type }]) => [name, limit(name, type)])),
  };
}

function has(table: RawTable, path: KeyPath): boolean {
  let value: unknown = table;
  for (const step of path) {
    if (!isTable(value) || !Object.hasOwn(value, step)) return false;
    value = value[step];
  }
  return true;
}
