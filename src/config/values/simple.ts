/** The types of plain values that a configuration key can have. `tables.ts` has those that hold others. */
import { isIP } from 'node:net';
import { dirname, resolve } from 'node:path';
import { addressFamily } from '../../net/address.ts';
import { folderTrouble } from '../disk/disk.ts';
import { quote } from '../reading/problems.ts';
import { meantAddress, meantBoolean, meantChoice, meantDuration, meantInteger, meantSize } from './meant.ts';
import { canBeUsed } from './on-disk.ts';
import type { JsonSchema, ValueType } from './value.ts';

/** @param meant guesses what to write instead of a value that `parse` does not take; only what it takes is told */
function simple<T>(
  expected: string,
  json: JsonSchema,
  parse: (value: unknown) => T | undefined,
  meant: (value: unknown) => string | undefined,
): ValueType<T> {
  return {
    expected,
    json,
    read(value, path, reading) {
      const result = parse(value);
      if (result === undefined) reading.wrong(path, value, expected, instead(meant(value), value, parse));
      return result;
    },
  };
}

/** `write "10MB"`, if that would be taken. */
function instead(toml: string | undefined, value: unknown, parse: (value: unknown) => unknown): string | undefined {
  if (toml === undefined || parse(JSON.parse(toml)) === undefined) return undefined;
  const loses = typeof value === 'string' && !toml.startsWith('"');
  return `write ${toml}${loses ? ' without quotes' : ''}`;
}

export const boolean: ValueType<boolean> = simple(
  'true or false',
  { type: 'boolean' },
  (value) => (typeof value === 'boolean' ? value : undefined),
  meantBoolean,
);

export function integer(bounds: { min: number; max: number }): ValueType<number> {
  const json = { type: 'integer', minimum: bounds.min, maximum: bounds.max };
  return simple(
    `a whole number from ${bounds.min} to ${bounds.max}`,
    json,
    (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= bounds.min && value <= bounds.max
        ? value
        : undefined,
    meantInteger,
  );
}

/** Any text that fits `pattern`; `expected` says in words what that is. */
export function text(expected = 'a string that is not empty', pattern = /^[^\x00]+$/): ValueType<string> {
  return {
    expected,
    json: { type: 'string', pattern: pattern.source },
    read(value, path, reading) {
      if (typeof value === 'string' && pattern.test(value)) return value;
      // The value itself may be a secret.
      const isBare = typeof value === 'number' || typeof value === 'boolean';
      reading.wrong(path, value, expected, isBare ? 'put it in quotes' : undefined);
      return undefined;
    },
  };
}

export function choice<const T extends string>(...values: readonly T[]): ValueType<T> {
  return choiceOf(values, {});
}

/** @param aliases what others write for one of `values`, in lower case */
export function choiceOf<const T extends string>(
  values: readonly T[],
  aliases: { readonly [word: string]: NoInfer<T> },
): ValueType<T> {
  const named = values.map((value) => `"${value}"`);
  const last = named.length > 1 ? `${named.slice(0, -1).join(', ')} or ${named.at(-1)}` : `${named[0]}`;
  return simple(
    last,
    { enum: values },
    (value) => values.find((known) => known === value),
    (value) => meantChoice(value, values, aliases),
  );
}

export const logLevel = choiceOf(['debug', 'info', 'warn', 'error'], {
  ...{ trace: 'debug', verbose: 'debug', notice: 'info', warning: 'warn', err: 'error' },
  ...{ crit: 'error', critical: 'error', fatal: 'error', emerg: 'error', alert: 'error' },
});

const DURATION_UNITS: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `"250ms"`, `"30s"`, `"5m"`, `"1.5h"`, `"7d"`; undefined for anything else. */
export function parseDuration(value: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value);
  if (!match) return undefined;
  const milliseconds = Number(match[1]) * (DURATION_UNITS[match[2] ?? ''] ?? Number.NaN);
  return Number.isSafeInteger(Math.round(milliseconds)) ? Math.round(milliseconds) : undefined;
}

/** A length of time, in milliseconds. The bounds are written as in the file. */
export function duration(min: string, max: string): ValueType<number> {
  const low = parseDuration(min) ?? 0;
  const high = parseDuration(max) ?? 0;
  const json = { type: 'string', pattern: '^\\d+(\\.\\d+)?(ms|s|m|h|d)$' };
  return simple(
    `${min} to ${max}, as a string with its unit such as "30s"`,
    json,
    (value) => {
      const parsed = typeof value === 'string' ? parseDuration(value) : undefined;
      return parsed !== undefined && parsed >= low && parsed <= high ? parsed : undefined;
    },
    meantDuration,
  );
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
export function size(min: string, max: string): ValueType<number> {
  const low = parseSize(min) ?? 0;
  const high = parseSize(max) ?? 0;
  const json = {
    anyOf: [
      { type: 'integer', minimum: low, maximum: high },
      { type: 'string', pattern: '^\\d+(\\.\\d+)?([KMG]i?)?B$' },
    ],
  };
  return simple(
    `${min} to ${max}, as a string such as "64KiB" or a whole number of bytes`,
    json,
    (value) => {
      const parsed =
        typeof value === 'number' && Number.isInteger(value)
          ? value
          : typeof value === 'string'
            ? parseSize(value)
            : undefined;
      return parsed !== undefined && parsed >= low && parsed <= high ? parsed : undefined;
    },
    meantSize,
  );
}

/** Where to listen. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly text: string }
  | { readonly kind: 'unix'; readonly path: string; readonly text: string }
  | { readonly kind: 'systemd'; readonly socket: string; readonly text: string };

/** What `struct sockaddr_un` holds, less the closing NUL (unix(7)). */
export const MAX_SOCKET_PATH = 107;

/** `"127.0.0.1:80"`, `"[::]:443"`, `":8080"` (every address, both families), `"unix:/run/x.sock"`, `"systemd:NAME"`; undefined for anything else. */
export function parseAddress(value: string, directory: string): Address | undefined {
  if (value.startsWith('unix:')) {
    const name = value.slice(5);
    if (name === '' || name.includes('\0')) return undefined;
    const socket = resolve(directory, name);
    return Buffer.byteLength(socket) <= MAX_SOCKET_PATH ? { kind: 'unix', path: socket, text: value } : undefined;
  }
  // A FileDescriptorName (systemd.socket(5)): up to 255 printable ASCII characters, no colon.
  const inherited = /^systemd:([!-9;-~]{1,255})$/.exec(value)?.[1];
  if (inherited !== undefined) return { kind: 'systemd', socket: inherited, text: value };
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|)?:(\d{1,5})$/.exec(value);
  if (!match) return undefined;
  const host = match[1] ?? match[2] ?? '::';
  const port = Number(match[3]);
  if (port > 65535 || addressFamily(host) !== (match[2] === undefined ? 6 : 4)) return undefined;
  return { kind: 'tcp', host, port, text: value };
}

export const address: ValueType<Address> = {
  expected: 'an address such as "[::]:80", "127.0.0.1:8080" or "unix:/run/runnel.sock"',
  json: { type: 'string', pattern: '^(unix:.+|systemd:[!-9;-~]+|.*:[0-9]{1,5})$' },
  read(value, at, reading) {
    const parsed = typeof value === 'string' ? parseAddress(value, reading.directory) : undefined;
    if (parsed === undefined) {
      const meant = meantAddress(value);
      reading.wrong(
        at,
        value,
        expectedInstead(value) ?? this.expected,
        Array.isArray(value) && at[0] === 'listen'
          ? 'each address has a [[listen]] table of its own'
          : meant === undefined || parseAddress(JSON.parse(meant), reading.directory) === undefined
            ? undefined
            : `write ${meant}`,
      );
      return undefined;
    }
    if (parsed.kind !== 'unix') return parsed;
    const place = dirname(parsed.path);
    const trouble = folderTrouble(reading.disk, place) ?? reading.disk.whyNotWritable(place);
    return canBeUsed(`the folder of the socket, ${quote(place)},`, trouble, at, reading) ? parsed : undefined;
  },
};

/** What to say to somebody who was close. */
function expectedInstead(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  if (value.startsWith('unix:/')) return `"unix:" and a path of at most ${MAX_SOCKET_PATH} bytes`;
  if (Number(/:(\d+)$/.exec(value)?.[1]) > 65535) return 'an address whose port is at most 65535';
  if (isIP(value) !== 0) return 'an IP address and a port';
  if (/^(https?:\/\/)?[A-Za-z][A-Za-z0-9.-]*:\d+\/?$/i.test(value) || value.toLowerCase() === 'localhost')
    return 'an IP address and a port: names are not looked up';
  return undefined;
}
