/** The types of values that hold others: lists, tables whose keys the user chooses, and tables with fixed keys. */

import { quote } from '../reading/problems.ts';
import type { Fields, JsonSchema, Key, KeyPath, Reading, Values, ValueType } from './value.ts';

/** A TOML table as the parser hands it out. */
export type RawTable = { readonly [key: string]: unknown };

export function isTable(value: unknown): value is RawTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** What is written as the text of a key; "" where it is something else, of which its type tells. */
export function textIn(table: RawTable, key: string): string {
  const value = table[key];
  return typeof value === 'string' ? value : '';
}

/** @param meant guesses what to do about a value that is no list */
export function listOf<T>(
  item: ValueType<T>,
  what: string,
  meant: (value: unknown) => string | undefined = putInBrackets,
): ValueType<readonly T[]> {
  return {
    expected: `a list of ${what}`,
    json: { type: 'array', items: item.json },
    structure: { is: 'list', item },
    read(value, at, reading) {
      if (!Array.isArray(value)) {
        reading.wrong(at, value, this.expected, meant(value));
        return undefined;
      }
      const items: T[] = [];
      value.forEach((entry, index) => {
        const parsed = item.read(entry, [...at, index], reading);
        if (parsed !== undefined) items.push(parsed);
      });
      return items.length === value.length ? items : undefined;
    },
  };
}

function putInBrackets(value: unknown): string | undefined {
  return typeof value === 'string' && /^[ -~]{1,60}$/.test(value) ? `write [${quote(value)}]` : undefined;
}

/** One value, or a list of them: `what` names several. */
export function oneOrListOf<T>(item: ValueType<T>, what: string): ValueType<readonly T[]> {
  const list = listOf(item, what);
  return {
    expected: `${item.expected}, or ${list.expected}`,
    json: { anyOf: [item.json, list.json] },
    read(value, at, reading) {
      if (Array.isArray(value)) return list.read(value, at, reading);
      const parsed = item.read(value, at, reading);
      return parsed === undefined ? undefined : [parsed];
    },
  };
}

/** A table whose keys the user chooses, all values of one type; `nameType` judges the keys and brings them into one form. */
export function mapOf<T>(
  item: ValueType<T>,
  nameType: ValueType<string>,
  what: string,
): ValueType<ReadonlyMap<string, T>> {
  return {
    expected: `a table of ${what}`,
    json: { type: 'object', additionalProperties: item.json, propertyNames: nameType.json },
    structure: { is: 'map', item },
    read(value, at, reading) {
      if (!isTable(value)) {
        const header = item.structure?.is === 'table' && Array.isArray(value) ? headerMeant(at, value[0]) : undefined;
        reading.wrong(at, value, this.expected, header);
        return undefined;
      }
      const result = new Map<string, T>();
      const names = new Set<string>();
      const fields: Fields = item.structure?.is === 'table' ? item.structure.fields : {};
      const header = Object.keys(value).some((name) => Object.hasOwn(fields, name))
        ? headerMeant(at, value)
        : undefined;
      for (const [name, entry] of Object.entries(value)) {
        // The header that is to be written has it.
        if (name === 'path' && header !== undefined && typeof entry === 'string') continue;
        if (item.structure?.is === 'table' && Object.hasOwn(item.structure.fields, name)) {
          reading.problem(
            [...at, name],
            'is a key of a route, and the path of the route is missing',
            header ?? `write [${at.join('.')}."/"]`,
          );
          continue;
        }
        const key = nameType.read(name, [...at, name], reading);
        const isDoubled = item.structure?.is === 'table' && Array.isArray(entry);
        if (isDoubled) reading.wrong([...at, name], entry, item.expected, 'write its header in single brackets');
        const parsed = isDoubled ? undefined : item.read(entry, [...at, name], reading);
        if (key === undefined) continue;
        if (names.has(key)) reading.problem([...at, name], `is set twice: another key also means ${quote(key)}`);
        names.add(key);
        if (parsed !== undefined) result.set(key, parsed);
      }
      return result.size === Object.keys(value).length ? result : undefined;
    },
  };
}

/** What to write where the path of a route is a key of its table, as in other servers' files. */
function headerMeant(at: KeyPath, value: unknown): string | undefined {
  const path = isTable(value) ? value['path'] : undefined;
  return typeof path === 'string' && /^\/[!-~]{0,60}$/.test(path)
    ? `write [${at.join('.')}.${quote(path)}], without the key "path"`
    : undefined;
}

/** Either a table, or one value that says its most important key: `expand` makes the table of it. */
export function shortOr<S, F extends Fields>(
  short: ValueType<S>,
  whole: Table<F>,
  expand: (value: S) => RawTable,
): ValueType<Values<F>> {
  return {
    expected: `${short.expected}, or a table`,
    json: { anyOf: [short.json, whole.json] },
    structure: { is: 'table', fields: whole.fields },
    read(value, at, reading) {
      if (isTable(value)) return whole.read(value, at, reading);
      const parsed = short.read(value, at, reading);
      return parsed === undefined ? undefined : whole.read(expand(parsed), at, reading);
    },
  };
}

/** Either one value for everything, which becomes the table's only entry under `everything`, or such a table. */
export function oneOrMapOf<T>(
  item: ValueType<T>,
  everything: string,
  nameType: ValueType<string>,
  what: string,
): ValueType<ReadonlyMap<string, T>> {
  const map = mapOf(item, nameType, what);
  return {
    expected: `${item.expected}, or ${map.expected}`,
    json: { anyOf: [item.json, map.json] },
    read(value, at, reading) {
      if (isTable(value)) return map.read(value, at, reading);
      if (typeof value !== 'string') {
        reading.wrong(at, value, this.expected);
        return undefined;
      }
      const parsed = item.read(value, at, reading);
      return parsed === undefined ? undefined : new Map([[everything, parsed]]);
    },
  };
}

/** A rule over which keys of a table are there. It reads the file's own table, so that it holds even if a value is wrong. */
export interface Rule {
  /** A sentence for the reference page. */
  readonly note: string;
  readonly json: JsonSchema;
  check(table: RawTable, at: KeyPath, reading: Reading): void;
}

/** Of these keys exactly one must be set. */
export function exactlyOne(...names: readonly string[]): Rule {
  return {
    note:
      names.length === 1
        ? `\`${names[0]}\` is needed.`
        : `Exactly one of ${names.map((name) => `\`${name}\``).join(' and ')} is needed.`,
    json: { oneOf: names.map((name) => ({ required: [name] })) },
    check(value, at, reading) {
      const given = names.filter((name) => Object.hasOwn(value, name));
      if (given.length === 0)
        reading.problem(
          at,
          `needs ${names.length > 2 ? 'one of ' : ''}${names.map((name) => `"${name}"`).join(names.length > 2 ? ', ' : ' or ')}`,
        );
      const [first, second] = given;
      if (first !== undefined && second !== undefined)
        reading.problem(
          [...at, second],
          `cannot be set together with "${first}": only one of them can serve this path`,
        );
    },
  };
}

/** Of these keys at most one may be set. */
export function atMostOne(...names: readonly [string, string, ...string[]]): Rule {
  return {
    note: `At most one of ${names.map((name) => `\`${name}\``).join(', ')} can be set.`,
    json: { not: { anyOf: pairs(names).map((required) => ({ required })) } },
    check(value, at, reading) {
      const [first, ...others] = names.filter((name) => Object.hasOwn(value, name));
      for (const other of others) reading.problem([...at, other], `cannot be set together with "${first}"`);
    },
  };
}

function pairs(names: readonly string[]): readonly (readonly [string, string])[] {
  return names.flatMap((one, index) => names.slice(index + 1).map((other) => [one, other] as const));
}

/** These keys mean something only beside `owner`. */
export function needs(owner: string, ...names: readonly string[]): Rule {
  return {
    note: `${names.map((name) => `\`${name}\``).join(' and ')} only together with \`${owner}\`.`,
    json: { dependencies: Object.fromEntries(names.map((name) => [name, [owner]])) },
    check(value, at, reading) {
      if (Object.hasOwn(value, owner)) return;
      for (const name of names)
        if (Object.hasOwn(value, name)) reading.problem([...at, name], `has no effect without "${owner}"`);
    },
  };
}

/** All of these rules. */
export function together(...rules: readonly Rule[]): Rule {
  return {
    note: rules.map((rule) => rule.note).join(' '),
    json: Object.assign({}, ...rules.map((rule) => rule.json)),
    check(value, at, reading) {
      for (const rule of rules) rule.check(value, at, reading);
    },
  };
}

/** A table with these keys and no others. */
export interface Table<F extends Fields> extends ValueType<Values<F>> {
  readonly fields: F;
}

/** @param example what to write where something else than a table is, such as `tls = { certificate = "cert.pem" }` */
export function table<F extends Fields>(fields: F, rule?: Rule, example?: string): Table<F> {
  return {
    fields,
    expected: 'a table',
    structure: { is: 'table', fields, note: rule?.note },
    json: tableSchema(fields, rule),
    read(value, at, reading) {
      if (!isTable(value)) {
        reading.wrong(at, value, this.expected, example === undefined ? undefined : `write ${example}`);
        return undefined;
      }
      let whole = true;
      // Of a key under another name enough is said: its own is not missing besides.
      const meant = new Map<string, unknown>();
      for (const [name, given] of Object.entries(value)) {
        if (Object.hasOwn(fields, name)) continue;
        const known = reading.unknown([...at, name], Object.keys(fields), given);
        if (known !== undefined && !Object.hasOwn(value, known)) meant.set(known, given);
        whole = false;
      }
      rule?.check(meant.size === 0 ? value : { ...Object.fromEntries(meant), ...value }, at, reading);
      const result: { [name: string]: unknown } = {};
      for (const [name, key] of Object.entries(fields)) {
        const given = Object.hasOwn(value, name) ? value[name] : key.default;
        if (given === undefined) {
          if (key.required && !meant.has(name))
            reading.problem([...at, name], `is missing: it must be ${key.type.expected}`);
          whole &&= !key.required;
          result[name] = undefined;
          continue;
        }
        const parsed = key.type.read(given, [...at, name], reading);
        if (parsed === undefined) whole = false;
        result[name] = parsed;
      }
      // The one cast: what was read above is field by field what the type says.
      return whole ? (result as Values<F>) : undefined;
    },
  };
}

function tableSchema(fields: Fields, rule: Rule | undefined): JsonSchema {
  const properties = Object.entries(fields).map(([name, key]) => {
    const isPlain = key.default !== undefined && !isTable(key.default);
    return [name, { ...key.type.json, description: key.doc, ...(isPlain ? { default: key.default } : {}) }];
  });
  const needed = Object.keys(fields).filter((name) => fields[name]?.required);
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    ...(needed.length > 0 ? { required: needed } : {}),
    additionalProperties: false,
    ...rule?.json,
  };
}

/** The fields of a table, each of which may be left out and then has no default: it is inherited. */
export type Overrides<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Key<infer T> ? Key<T | undefined> : never;
};

/** The same table for a place that overrides another's values key by key: no key is required, none has a default. */
export function overridesOf<F extends Fields>(whole: Table<F>, example?: string): Table<Overrides<F>> {
  const fields = Object.entries(whole.fields).map(([name, key]) => [
    name,
    { type: key.type, doc: key.doc, required: false, default: undefined },
  ]);
  // Like the cast in `table`: the keys are those of `whole`, one by one.
  return table(Object.fromEntries(fields) as Overrides<F>, undefined, example);
}
