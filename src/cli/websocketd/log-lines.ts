/** Lines of the log as websocketd writes them: `DATE | LEVEL  | CATEGORY   | key:'value' … | MESSAGE`. */
import type { Level, LineFormat, LogFields } from '../../ops/log.ts';
import type { LogLevel } from './command-line.ts';

const RANK: { readonly [level in LogLevel]: number } = {
  ...{ debug: 0, trace: 1, access: 2, info: 3, error: 4, fatal: 5, none: 6 },
};

interface Entry {
  readonly level: LogLevel;
  readonly category: 'server' | 'session' | 'http' | 'stderr' | 'process';
  readonly message: string;
  /** Of the request, if it is about one. */
  readonly url?: string;
}

/** What `level` leaves out is no line. */
export function logLines(level: LogLevel, now: () => Date = () => new Date()): LineFormat {
  return (ours, message, fields) => {
    const entry = entryOf(ours, message, fields);
    if (RANK[entry.level] < RANK[level]) return undefined;
    return line(entry, fields, now());
  };
}

/** A line of our own, such as what has kept the server from starting. */
export function fatalLine(message: string, now: Date): string {
  return line({ level: 'fatal', category: 'server', message }, {}, now);
}

function entryOf(level: Level, message: string, fields: LogFields): Entry {
  const { status, ms, client, from } = fields;
  if (typeof status === 'number' && ms !== undefined) return requestEntry(status, message);
  if (client !== undefined && message.endsWith(OPENED))
    return { level: 'access', category: 'session', message: 'CONNECT', url: message.slice(0, -OPENED.length) };
  if (from === 'stderr') return { level: 'error', category: 'stderr', message };
  const shown = level === 'warn' ? 'error' : level;
  return { level: shown, category: fields['route'] === undefined ? 'server' : 'process', message };
}

/** How the log says that a WebSocket is open: "/path?query opened". */
const OPENED = ' opened';

/** `target`: "GET /path?query". */
function requestEntry(status: number, target: string): Entry {
  const url = target.slice(target.indexOf(' ') + 1);
  if (status === 101) return { level: 'access', category: 'session', message: 'DISCONNECT', url };
  const what = status === 404 ? 'NOT FOUND' : `${target.slice(0, target.indexOf(' '))} ${status}`;
  return { level: 'access', category: 'http', message: what, url };
}

/** Fields that the columns have already, and those of which the drop-in's one route says nothing. */
const HIDDEN: ReadonlySet<string> = new Set(['route', 'from', 'status']);
const NAMES: { readonly [name: string]: string } = { client: 'remote' };

function line({ level, category, message, url }: Entry, fields: LogFields, now: Date): string {
  const pairs = Object.entries({ ...(url === undefined ? {} : { url }), ...fields }).flatMap(([name, value]) =>
    value === undefined || HIDDEN.has(name) ? [] : `${NAMES[name] ?? name}:'${value}'`,
  );
  const date = now.toUTCString().replace('GMT', '+0000');
  return `${date} | ${level.toUpperCase().padEnd(6)} | ${category.padEnd(10)} | ${pairs.join(' ')} | ${message}`;
}
