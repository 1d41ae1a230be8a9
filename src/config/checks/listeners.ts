/** What must hold between the keys of a listener, and between certificates and the hosts of routes. */
import { isIPv4 } from 'node:net';
import { readAddress, UNIX_PEER } from '../../net/address.ts';
import { parseHost } from '../../net/host.ts';
import { HostPatterns } from '../../net/host-patterns.ts';
import { hostOf } from '../../routing/route-key.ts';
import { covers } from '../../tls/names.ts';
import { type ListenConfig, USUAL_LISTEN } from '../keys/listen.ts';
import type { Objection } from '../keys/programs.ts';
import { formatPath, quote } from '../reading/problems.ts';
import type { ReadRoute } from '../route-schema.ts';
import type { CommonConfig } from '../schema.ts';
import { type Address, parseAddress } from '../values/simple.ts';
import { isTable, type RawTable } from '../values/tables.ts';
import type { KeyPath, Reading } from '../values/value.ts';

interface Named {
  readonly path: KeyPath;
  readonly address: Address;
}

/** No listener, or two on one address. */
export function checkAddresses(file: RawTable, reading: Reading): void {
  const listen = file['listen'] ?? USUAL_LISTEN;
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

/** Client certificates with an engine that cannot ask for them, a redirect of TLS, a redirect to nowhere, proxies of which there are none. */
export function checkListeners(file: RawTable, reading: Reading): void {
  const listen = file['listen'];
  if (!Array.isArray(listen)) return;
  const listeners: readonly unknown[] = listen;
  const anyTls = listeners.some((entry) => isTable(entry) && Object.hasOwn(entry, 'tls'));
  for (const [index, entry] of listeners.entries()) {
    if (!isTable(entry)) continue;
    checkProxies(entry, ['listen', index], trustedProxies(file), reading);
    const hasTls = Object.hasOwn(entry, 'tls');
    if (entry['engine'] === 'uws' && asksClients(entry['tls']))
      reading.problem(
        ['listen', index, 'engine'],
        '"uws" cannot ask clients for certificates',
        'leave it out, or write "node"',
      );
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

/** Whether a table of TLS settings, as it was read, asks for client certificates. */
function asksClients(tls: unknown): boolean {
  const client = isTable(tls) ? tls['client'] : undefined;
  return isTable(client) && client['mode'] !== 'off';
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
      `no client could connect: connections.trusted_proxies ${isUnix ? 'does not list "unix"' : 'names no address'}`,
      `name the proxies there, such as ["${isUnix ? UNIX_PEER : '127.0.0.1'}"]`,
    );
  // An empty list says that there is no proxy.
  else if (isUnix && !some && trusted.length > 0)
    reading.doubt(
      [...at, 'address'],
      'the headers of a proxy in front of this socket are ignored, so all its clients count as one: connections.trusted_proxies does not list "unix"',
    );
}

/** As the file says, or as it is preset. What is no list is told elsewhere. */
function trustedProxies(file: RawTable): readonly unknown[] {
  const connections = file['connections'];
  const proxies = isTable(connections) ? connections['trusted_proxies'] : undefined;
  return Array.isArray(proxies) ? proxies : [UNIX_PEER];
}

/** What speaks against them on this machine; who knows that is above this layer. */
export type SocketObjections = (names: Pick<ListenConfig, 'owner' | 'group'>) => readonly Objection[];

/** The owners and groups of sockets. */
export function checkSocketFiles(
  { listen, admin }: CommonConfig,
  reading: Reading,
  objections: SocketObjections,
): void {
  for (const { key, message } of admin === undefined ? [] : objections(admin))
    reading.problem(['admin', ...key], message);
  for (const [index, names] of listen.entries())
    for (const { key, message } of objections(names)) reading.problem(['listen', index, ...key], message);
}

/** Hosts of routes that no listener answers for, those that no certificate of a TLS listener is for, and certificates that are for none of the hosts. */
export function doubtHosts(config: CommonConfig, read: readonly ReadRoute[], reading: Reading): void {
  const routes = read.map(({ kind, key }) => [kind.name, key] as const);
  const hosts = routes.map(([, key]) => hostOf(key));
  const answered = config.listen.map((listen) => new HostPatterns(listen.hosts));
  for (const [at, host] of hosts.entries()) {
    const route = routes[at];
    const parsed = parseHost(host);
    if (parsed === undefined || route === undefined || answered.some((listed) => listed.admits(parsed))) continue;
    reading.doubt(route, `no request can reach it: no listener has ${quote(host)} in its "hosts"`);
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
        `no certificate of this listener is for ${quote(host)}, which ${formatPath(route)} serves; there are certificates for ${list(names)}`,
      );
    }
    if (hosts.includes('') || hosts.length === 0) continue;
    for (const [at, own] of tls.names.entries())
      if (!own.some((name) => hosts.some((host) => covers(name, host))))
        reading.doubt(
          at === 0
            ? ['listen', index, 'tls', 'certificate']
            : ['listen', index, 'tls', 'certificates', at - 1, 'certificate'],
          `the certificate is for ${list(own)}, but no route serves any of these hosts`,
        );
  }
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'no name' : names.map(quote).join(', ');
}
