/** What somebody may have meant by a key that nobody knows. */
import { meantAddress } from '../values/meant.ts';
import type { Fields, KeyPath, ValueType } from '../values/value.ts';
import { adviceAbout, keysMeantBy } from './habits.ts';

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

/** What is told about an unknown key. */
export interface Suggestion {
  readonly hint: string | undefined;
  /** The key of the same table that it stands for. */
  readonly meant: string | undefined;
}

/**
 * @param path the unknown key's
 * @param value what it is set to
 * @param known the keys of its table
 */
export function suggest(
  path: KeyPath,
  value: unknown,
  known: readonly string[],
  tables: readonly TableShape[],
): Suggestion {
  const name = String(path.at(-1));
  const homes = tables.filter((shape) => Object.hasOwn(shape.fields, name));
  const names = keysMeantBy(name);
  const here = names.find((ours) => known.includes(ours) && suits(ours, value, tables, path));
  const near = nearest(name, known);
  // "host" is nearly "hosts", but not where an IP address follows.
  if (here === 'address' && near !== 'address' && /\d/.test(meantAddress(value) ?? ''))
    return { hint: example(here, value, path), meant: here };
  // A word of another program that happens to look like one of ours: "ExecStart" is not "restart".
  const isOthers = here !== undefined && near !== undefined && distance(name, near, 1) > 1;
  if (near !== undefined && !isOthers && (homes.length === 0 || distance(name, near, 1) <= 1))
    return { hint: `did you mean "${near}"?`, meant: near };
  if (here !== undefined) return { hint: insideMoved(value, path, tables) ?? example(here, value, path), meant: here };
  if (homes.length > 0) return { hint: home(name, path, homes), meant: undefined };
  return {
    hint:
      adviceAbout(name) ??
      moved(names, path, tables) ??
      insideMoved(value, path, tables) ??
      (known.length <= 8 ? `known here: ${known.join(', ')}` : undefined),
    meant: undefined,
  };
}

/** At the top of a file a table is not what is meant by a plain value, and the other way round. */
function suits(ours: string, value: unknown, tables: readonly TableShape[], path: KeyPath): boolean {
  if (path.length > 1) return true;
  const isTableKey = tables.some(({ header }) => /^\[+([a-z]+)/.exec(header)?.[1] === ours);
  return isTableKey === (typeof value === 'object' && value !== null);
}

/** How a key of ours is written, as far as that can be said. */
function example(ours: string, value: unknown, path: KeyPath): string {
  if (path.length === 1 && Object.hasOwn(TABLES, ours)) return `write ${TABLES[ours]}`;
  if (ours === 'address') return `write address = ${meantAddress(value) ?? '":8080"'}`;
  return Object.hasOwn(HOW, ours) ? `write ${ours} = ${HOW[ours]}` : `this key is called "${ours}"`;
}

const TABLES: { readonly [name: string]: string } = {
  listen: '[[listen]], and below it address = ":8080"',
  ...{ static: '[static."/path"]', cgi: '[cgi."/path"]', stream: '[stream."/path"]' },
  ...{ fastcgi: '[fastcgi."/path"]', proxy: '[proxy."/path"]' },
  ...{ admin: '[admin]', log: '[log]', defaults: '[defaults]', connections: '[connections]' },
};

const HOW: { readonly [name: string]: string } = {
  root: '"FOLDER"',
  command: '["PROGRAM", "ARGUMENT"]',
  upstream: '"http://127.0.0.1:3000"',
  ...{ certificate: '"FILE"', key: '"FILE"', tokens: '"FILE"' },
  basic: '"FILE", and make the lines of the file with "runnel hash-password NAME"',
  ...{ index: '["index.html"]', hosts: '["board.local"]', origins: '["https://app.example.org"]' },
  ...{ listing: 'true', compress: 'true', redirect: '"https"', share: '"all"' },
  ...{ headers: '{ NAME = "value" }', env: '{ NAME = "value" }', error_pages: '{ "404" = "404.html" }' },
  listen: '"127.0.0.1:9180"',
  tls: '{ certificate = "FILE", key = "FILE" }',
  interpreters: '{ ".py" = "python3" }',
};

/** Where a key belongs that stands in a wrong table. */
function home(name: string, path: KeyPath, homes: readonly TableShape[]): string {
  const below = innerTable(path, homes);
  if (below !== undefined) return `write ${below} = { ${name} = … }`;
  if (path.length === 1 && homes.some(({ header }) => header === '[defaults]')) {
    if (name === 'headers' || homes.some(({ fields }) => fields[name]?.type.structure !== undefined))
      return `write [defaults.${name}] for all routes, or ${name} = { … } in one route`;
    return `write it below [defaults] for all routes, or in one route`;
  }
  if (path.length === 1 && homes.every(({ header }) => header === '[[listen]]'))
    return `it is a key of a listener: write it below [[listen]]`;
  const places = homes.map(({ header }) => header).filter((header) => header !== '');
  const isAtTop = places.length < homes.length;
  const top = 'at the top of the file, before the first [table]';
  if (places.length === 0) return `write it ${top}`;
  const note = path.length === 1 && name === 'user' ? '; the user of the gateway is User= of its systemd unit' : '';
  return `it is a key of ${places.slice(0, 4).join(', ')}${isAtTop ? `, or ${top}` : ''}${note}`;
}

/** The table inside of the one where `path` is that is among `homes`: `limits` for a key of a route. */
function innerTable(path: KeyPath, homes: readonly TableShape[]): string | undefined {
  const [kind, ...others] = path.slice(0, -1);
  if (kind === undefined) return undefined;
  if (others.length !== 1) return undefined;
  const found = homes
    .map(({ header }) => new RegExp(`^\\[${kind}(?:\\."/path")?\\.([a-z_]+)\\]$`).exec(header)?.[1])
    .filter((table) => table !== undefined);
  // "origins" is in `cors` of every route, and in one key of streams as well.
  return found.find((table) => homes.some(({ header }) => header === `[defaults.${table}]`)) ?? found[0];
}

/** The same for a key of another name. */
function moved(names: readonly string[], path: KeyPath, tables: readonly TableShape[]): string | undefined {
  for (const ours of names.filter((name) => !Object.hasOwn(TABLES, name))) {
    const homes = tables.filter(({ header, fields }) => header !== '' && Object.hasOwn(fields, ours));
    const below = innerTable(path, homes);
    if (below !== undefined) return `write ${below} = { ${ours} = … }`;
    // At the top it is more likely the whole gateway's than one route's.
    const first = homes.find(({ header }) => path.length > 1 || !header.includes('/path')) ?? homes[0];
    if (first !== undefined) return `write "${ours}" in ${first.header}`;
  }
  return undefined;
}

/** What is in a table that nobody knows, as in "server.port". */
function insideMoved(value: unknown, path: KeyPath, tables: readonly TableShape[]): string | undefined {
  if (path.length > 1 || typeof value !== 'object' || value === null) return undefined;
  const found = Object.keys(value)
    .slice(0, 3)
    .map((name) => {
      const where = moved([name, ...keysMeantBy(name)], path, tables);
      return where && `for "${name}" ${where}`;
    })
    .filter((sentence) => sentence !== undefined);
  return found.length === 0 ? undefined : found.join(', ');
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
