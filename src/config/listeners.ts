/** What must hold between the keys of a listener, and between certificates and the hosts of routes. */
import { covers } from '../tls/names.ts';
import { ROUTE_TABLES } from './checks.ts';
import type { Reading } from './kind.ts';
import { formatPath, quote } from './problems.ts';
import type { FileConfig } from './schema.ts';
import { isTable, type RawTable } from './tables.ts';

/** TLS with an engine that does not speak it, a redirect of TLS, a redirect to nowhere, proxies of which there are none. */
export function checkListeners(file: RawTable, reading: Reading): void {
  const listen = file['listen'];
  if (!Array.isArray(listen)) return;
  const listeners: readonly unknown[] = listen;
  const anyTls = listeners.some((entry) => isTable(entry) && Object.hasOwn(entry, 'tls'));
  for (const [index, entry] of listeners.entries()) {
    if (!isTable(entry)) continue;
    if (entry['proxy_protocol'] === true && isOverTcp(entry['address']) && !hasProxies(file))
      reading.problem(
        ['listen', index, 'proxy_protocol'],
        'nobody could connect: connections.trusted_proxies is empty',
        'name the proxies there, such as ["127.0.0.1"]',
      );
    const hasTls = Object.hasOwn(entry, 'tls');
    if (hasTls && entry['engine'] === 'uws')
      reading.problem(['listen', index, 'engine'], '"uws" does not serve TLS', 'leave it out, or write "node"');
    if (hasTls && Object.hasOwn(entry, 'redirect'))
      reading.problem(
        ['listen', index, 'redirect'],
        'cannot be set together with "tls": this listener is HTTPS already',
      );
    if (entry['redirect'] === 'https' && !anyTls)
      reading.problem(
        ['listen', index, 'redirect'],
        'there is no listener with "tls" to send clients to',
        'add one, or name the port where something else serves HTTPS, such as "https:443"',
      );
  }
}

/** A socket from systemd may be a Unix socket, which needs no address to be trusted. */
function isOverTcp(address: unknown): boolean {
  return typeof address === 'string' && !/^(unix|systemd):/.test(address);
}

function hasProxies(file: RawTable): boolean {
  const connections = file['connections'];
  const proxies = isTable(connections) ? connections['trusted_proxies'] : undefined;
  // What is no list is told elsewhere.
  return proxies !== undefined && (!Array.isArray(proxies) || proxies.length > 0);
}

/** Hosts of routes that no certificate of a TLS listener is for, and certificates that are for none of the hosts. */
export function checkHosts(config: FileConfig, reading: Reading): void {
  const routes = ROUTE_TABLES.flatMap((table) => [...config[table].keys()].map((key) => [table, key] as const));
  const hosts = routes.map(([, key]) => key.slice(0, key.indexOf('/')));
  for (const [index, { tls }] of config.listen.entries()) {
    if (tls === undefined) continue;
    const names = tls.names.flat();
    for (const [at, host] of hosts.entries()) {
      const route = routes[at];
      if (host === '' || hosts.indexOf(host) < at || route === undefined || names.some((name) => covers(name, host)))
        continue;
      reading.doubt(
        ['listen', index, 'tls', 'certificate'],
        `no certificate here is for ${quote(host)}, which ${formatPath(route)} serves; there are some for ${list(names)}`,
      );
    }
    if (hosts.includes('') || hosts.length === 0) continue;
    for (const [at, own] of tls.names.entries())
      if (!own.some((name) => hosts.some((host) => covers(name, host))))
        reading.doubt(
          at === 0
            ? ['listen', index, 'tls', 'certificate']
            : ['listen', index, 'tls', 'certificates', at - 1, 'certificate'],
          `the certificate is for ${list(own)}, and no route is for any of these hosts`,
        );
  }
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'no name' : names.map(quote).join(', ');
}
