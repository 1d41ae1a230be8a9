/** What must hold between the keys of `cors` and of `auth`, over a route's own table and `[defaults]` together. */

import { auth as authTable } from '../keys/policies.ts';
import { type RawFile, tableAt } from '../route-schema.ts';
import { isTable, type RawTable } from '../values/tables.ts';
import type { KeyPath, Reading } from '../values/value.ts';

const LISTS = ['origins', 'methods', 'headers', 'expose'] as const;

/** `*` together with credentials: no browser accepts it (Fetch, "CORS protocol and credentials"). */
export function checkCors({ table, routes }: RawFile, reading: Reading): void {
  const defaults = tableAt(table, ['defaults', 'cors']);
  check(['defaults', 'cors'], defaults, {}, reading);
  for (const { path, table: route } of routes) check([...path, 'cors'], tableAt(route, ['cors']), defaults, reading);
}

/** An `auth` that asks for nothing would be taken for a lock. */
export function checkAuth(file: RawFile, reading: Reading): void {
  const whole = tableAt(file.table, ['defaults']);
  const defaults = tableAt(whole, ['auth']);
  const tables: readonly (readonly [KeyPath, RawTable, RawTable])[] = [
    [['defaults'], whole, {}],
    [['admin'], tableAt(file.table, ['admin']), defaults],
    ...file.routes.map(({ path, table }) => [path, table, defaults] as const),
    // Takes the place of the others instead of adding to them.
    ...file.routes.map(({ path, table }) => [[...path, 'publish'], tableAt(table, ['publish']), {}] as const),
  ];
  const certificates = asksForCertificates(file.table);
  for (const [at, table, inherited] of tables) {
    const own = tableAt(table, ['auth']);
    if (!isTable(table['auth']) || Object.keys(own).length === 0) continue;
    const auth = { ...inherited, ...own };
    // Inherited, it is told at [defaults], once.
    if (own['client_certificate'] === true && auth['require'] !== 'none' && !certificates)
      reading.problem(
        [...at, 'auth', 'client_certificate'],
        'no listener asks clients for a certificate, so no client can send one',
        'add client = { ca = "..." } to the "tls" of a [[listen]]',
      );
    const asks =
      auth['client_certificate'] === true ||
      (['basic', 'tokens', 'proxy_user'] as const).some((name) => auth[name] !== undefined);
    // Of a key that nobody knows enough was said.
    const isKnown = Object.keys(own).every((name) => Object.hasOwn(authTable.fields, name));
    if (!asks && isKnown && auth['require'] !== 'none')
      reading.problem(
        [...at, 'auth'],
        'requires nothing, so every client would be allowed',
        'set basic, tokens, client_certificate or proxy_user',
      );
    checkProxyUser([...at, 'auth'], own, auth, file.table, reading);
    if (auth['query_token'] === true && auth['tokens'] === undefined)
      reading.problem([...at, 'auth', 'query_token'], 'has no effect without tokens');
  }
}

/** A name that a proxy sends is only worth what proves the proxy. */
function checkProxyUser(at: KeyPath, own: RawTable, auth: RawTable, file: RawTable, reading: Reading): void {
  const [user, secret] = ['proxy_user', 'proxy_secret_file'] as const;
  // Inherited, it is told at [defaults], once.
  if (own[user] === undefined && own[secret] === undefined) return;
  if (auth[secret] === undefined)
    reading.problem(
      [...at, user],
      'needs proxy_secret_file: without it, every client that reaches this port could claim a name',
      'add proxy_secret_file: a file with the line that "runnel token PROXY" prints; the proxy sends the token as X-Proxy-Secret',
    );
  else if (auth[user] === undefined) reading.problem([...at, secret], 'has no effect without proxy_user');
  const trusted = tableAt(file, ['connections'])['trusted_proxies'];
  if (Array.isArray(trusted) && trusted.length === 0 && auth[user] !== undefined)
    reading.problem(
      [...at, user],
      'connections.trusted_proxies is empty, so no proxy is believed',
      'list the proxy there',
    );
}

/** Whether some listener has `tls.client`, and does not say "off" there. */
function asksForCertificates(file: RawTable): boolean {
  const listen = file['listen'];
  const listeners: readonly unknown[] = Array.isArray(listen) ? listen : [];
  return listeners.some((entry) => {
    const client = isTable(entry) ? tableAt(entry, ['tls'])['client'] : undefined;
    return isTable(client) && client['mode'] !== 'off';
  });
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
        `"*" in ${name} cannot be used with credentials`,
        name === 'origins' ? 'name the origins that may send them' : `list the ${name}`,
      );
    }
  }
}
