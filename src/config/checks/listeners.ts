/** What must hold between the keys of a listener, and between certificates and the hosts of routes. */
import { UNIX_PEER } from '../../net/address.ts';
import { parseHost } from '../../net/host.ts';
import { HostPatterns } from '../../net/host-patterns.ts';
import { covers } from '../../tls/names.ts';
import { formatPath, quote } from '../reading/problems.ts';
import type { FileConfig } from '../schema.ts';
import { isTable, type RawTable } from '../values/tables.ts';
import type { KeyPath, Reading } from '../values/value.ts';
import { ROUTE_TABLES } from './checks.ts';

/** TLS with an engine that does not speak it, a redirect of TLS, a redirect to nowhere, proxies of which there are none. */
export function checkListeners(file: RawTable, reading: Reading): void {
  const listen = file['listen'];
  if (!Array.isArray(listen)) return;
  const listeners: readonly unknown[] = listen;
  const anyTls = listeners.some((entry) => isTable(entry) && Object.hasOwn(entry, 'tls'));
  for (const [index, entry] of listeners.entries()) {
    if (!isTable(entry)) continue;
    checkProxies(entry, ['listen', index], trustedProxies(file), reading);
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

/** Whether proxies that could connect to this listener are trusted at all. */
function checkProxies(listen: RawTable, at: KeyPath, trusted: readonly unknown[], reading: Reading): void {
  const { address, proxy_protocol: preface } = listen;
  // What systemd hands over may be a socket of either kind.
  if (typeof address !== 'string' || address.startsWith('systemd:')) return;
  const isUnix = address.startsWith('unix:');
  const some = trusted.some((proxy) => (proxy === UNIX_PEER) === isUnix);
  if (preface === true && !some)
    reading.problem(
      [...at, 'proxy_protocol'],
      `nobody could connect: connections.trusted_proxies ${isUnix ? 'does not list "unix"' : 'names no address'}`,
      `name the proxies there, such as ["${isUnix ? UNIX_PEER : '127.0.0.1'}"]`,
    );
  // An empty list says that there is no proxy.
  else if (isUnix && !some && trusted.length > 0)
    reading.doubt(
      [...at, 'address'],
      'a proxy in front of this socket is not believed, so that all its clients count as one: connections.trusted_proxies does not list "unix"',
    );
}

/** As the file says, or as it is preset. What is no list is told elsewhere. */
function trustedProxies(file: RawTable): readonly unknown[] {
  const connections = file['connections'];
  const proxies = isTable(connections) ? connections['trusted_proxies'] : undefined;
  return Array.isArray(proxies) ? proxies : [UNIX_PEER];
}

/** Hosts of routes that no listener answers for, those that no certificate of a TLS listener is for, and certificates that are for none of the hosts. */
export function checkHosts(config: FileConfig, reading: Reading): void {
  const routes = ROUTE_TABLES.flatMap((table) => [...config[table].keys()].map((key) => [table, key] as const));
  const hosts = routes.map(([, key]) => key.slice(0, key.indexOf('/')));
  const answered = config.listen.map((listen) => new HostPatterns(listen.hosts));
  for (const [at, host] of hosts.entries()) {
    const route = routes[at];
    const parsed = parseHost(host);
    if (parsed === undefined || route === undefined || answered.some((listed) => listed.admits(parsed))) continue;
    reading.doubt(route, `nobody can ask for it: no listener has ${quote(host)} in its "hosts"`);
  }
  for (const [index, { tls }] of config.listen.entries()) {
    if (tls === undefined) continue;
    // Of one that is for no name, or may not be looked at, enough was said.
    if (tls.names.some((own) => own.length === 0)) continue;
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
