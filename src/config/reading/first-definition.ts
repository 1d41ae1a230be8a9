/** Where something that is defined twice was defined first, by the TOML parser's syntax tree. */

import { formatPath } from './problems.ts';
import type { Statement, ValueNode } from './toml-tree.ts';

/** What the statement at `offset` defines again: the longest beginning of its path that an earlier statement names in full. */
export function firstDefinition(
  statements: readonly Statement[],
  offset: number,
): { readonly name: string; readonly offset: number } | undefined {
  let header: readonly string[] = [];
  const seen = new Map<string, number>();
  const note = (path: readonly string[], at: number) => {
    const name = formatPath(path);
    if (!seen.has(name)) seen.set(name, at);
  };
  for (const statement of statements) {
    const path = statement.type === 'Assign' ? [...header, ...statement.key] : statement.value;
    if (statement.offset === offset) {
      for (let length = path.length; length > 0; length -= 1) {
        const name = formatPath(path.slice(0, length));
        const first = seen.get(name);
        if (first !== undefined) return { name, offset: first };
      }
      return undefined;
    }
    if (statement.type !== 'Assign') header = path;
    // A new item of a list of tables may say again what the item before it said.
    if (statement.type === 'ArrayPath')
      for (const name of [...seen.keys()]) if (name.startsWith(`${formatPath(path)}.`)) seen.delete(name);
    for (let length = 1; length <= path.length; length += 1) note(path.slice(0, length), statement.offset);
    if (statement.type === 'Assign') {
      const within = findInValue(statement.value, offset);
      if (within !== undefined) return within;
    }
  }
  return undefined;
}

/** The same inside an inline table, wherever it is in a value. */
function findInValue(value: ValueNode, offset: number): { readonly name: string; readonly offset: number } | undefined {
  if (value.type === 'Array') {
    for (const item of value.value) {
      const found = findInValue(item, offset);
      if (found !== undefined) return found;
    }
  }
  if (value.type !== 'InlineTable') return undefined;
  const again = value.value.find((entry) => entry.offset === offset);
  for (const entry of value.value) {
    if (again !== undefined && entry !== again && entry.key[0] === again.key[0])
      return { name: formatPath(again.key), offset: entry.offset };
    const found = findInValue(entry.value, offset);
    if (found !== undefined) return found;
  }
  return undefined;
}
