/**
 * What must hold between the keys of a file. Read from the file's own tables and not from what was made of them, so that
 * one wrong value elsewhere does not hide these.
 */
import { isIPv4 } from 'node:net';
import { readAddress } from '../../net/address.ts';
import { parseRouteKey } from '../../routing/route-key.ts';
import type { TextPosition } from '../reading/positions.ts';
import { formatPath, quote } from '../reading/problems.ts';
import { root } from '../schema.ts';
import { type Address, parseAddress } from '../values/simple.ts';
import { isTable, type RawTable } from '../values/tables.ts';
import type { KeyPath, Reading } from '../values/value.ts';
import { checkConnect } from './connect.ts';
import { checkStreams } from './streams.ts';

/** Where a key is written; undefined for what did not come from a file. */
export type PositionOf = (path: KeyPath) => TextPosition | undefined;

/** Two listeners on one address, no listener, one path in two tables, keys that do not go together. */
export function checkAcross(file: RawTable, reading: Reading, positionOf: PositionOf): void {
  checkAddresses(file, reading);
  checkRouteKeys(file, reading, positionOf);
  checkConnect(file, reading);
  checkStreams(file, routePaths(file), reading);
}

/** Whether the file has any route at all. */
export function hasRoutes(file: RawTable): boolean {
  return routePaths(file).length > 0;
}

interface Named {
  readonly path: KeyPath;
  readonly address: Address;
}

function checkAddresses(file: RawTable, reading: Reading): void {
  const listen = file['listen'] ?? root.fields.listen.default;
  const listeners: readonly unknown[] = Array.isArray(listen) ? listen : [];
  if (Array.isArray(listen) && listen.length === 0)
    reading.problem(['listen'], 'is empty: no address would accept connections');
  const admin = isTable(file['admin']) ? [named(file['admin']['listen'], ['admin', 'listen'], reading)] : [];
  const all = listeners.map((entry, index) =>
    named(isTable(entry) ? entry['address'] : undefined, ['listen', index, 'address'], reading),
  );
  const known = [...all, ...admin].filter((entry) => entry !== undefined);
  for (const [index, one] of known.entries()) {
    const other = known.slice(0, index).find((before) => overlap(before.address, one.address));
    if (other === undefined) continue;
    const name =
      Object.hasOwn(file, 'listen') || other.path[0] !== 'listen' ? formatPath(other.path) : 'the default listener';
    reading.problem(
      one.path,
      `${quote(one.address.text)} overlaps with ${name} (${quote(other.address.text)}): only one can have it`,
    );
  }
}

function named(value: unknown, path: KeyPath, reading: Reading): Named | undefined {
  const address = typeof value === 'string' ? parseAddress(value, reading.directory) : undefined;
  return address === undefined ? undefined : { path, address };
}

/**
 * Whether two listeners would be in each other's way. `[::]` takes every address of both families, `0.0.0.0` every IPv4
 * one. Port 0 is a new port each time.
 */
export function overlap(a: Address, b: Address): boolean {
  if (a.kind === 'systemd' || b.kind === 'systemd')
    return a.kind === 'systemd' && b.kind === 'systemd' && a.socket === b.socket;
  if (a.kind === 'unix' || b.kind === 'unix') return a.kind === 'unix' && b.kind === 'unix' && a.path === b.path;
  if (a.port !== b.port || a.port === 0) return false;
  const [one, other] = [readAddress(a.host) ?? a.host, readAddress(b.host) ?? b.host];
  if (one === other || one === '::' || other === '::') return true;
  return (one === '0.0.0.0' && isIPv4(other)) || (other === '0.0.0.0' && isIPv4(one));
}

export const ROUTE_TABLES = ['static', 'cgi', 'fastcgi', 'stream'] as const;

function routePaths(file: RawTable): readonly (readonly [table: string, key: string])[] {
  return ROUTE_TABLES.flatMap((table) => {
    const routes = file[table];
    return isTable(routes) ? Object.keys(routes).map((key) => [table, key] as const) : [];
  });
}

function checkRouteKeys(file: RawTable, reading: Reading, positionOf: PositionOf): void {
  const inFileOrder = [...routePaths(file)].sort((a, b) => (positionOf(a)?.line ?? 0) - (positionOf(b)?.line ?? 0));
  const first = new Map<string, KeyPath>();
  for (const path of inFileOrder) {
    const key = parseRouteKey(path[1]);
    const place = key === undefined ? path[1] : key.host + key.path;
    const before = first.get(place);
    if (before === undefined) {
      first.set(place, path);
      continue;
    }
    const line = positionOf(before)?.line;
    const where = line === undefined ? '' : ` in line ${line}`;
    reading.problem(path, `is ${formatPath(before)}${where} already: one path is served by one route`);
  }
}
