/** From a key's path to its place in the file, by the TOML parser's own syntax tree. */

import type { KeyPath } from '../values/value.ts';
import type { Statement, ValueNode } from './toml-tree.ts';

/** Both count from 1; columns count characters. */
export interface TextPosition {
  readonly line: number;
  readonly column: number;
}

/** A key, a header or a list item: where it is written and what lies in it. */
interface PathNode {
  offset: number;
  readonly children: Map<string | number, PathNode>;
  /** Made by [[header]]: further keys belong to its last item. */
  items: number;
}

function node(offset: number): PathNode {
  return { offset, children: new Map(), items: 0 };
}

export class Positions {
  readonly #source: string;
  readonly #root = node(0);

  constructor(source: string, statements: readonly Statement[]) {
    this.#source = source;
    let table = this.#root;
    for (const statement of statements) {
      if (statement.type === 'Assign') placeEntry(table, statement);
      else table = enter(this.#root, statement.value, statement.offset, statement.type === 'ArrayPath');
    }
  }

  /** Where `path` is written: its key, or, if it is not in the file, the nearest table around it; the file's start for the root. */
  of(path: KeyPath): TextPosition {
    return positionAt(this.#source, this.#find(path).node.offset);
  }

  /** Whether `path` is written in the file. */
  has(path: KeyPath): boolean {
    return this.#find(path).whole;
  }

  #find(path: KeyPath): { readonly node: PathNode; readonly whole: boolean } {
    let found = this.#root;
    for (const step of path) {
      const next = found.children.get(step);
      if (next === undefined) return { node: found, whole: false };
      found = next;
    }
    return { node: found, whole: true };
  }
}

function child(parent: PathNode, name: string | number, offset: number): PathNode {
  const known = parent.children.get(name);
  if (known !== undefined) return known;
  const made = node(offset);
  parent.children.set(name, made);
  return made;
}

/** The table that a header opens. A header's path goes through the last item of each [[list]] on its way. */
function enter(root: PathNode, path: readonly string[], offset: number, isItem: boolean): PathNode {
  let table = root;
  for (const [index, name] of path.entries()) {
    const isLast = index === path.length - 1;
    table = child(table, name, offset);
    if (isLast && isItem) {
      const item = child(table, table.items, offset);
      table.items += 1;
      return item;
    }
    if (isLast) table.offset = offset;
    else table = table.children.get(table.items - 1) ?? table;
  }
  return table;
}

function placeEntry(table: PathNode, entry: { key: readonly string[]; value: ValueNode; offset: number }): void {
  let found = table;
  for (const name of entry.key) found = child(found, name, entry.offset);
  placeValue(found, entry.value);
}

function placeValue(at: PathNode, value: ValueNode): void {
  if (value.type === 'InlineTable') for (const entry of value.value) placeEntry(at, entry);
  if (value.type !== 'Array') return;
  for (const [index, item] of value.value.entries()) placeValue(child(at, index, item.offset), item);
}

/** Line and column of an offset in UTF-16 units. */
export function positionAt(source: string, offset: number): TextPosition {
  const before = source.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  let line = 1;
  for (let at = before.indexOf('\n'); at !== -1; at = before.indexOf('\n', at + 1)) line += 1;
  return { line, column: Array.from(before.slice(lineStart)).length + 1 };
}

/** The offset in UTF-16 units of a line and a column that also counts those, as the TOML compiler has them. */
export function offsetAt(source: string, line: number, column: number): number {
  let lineStart = 0;
  for (let n = 1; n < line; n += 1) lineStart = source.indexOf('\n', lineStart) + 1;
  return lineStart + column - 1;
}
