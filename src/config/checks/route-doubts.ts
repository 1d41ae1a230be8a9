/** What about routes is likely to be meant otherwise: the gateway starts with it, and serves less than was wanted, or more. */
import { hostname } from 'node:os';
import { join, relative, sep } from 'node:path';
import { canonicalPath, canonicalText, type PathBelow } from '../../routing/canonical-path.ts';
import { Router } from '../../routing/router.ts';
import { UNSEEN } from '../disk/disk.ts';
import type { AuthConfig } from '../keys/policies.ts';
import { formatPath, quote } from '../reading/problems.ts';
import type { FileConfig } from '../schema.ts';
import type { KeyPath, Reading } from '../values/value.ts';

interface Route {
  readonly table: 'static' | 'cgi' | 'fastcgi' | 'stream';
  readonly key: string;
  /** The folder that it serves, if that is what it serves. */
  readonly root: string | undefined;
  readonly index: readonly string[];
  /** It also answers for what is not below the root. */
  readonly answersAll: boolean;
  /** It asks for a proof of who somebody is. */
  readonly guarded: boolean;
}

type Auth = { readonly [K in keyof AuthConfig]?: AuthConfig[K] | undefined };

export function doubtRoutes(config: FileConfig, reading: Reading): void {
  const routes = routesOf(config);
  for (const route of routes) {
    doubtHost(route, reading);
    doubtFolder(route, reading);
  }
  const router = new Router(routes.map((value) => ({ key: value.key, value })));
  for (const route of routes) if (route.guarded) doubtGuarded(route, routes, router, reading);
  for (const [key, { poll, auth }] of config.stream) {
    const path = typeof poll === 'string' ? canonicalPath(poll.split('?', 1)[0] ?? '') : undefined;
    const found = path && router.find(hostOf(key), path);
    if (!path || !found) continue;
    const at = ['stream', key, 'poll'];
    doubtPolled(path, found.value, found.rest, at, reading);
    const { value } = found;
    if (value.guarded && !isGuarded(auth, config))
      reading.doubt(
        at,
        `everybody sees what ${formatPath([value.table, value.key])} shows only to those who sign in; give this stream auth, too`,
      );
  }
}

function hostOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

function isGuarded(own: Auth, { defaults }: FileConfig): boolean {
  const of = <K extends keyof AuthConfig>(name: K): AuthConfig[K] => own[name] ?? defaults.auth[name];
  const asks = of('basic') !== undefined || of('tokens') !== undefined || of('client_certificate');
  return asks && of('require') !== 'none';
}

function routesOf(config: FileConfig): readonly Route[] {
  const none = { root: undefined, index: [], answersAll: true } as const;
  return [
    ...[...config.static].map(([key, { root, index, fallback, auth }]) => {
      const guarded = isGuarded(auth, config);
      return { table: 'static', key, root, index, answersAll: fallback !== undefined, guarded } as const;
    }),
    ...[...config.cgi].map(([key, { root, index, auth }]) => {
      const guarded = isGuarded(auth, config);
      return { table: 'cgi', key, root, index, answersAll: root === undefined, guarded } as const;
    }),
    ...[...config.fastcgi].map(([key, { auth }]) => {
      return { table: 'fastcgi', key, ...none, guarded: isGuarded(auth, config) } as const;
    }),
    ...[...config.stream].map(([key, { auth }]) => {
      return { table: 'stream', key, ...none, guarded: isGuarded(auth, config) } as const;
    }),
  ];
}

/** A folder that asks for a password, and another route that has it too and asks for none: under another path, or on other hosts. */
function doubtGuarded(guarded: Route, routes: readonly Route[], router: Router<Route>, reading: Reading): void {
  const { table, key, root } = guarded;
  if (root === undefined || !key.endsWith('/')) return;
  for (const open of routes) {
    // A static route shows the text of a program, a CGI route runs programs only.
    const shows = open.table === 'static' || (open.table === 'cgi' && table === 'cgi');
    if (open.guarded || open.root === undefined || !open.key.endsWith('/') || !shows) continue;
    const below = relative(open.root, root);
    const names = below.split(sep);
    if (names.some((name) => name.startsWith('.') && name !== '.well-known')) continue;
    const at = open.key.slice(hostOf(open.key).length) + (below === '' ? '' : `${below}/`);
    const path = canonicalText(at);
    if (path === undefined || router.find(hostOf(open.key), path)?.value !== open) continue;
    const others = hostOf(open.key) === '' && hostOf(key) !== '' ? ' of other hosts' : '';
    reading.doubt(
      [table, key],
      `${formatPath([open.table, open.key])} serves the same folder to everybody, at ${quote(at)}${others}; move the folder out of its root, or protect that path, too`,
    );
  }
}

/** "www/" is what somebody writes who means the path "/www/". Of this machine's own name that is not likely. */
function doubtHost({ table, key }: Route, reading: Reading): void {
  const host = hostOf(key);
  if (host === '' || /[.:[]/.test(host) || host === 'localhost' || host === hostname().toLowerCase()) return;
  reading.doubt(
    [table, key],
    `only requests for the host ${quote(host)} get this; for a path of every host write ${formatPath([table, `/${key}`])}`,
  );
}

function doubtFolder({ table, key, root }: Route, reading: Reading): void {
  if (root === undefined || key.endsWith('/')) return;
  reading.doubt(
    [table, key],
    `only the index of root is served, at this one path; for what is below it too write ${formatPath([table, `${key}/`])}`,
  );
}

/** A path that some route serves, but with 404. */
function doubtPolled(path: string, route: Route, rest: PathBelow, at: KeyPath, reading: Reading): void {
  const { table, key, root, index } = route;
  if (root === undefined || route.answersAll) return;
  const names = rest.split('/').map((segment) => decodeURIComponent(segment));
  const files = rest === '' || rest.endsWith('/') ? index.map((name) => [...names, name]) : [names];
  // A program's path goes on behind its name (PATH_INFO).
  const candidates =
    table === 'cgi' ? files.flatMap((file) => file.map((_name, last) => file.slice(0, last + 1))) : files;
  const isThere = candidates.some((file) => {
    const seen = reading.disk.look(join(root, ...file));
    return 'failed' in seen ? seen.failed === UNSEEN : seen.found === 'file';
  });
  if (isThere) return;
  const what = table === 'cgi' ? 'program' : 'file';
  const hint = table === 'static' ? '; a route of its own, such as [cgi."/cgi-bin/"], may be missing' : '';
  reading.doubt(
    at,
    `${quote(path)} is served by ${formatPath([table, key])}, which has no such ${what} below its root${hint}`,
  );
}
