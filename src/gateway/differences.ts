/** What two configurations have in common: pure comparisons, for a reload. */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config.ts';

/** Whether two values of a configuration mean the same. The order of a map's entries counts: the first pattern that fits wins. */
export function same(a: unknown, b: unknown): boolean {
  if (a instanceof Map && b instanceof Map) return same([...a], [...b]);
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((value, at) => same(value, b[at]));
  if (isPlain(a) && isPlain(b)) {
    const names = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...names].every((name) => same(a[name], b[name]));
  }
  return isDeepStrictEqual(a, b);
}

function isPlain(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Keys that hold for the life of a process, and that `next` would have otherwise than they are in force. */
export function needRestart(inForce: Config, next: Config): readonly string[] {
  const { connections, processes, log } = inForce;
  const keys: string[] = [];
  // uWebSockets.js reads it once, when it is loaded; the times are the server's from its beginning.
  for (const key of ['header_bytes', 'header_time', 'keep_alive'] as const)
    if (connections[key] !== next.connections[key]) keys.push(`connections.${key}`);
  if (processes.spawner !== next.processes.spawner) keys.push('processes.spawner');
  for (const key of ['format', 'file', 'syslog'] as const) if (!same(log[key], next.log[key])) keys.push(`log.${key}`);
  for (const key of ['file', 'format'] as const)
    if (log.requests[key] !== next.log.requests[key]) keys.push(`log.requests.${key}`);
  return keys;
}

/** Tables that are nobody's route and nobody's listener. */
const TABLES = ['connections', 'defaults', 'log', 'processes', 'stop_timeout'] as const;

export function changedTables(before: Config, next: Config): readonly string[] {
  return TABLES.filter((name) => !same(before[name], next[name]));
}
