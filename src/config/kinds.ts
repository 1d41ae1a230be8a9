/**
 * The kinds of value that a configuration key can have. A kind reads one TOML value into what the code works with, or
 * says what it had expected; it also tells the JSON Schema and the reference page about itself. `schema.ts` is made of these.
 */
import { isIP } from 'node:net';
import { isAbsolute, resolve } from 'node:path';

/** Keys from the root of the file to a value, for example `['stream', '/live', 'interval']`; numbers are list indexes. */
export type KeyPath = readonly (string | number)[];

/** Where a kind reports what is wrong. */
export interface Reading {
  /** Relative paths in the file are relative to this folder. */
  readonly directory: string;
  /** The value at `path` is not what it must be; `expected` completes "must be …". */
  wrong(path: KeyPath, value: unknown, expected: string): void;
  /** Anything else that is wrong at `path`: a whole sentence without its full stop. */
  problem(path: KeyPath, sentence: string): void;
  /** A key that nobody knows; `known` are the ones that could have been meant. */
  unknown(path: KeyPath, known: readonly string[]): void;
}

export type JsonSchema = { readonly [key: string]: unknown };

export interface Kind<T> {
  /** Completes "must be …". */
  readonly expected: string;
  readonly json: JsonSchema;
  /** The value for the code, or undefined after having reported why not. */
  read(value: unknown, path: KeyPath, reading: Reading): T | undefined;
}

/** One key of a table: its kind, the default in TOML's own notation, and a sentence why one would set it. */
export interface Key<T> {
  readonly kind: Kind<unknown>;
  readonly doc: string;
  readonly required: boolean;
  readonly default: unknown;
  /** Never set: carries the type. */
  readonly type?: T;
}

export type Fields = { readonly [name: string]: Key<unknown> };
export type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends Key<infer T> ? T : never };

export function required<T>(kind: Kind<T>, doc: string): Key<T> {
  return { kind, doc, required: true, default: undefined };
}

/** A key that may be left out and then is undefined. */
export function optional<T>(kind: Kind<T>, doc: string): Key<T | undefined> {
  return { kind, doc, required: false, default: undefined };
}

/** A key that may be left out; `value` is what a user would have written to get the default. */
export function preset<T>(kind: Kind<T>, value: unknown, doc: string): Key<T> {
  return { kind, doc, required: false, default: value };
}

function simple<T>(
  expected: string,
  json: JsonSchema,
  parse: (value: unknown, reading: Reading) => T | undefined,
): Kind<T> {
  return {
    expected,
    json,
    read(value, path, reading) {
      const result = parse(value, reading);
      if (result === undefined) reading.wrong(path, value, expected);
      return result;
    },
  };
}

export const boolean: Kind<boolean> = simple('true or false', { type: 'boolean' }, (value) =>
  typeof value === 'boolean' ? value : undefined,
);

export function integer(bounds: { min: number; max: number }): Kind<number> {
  const json = { type: 'integer', minimum: bounds.min, maximum: bounds.max };
  return simple(`a whole number from ${bounds.min} to ${bounds.max}`, json, (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= bounds.min && value <= bounds.max
      ? value
      : undefined,
  );
}

/** Any text that fits `pattern`; `expected` says in words what that is. */
export function text(expected = 'a string that is not empty', pattern = /^[^\0]+$/): Kind<string> {
  return simple(expected, { type: 'string', pattern: pattern.source }, (value) =>
    typeof value === 'string' && pattern.test(value) ? value : undefined,
  );
}

export function choice<const T extends string>(...values: readonly T[]): Kind<T> {
  const named = values.map((value) => `"${value}"`);
  const last = named.length > 1 ? `${named.slice(0, -1).join(', ')} or ${named.at(-1)}` : `${named[0]}`;
  return simple(last, { enum: values }, (value) => values.find((known) => known === value));
}

const DURATION_UNITS: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `"250ms"`, `"30s"`, `"5m"`, `"1.5h"`, `"7d"`; undefined for anything else. */
export function parseDuration(value: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value);
  if (!match) return undefined;
  const milliseconds = Number(match[1]) * (DURATION_UNITS[match[2] ?? ''] ?? Number.NaN);
  return Number.isSafeInteger(Math.round(milliseconds)) ? Math.round(milliseconds) : undefined;
}

/** A length of time, in milliseconds. The bounds are written as in the file. */
export function duration(min: string, max: string): Kind<number> {
  const low = parseDuration(min) ?? 0;
  const high = parseDuration(max) ?? 0;
  const json = { type: 'string', pattern: '^\\d+(\\.\\d+)?(ms|s|m|h|d)$' };
  return simple(`${min} to ${max}, as a string with its unit such as "30s"`, json, (value) => {
    const parsed = typeof value === 'string' ? parseDuration(value) : undefined;
    return parsed !== undefined && parsed >= low && parsed <= high ? parsed : undefined;
  });
}

const SIZE_UNITS: { readonly [unit: string]: number } = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** Bytes of `"64KiB"`, `"1MB"`, `"512B"`; undefined for anything else. */
export function parseSize(value: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(B|KB|MB|GB|KiB|MiB|GiB)$/.exec(value);
  if (!match) return undefined;
  const bytes = Math.round(Number(match[1]) * (SIZE_UNITS[match[2] ?? ''] ?? Number.NaN));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** A number of bytes. The bounds are written as in the file. */
export function size(min: string, max: string): Kind<number> {
  const low = parseSize(min) ?? 0;
  const high = parseSize(max) ?? 0;
  const json = {
    anyOf: [
      { type: 'integer', minimum: low, maximum: high },
      { type: 'string', pattern: '^\\d+(\\.\\d+)?([KMG]i?)?B$' },
    ],
  };
  return simple(`${min} to ${max}, as a string such as "64KiB" or a whole number of bytes`, json, (value) => {
    const parsed =
      typeof value === 'number' && Number.isInteger(value)
        ? value
        : typeof value === 'string'
          ? parseSize(value)
          : undefined;
    return parsed !== undefined && parsed >= low && parsed <= high ? parsed : undefined;
  });
}

/** A path in the file system, made absolute from the folder of the configuration file. Whether it exists is `load.ts`'s to say. */
export const path: Kind<string> = simple('a path', { type: 'string', minLength: 1 }, (value, reading) =>
  typeof value === 'string' && value !== '' && !value.includes('\0')
    ? isAbsolute(value)
      ? value
      : resolve(reading.directory, value)
    : undefined,
);

/**
 * A program and its arguments. Never a shell line: nothing is expanded or split. A program with a slash is relative to
 * the configuration file; one without is looked up in PATH when it is checked and again when it is started.
 */
export const command: Kind<readonly [string, ...string[]]> = simple(
  'a list of strings, the program first, such as ["vmstat", "-n", "1"]',
  { type: 'array', items: { type: 'string' }, minItems: 1 },
  (value, reading) => {
    if (
      !Array.isArray(value) ||
      !value.every((part): part is string => typeof part === 'string' && !part.includes('\0'))
    )
      return undefined;
    const [program, ...args] = value;
    if (program === undefined || program === '') return undefined;
    return [program.includes('/') ? resolve(reading.directory, program) : program, ...args];
  },
);

/** Where to listen. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly text: string }
  | { readonly kind: 'unix'; readonly path: string; readonly text: string };

/** `"127.0.0.1:80"`, `"[::]:443"`, `":8080"` (every address, both families), `"unix:/run/x.sock"`; undefined for anything else. */
export function parseAddress(value: string, directory: string): Address | undefined {
  if (value.startsWith('unix:')) {
    const name = value.slice(5);
    if (name === '' || name.includes('\0')) return undefined;
    const socket = resolve(directory, name);
    return Buffer.byteLength(socket) <= 107 ? { kind: 'unix', path: socket, text: value } : undefined;
  }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|)?:(\d{1,5})$/.exec(value);
  if (!match) return undefined;
  const host = match[1] ?? match[2] ?? '::';
  const port = Number(match[3]);
  if (port > 65535 || isIP(host) !== (match[2] === undefined ? 6 : 4)) return undefined;
  return { kind: 'tcp', host, port, text: value };
}

export const address: Kind<Address> = simple(
  'an address such as "[::]:80", "127.0.0.1:8080" or "unix:/run/runnel.sock" (a socket path of at most 107 bytes)',
  { type: 'string', pattern: '^(unix:.+|.*:\\d{1,5})$' },
  (value, reading) => (typeof value === 'string' ? parseAddress(value, reading.directory) : undefined),
);

export function listOf<T>(item: Kind<T>, what: string): Kind<readonly T[]> {
  return {
    expected: `a list of ${what}`,
    json: { type: 'array', items: item.json },
    read(value, at, reading) {
      if (!Array.isArray(value)) {
        reading.wrong(at, value, this.expected);
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

function isTable(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** A table whose keys the user chooses, all values of one kind; `nameKind` judges the keys. */
export function mapOf<T>(item: Kind<T>, nameKind: Kind<string>, what: string): Kind<ReadonlyMap<string, T>> {
  return {
    expected: `a table of ${what}`,
    json: { type: 'object', additionalProperties: item.json },
    read(value, at, reading) {
      if (!isTable(value)) {
        reading.wrong(at, value, this.expected);
        return undefined;
      }
      const result = new Map<string, T>();
      let whole = true;
      for (const [name, entry] of Object.entries(value)) {
        const key = nameKind.read(name, [...at, name], reading);
        const parsed = item.read(entry, [...at, name], reading);
        if (key === undefined || parsed === undefined) whole = false;
        else result.set(key, parsed);
      }
      return whole ? result : undefined;
    },
  };
}

/** A table with these keys and no others. */
export interface Table<F extends Fields> extends Kind<Values<F>> {
  readonly fields: F;
}

export function table<F extends Fields>(fields: F): Table<F> {
  return {
    fields,
    expected: 'a table',
    get json(): JsonSchema {
      const properties = Object.entries(fields).map(([name, key]) => [
        name,
        { ...key.kind.json, description: key.doc, ...(key.default === undefined ? {} : { default: key.default }) },
      ]);
      const needed = Object.keys(fields).filter((name) => fields[name]?.required);
      return {
        type: 'object',
        properties: Object.fromEntries(properties),
        required: needed,
        additionalProperties: false,
      };
    },
    read(value, at, reading) {
      if (!isTable(value)) {
        reading.wrong(at, value, this.expected);
        return undefined;
      }
      let whole = true;
      for (const name of Object.keys(value)) {
        if (Object.hasOwn(fields, name)) continue;
        reading.unknown([...at, name], Object.keys(fields));
        whole = false;
      }
      const result: { [name: string]: unknown } = {};
      for (const [name, key] of Object.entries(fields)) {
        const given = Object.hasOwn(value, name) ? value[name] : key.default;
        if (given === undefined) {
          if (key.required) {
            reading.problem([...at, name], `is required: ${key.kind.expected}`);
            whole = false;
          }
          result[name] = undefined;
          continue;
        }
        const parsed = key.kind.read(given, [...at, name], reading);
        if (parsed === undefined) whole = false;
        result[name] = parsed;
      }
      // The one cast: what was read above is field by field what the type says.
      return whole ? (result as Values<F>) : undefined;
    },
  };
}
