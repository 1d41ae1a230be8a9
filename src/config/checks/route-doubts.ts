/** What about routes is likely to be meant otherwise: the gateway starts with it, and serves less than was wanted, or more. */
import { hostname } from 'node:os';
import { relative, sep } from 'node:path';
import { canonicalText } from '../../routing/canonical-path.ts';
import { hostOf } from '../../routing/route-key.ts';
import { Router } from '../../routing/router.ts';
import { formatPath, quote } from '../reading/problems.ts';
import type { ReadRoute } from '../route-schema.ts';
import type { Reading } from '../values/value.ts';

export function doubtRoutes(routes: readonly ReadRoute[], reading: Reading): void {
  for (const route of routes) {
    doubtHost(route, reading);
    doubtFolder(route, reading);
    doubtCompression(route, reading);
  }
  const router = new Router(
    routes.map((value) => ({ key: value.key, value, part: value.kind.part?.({ ...value.config }) })),
  );
  for (const route of routes) if (route.guarded) doubtGuarded(route, routes, router, reading);
  for (const { kind, key, config } of routes) kind.doubt?.(key, config, router, reading);
}

/** A folder that asks for a password, and another route that has it too and asks for none: under another path, or on other hosts. */
function doubtGuarded(
  guarded: ReadRoute,
  routes: readonly ReadRoute[],
  router: Router<ReadRoute>,
  reading: Reading,
): void {
  const { kind, key, folder } = guarded;
  if (folder === undefined || !key.endsWith('/')) return;
  for (const open of routes) {
    if (open.guarded || open.folder === undefined || !open.key.endsWith('/')) continue;
    // A route for files shows the text of a program, one for programs runs programs only.
    if (open.folder.holds === 'programs' && folder.holds !== 'programs') continue;
    const below = relative(open.folder.root, folder.root);
    const names = below.split(sep);
    if (names.some((name) => name.startsWith('.') && name !== '.well-known')) continue;
    const at = open.key.slice(hostOf(open.key).length) + (below === '' ? '' : `${below}/`);
    const path = canonicalText(at);
    if (path === undefined || router.find(hostOf(open.key), path)?.value !== open) continue;
    const others = hostOf(open.key) === '' && hostOf(key) !== '' ? ' of other hosts' : '';
    reading.doubt(
      [kind.name, key],
      `${formatPath([open.kind.name, open.key])} serves the same folder without a login, at ${quote(at)}${others}; move the folder out of its root, or protect that path too`,
    );
  }
}

/** "www/" is what somebody writes who means the path "/www/". Of this machine's own name that is not likely. */
function doubtHost({ kind, key }: ReadRoute, reading: Reading): void {
  const host = hostOf(key);
  if (host === '' || /[.:[]/.test(host) || host === 'localhost' || host === hostname().toLowerCase()) return;
  reading.doubt(
    [kind.name, key],
    `only requests for the host ${quote(host)} use this route; for a path of every host write ${formatPath([kind.name, `/${key}`])}`,
  );
}

/** BREACH: how long a compressed page is tells what in it is equal to what an attacker had the client send. */
function doubtCompression({ kind, key, config, guarded }: ReadRoute, reading: Reading): void {
  if (config.compress !== true) return;
  // The text of a file does not depend on what a client sends.
  if (guarded && kind.name !== 'static')
    reading.doubt(
      [kind.name, key, 'compress'],
      `the ${kind.deflates === undefined ? 'responses' : 'messages'} are for somebody who has signed in; if they repeat something of ${kind.deflates === undefined ? 'the request' : 'what a client sends'} beside a secret, their length can betray it (BREACH, docs/security.md)`,
    );
  if (config.headers.has('content-encoding'))
    reading.doubt(
      [kind.name, key, 'compress'],
      'headers names a Content-Encoding for what is compressed here once more',
    );
}

function doubtFolder({ kind, key, folder }: ReadRoute, reading: Reading): void {
  if (folder?.root === '/' && folder.holds !== 'programs')
    reading.doubt(
      [kind.name, key, 'root'],
      'every file of this machine is served that the user of the gateway may read; write the folder of the pages, such as "www"',
    );
  if (folder === undefined || key.endsWith('/')) return;
  reading.doubt(
    [kind.name, key],
    `only the index of root is served, at this one path; to serve the paths below it too, write ${formatPath([kind.name, `${key}/`])}`,
  );
}
