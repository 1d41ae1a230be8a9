/** What somebody may have meant by a key that nobody knows. */
import type { Fields, ValueType } from '../values/value.ts';

/** One table of the schema, as a user would open it in the file. */
export interface TableShape {
  /** `[static."/path"]`, `[[listen]]`, `[defaults.limits]`; empty for the top of the file. */
  readonly header: string;
  readonly fields: Fields;
  /** What must hold between its keys. */
  readonly note: string | undefined;
}

/** Every table of a schema, the outer before the inner, in the schema's order. */
export function tablesOf(type: ValueType<unknown>, name = ''): readonly TableShape[] {
  const structure = type.structure;
  if (structure === undefined) return [];
  if (structure.is === 'map') return tablesOf(structure.item, `${name}."/path"`);
  if (structure.is === 'list')
    return tablesOf(structure.item, name).map((shape, index) =>
      index === 0 ? { ...shape, header: `[${shape.header}]` } : shape,
    );
  const below = Object.entries(structure.fields).flatMap(([field, key]) =>
    tablesOf(key.type, name === '' ? field : `${name}.${field}`),
  );
  return [{ header: name === '' ? '' : `[${name}]`, fields: structure.fields, note: structure.note }, ...below];
}

/** What to tell about the unknown key `name` in a table that has the keys `known`; undefined if there is nothing to tell. */
export function suggestion(name: string, known: readonly string[], tables: readonly TableShape[]): string | undefined {
  const elsewhere = tables.filter((shape) => Object.hasOwn(shape.fields, name));
  const near = nearest(name, known);
  if (near !== undefined && (elsewhere.length === 0 || distance(name, near, 1) <= 1)) return `did you mean "${near}"?`;
  if (elsewhere.length > 0) {
    const homes = elsewhere.map((shape) => (shape.header === '' ? 'the top of the file' : shape.header));
    return `it is a key of ${homes.slice(0, 4).join(', ')}`;
  }
  return known.length <= 8 ? `known here: ${known.join(', ')}` : undefined;
}

/** The known word that differs least from `word`, if it differs by so little that it may have been meant. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const allowed = Math.min(3, Math.max(1, Math.floor(word.length / 3)));
  let best: { readonly word: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    const far = distance(word.toLowerCase(), candidate.toLowerCase(), allowed);
    if (far <= allowed && far < (best?.distance ?? Number.POSITIVE_INFINITY)) best = { word: candidate, distance: far };
  }
  return best?.word;
}

/**
 * How many letters must be put in, taken out, changed or swapped with their neighbour to make `b` of `a` (optimal string
 * alignment). Stops at anything above `limit`, with `limit + 1`, so that a key of a megabyte costs nothing.
 */
export function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      const ways = [at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + change];
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) ways.push(at(before, j - 2) + 1);
      row.push(Math.min(...ways));
    }
    if (Math.min(...row) > limit) return limit + 1;
    before = last;
    last = row;
  }
  return Math.min(at(last, b.length), limit + 1);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
