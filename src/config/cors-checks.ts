/** What must hold between the keys of `cors`, over a route's own table and `[defaults]` together. */
import type { KeyPath, Reading } from './kind.ts';
import { isTable, type RawTable } from './tables.ts';

const ROUTE_TABLES = ['static', 'cgi', 'stream', 'proxy', 'redirect'] as const;
const LISTS = ['origins', 'methods', 'headers', 'expose'] as const;

/** `*` together with credentials: no browser accepts it (Fetch, "CORS protocol and credentials"). */
export function checkCors(file: RawTable, reading: Reading): void {
  const defaults = inside(inside(file, 'defaults'), 'cors');
  check(['defaults', 'cors'], defaults, {}, reading);
  for (const table of ROUTE_TABLES) {
    for (const [key, route] of Object.entries(inside(file, table))) {
      if (isTable(route)) check([table, key, 'cors'], inside(route, 'cors'), defaults, reading);
    }
  }
}

function check(at: KeyPath, own: RawTable, inherited: RawTable, reading: Reading): void {
  if ((own['credentials'] ?? inherited['credentials']) !== true) return;
  for (const name of LISTS) {
    const list = own[name] ?? inherited[name];
    if (!Array.isArray(list) || !list.includes('*')) continue;
    // What [defaults] has wrong by itself is told there, once.
    const path = Object.hasOwn(own, name) ? name : Object.hasOwn(own, 'credentials') ? 'credentials' : undefined;
    if (path !== undefined) {
      reading.problem(
        [...at, path],
        `"*" in ${name} does not go together with credentials`,
        name === 'origins' ? 'name the origins that may send them' : `list the ${name}`,
      );
    }
  }
}

function inside(table: RawTable, name: string): RawTable {
  const value = table[name];
  return isTable(value) ? value : {};
}
