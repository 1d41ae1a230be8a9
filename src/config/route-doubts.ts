/** What about routes is likely to be meant otherwise: the gateway starts with it, and serves less than was wanted. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { canonicalPath, type PathBelow } from '../routing/canonical-path.ts';
import { Router } from '../routing/router.ts';
import { UNSEEN } from './disk.ts';
import type { KeyPath, Reading } from './kind.ts';
import { formatPath, quote } from './problems.ts';
import type { FileConfig } from './schema.ts';

interface Route {
  readonly table: 'static' | 'cgi' | 'fastcgi' | 'stream';
  readonly key: string;
  /** The folder that it serves, if that is what it serves. */
  readonly root: string | undefined;
  readonly index: readonly string[];
  /** It also answers for what is not below the root. */
  readonly answersAll: boolean;
}

export function doubtRoutes(config: FileConfig, reading: Reading): void {
  const routes = routesOf(config);
  for (const route of routes) {
    doubtHost(route, reading);
    doubtFolder(route, reading);
  }
  const router = new Router(routes.map((value) => ({ key: value.key, value })));
  for (const [key, { poll }] of config.stream) {
    const path = typeof poll === 'string' ? canonicalPath(poll.split('?', 1)[0] ?? '') : undefined;
    const found = path && router.find(key.slice(0, key.indexOf('/')), path);
    if (path && found) doubtPolled(path, found.value, found.rest, ['stream', key, 'poll'], reading);
  }
}

function routesOf(config: FileConfig): readonly Route[] {
  const none = { root: undefined, index: [], answersAll: true } as const;
  return [
    ...[...config.static].map(([key, { root, index, fallback }]) => {
      return { table: 'static', key, root, index, answersAll: fallback !== undefined } as const;
    }),
    ...[...config.cgi].map(([key, { root, index }]) => {
      return { table: 'cgi', key, root, index, answersAll: root === undefined } as const;
    }),
    ...[...config.fastcgi.keys()].map((key) => ({ table: 'fastcgi', key, ...none }) as const),
    ...[...config.stream.keys()].map((key) => ({ table: 'stream', key, ...none }) as const),
  ];
}

/** "www/" is what somebody writes who means the path "/www/". Of this machine's own name that is not likely. */
function doubtHost({ table, key }: Route, reading: Reading): void {
  const host = key.slice(0, key.indexOf('/'));
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
