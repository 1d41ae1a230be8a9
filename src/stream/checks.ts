/**
 * What a configuration may say of a stream beyond what `keys.ts` says: which keys go together (one that would have no effect is a mistake),
 * and that no stream polls itself.
 */
import { join } from 'node:path';
import { UNSEEN } from '../config/disk/disk.ts';
import { USUAL_LISTEN } from '../config/keys/listen.ts';
import { isGuarded } from '../config/keys/policies.ts';
import { formatPath, quote } from '../config/reading/problems.ts';
import type { RawFile, RawRoute, ReadRoute } from '../config/route-schema.ts';
import { parseAddress } from '../config/values/simple.ts';
import { isTable, type RawTable } from '../config/values/tables.ts';
import type { KeyPath, Reading } from '../config/values/value.ts';
import { canonicalPath } from '../routing/canonical-path.ts';
import { hostOf, parseRouteKey } from '../routing/route-key.ts';
import { type Match, Router } from '../routing/router.ts';
import type { StreamConfig } from './keys.ts';

/** The kind's own name: a stream must not poll a stream. */
export const STREAM = 'stream';

/** What the other keys of a stream are judged by. */
interface Facts {
  readonly backend: 'command' | 'poll' | 'connect';
  /** What is polled. */
  readonly source: 'route' | 'server' | 'command' | undefined;
  readonly share: unknown;
  readonly table: RawTable;
}

interface Rule {
  readonly keys: readonly string[];
  /** Only with this value; with any when left out. */
  readonly value?: string;
  applies(facts: Facts): boolean;
  sentence(facts: Facts): string;
}

const UNSHARED_CONNECTION =
  'needs a stream that its clients share, and with "connect" each has a connection of its own';
const UNSHARED = 'needs a stream that its clients share: set share = "all"';
const unshared = ({ backend }: Facts): string => (backend === 'connect' ? UNSHARED_CONNECTION : UNSHARED);
const isUnshared = ({ backend, share }: Facts): boolean => backend !== 'poll' && share === 'client';
const isPolled = ({ backend }: Facts): boolean => backend === 'poll';
const isDiff = ({ backend, table }: Facts): boolean => backend === 'poll' && table['message'] === 'json-diff';

const RULES: readonly Rule[] = [
  {
    keys: ['interval', 'poll_timeout', 'message', 'message_type', 'cursor'],
    applies: ({ backend }) => backend !== 'poll',
    sentence: () => 'has no effect without "poll"',
  },
  {
    keys: ['share'],
    value: 'client',
    applies: isPolled,
    sentence: () => 'cannot be "client" with "poll", which runs one program for all who would get the same answer',
  },
  {
    keys: ['share'],
    value: 'credentials',
    applies: ({ backend }) => backend !== 'poll',
    sentence: () => 'can be "credentials" only with "poll"',
  },
  {
    keys: ['framing'],
    applies: isPolled,
    sentence: () => 'has no effect with "poll": "message" says what of an answer is a message',
  },
  {
    keys: ['eof_message'],
    applies: isPolled,
    sentence: () => 'has no effect with "poll": each message is a request by itself, which is over at its end',
  },
  {
    keys: ['stderr', 'unbuffer'],
    applies: isPolled,
    sentence: () => 'has no effect with "poll": an answer is taken at its end, and what is written to stderr is logged',
  },
  {
    keys: ['restart'],
    applies: isPolled,
    sentence: () => 'has no effect with "poll": what is polled is asked again, however it ended',
  },
  {
    keys: ['clients'],
    value: 'tagged',
    applies: isPolled,
    sentence: () => 'cannot be "tagged" with "poll": each message is posted and answered by itself',
  },
  {
    keys: ['directory', 'env', 'pass_env', 'user', 'group', 'interrupt_after', 'terminate_after', 'kill_after'],
    applies: ({ source }) => source === 'route' || source === 'server',
    sentence: ({ source }) =>
      source === 'route'
        ? 'has no effect here: set it for the route that is polled'
        : 'has no effect here: what is polled is a server that somebody else has started',
  },
  {
    keys: ['history', 'replay', 'slow_client', 'max_behind'],
    applies: isUnshared,
    sentence: unshared,
  },
  { keys: ['clients'], value: 'tagged', applies: isUnshared, sentence: unshared },
  {
    keys: ['idle_stop'],
    applies: (facts) => isUnshared(facts) && facts.backend === 'command',
    sentence: unshared,
  },
  {
    keys: ['start'],
    value: 'boot',
    applies: (facts) => isUnshared(facts) && facts.backend === 'command',
    sentence: unshared,
  },
  {
    keys: ['start'],
    value: 'boot',
    applies: ({ share }) => share === 'query' || share === 'credentials',
    sentence: ({ share }) =>
      `cannot be "boot" with share = "${String(share)}": which there are is only known when clients come`,
  },
  {
    keys: ['idle_stop'],
    applies: ({ table, share }) => table['start'] === 'boot' && share === 'all',
    sentence: () => 'has no effect with start = "boot": it always goes on',
  },
  {
    keys: ['eof_message'],
    applies: ({ backend, share }) => backend === 'command' && (share === 'all' || share === 'query'),
    sentence: () => 'has no effect on a shared program: no client may end the input of all',
  },
  {
    keys: ['restart_delay', 'restart_delay_max'],
    applies: ({ backend, share, table }) =>
      backend === 'command' && (table['restart'] ?? (share === 'client' ? 'never' : 'always')) === 'never',
    sentence: ({ table }) =>
      `has no effect: the program is never started again${table['restart'] === undefined ? '; set restart = "always"' : ''}`,
  },
  {
    keys: ['replay'],
    applies: isDiff,
    sentence: () => 'has no effect with message = "json-diff": a new client always gets the whole document',
  },
  {
    keys: ['slow_client'],
    applies: (facts) => isDiff(facts) && facts.table['slow_client'] !== 'disconnect',
    sentence: () =>
      'must be "disconnect" with message = "json-diff": a client that misses a patch has a wrong document',
  },
];

/** Read from the file's own tables, so that one wrong value does not hide these. */
export function checkStreams(file: RawFile, reading: Reading): void {
  const router = routerOf(file.routes);
  for (const route of file.routes) {
    if (route.kind.name !== STREAM) continue;
    checkConnect(route, reading);
    checkStream(route, file.table, router, reading);
  }
}

function checkStream(
  { key, path: at, table }: RawRoute,
  file: RawTable,
  router: Router<RawRoute>,
  reading: Reading,
): void {
  const facts = factsOf(table);
  if (facts === undefined) return;
  for (const rule of RULES) {
    if (!rule.applies(facts)) continue;
    for (const name of rule.keys) {
      const isMeant = Object.hasOwn(table, name) && (rule.value ?? table[name]) === table[name];
      if (isMeant) reading.problem([...at, name], rule.sentence(facts));
    }
  }
  const { poll, cursor } = table;
  if (facts.source === 'command' && isTable(cursor) && Object.hasOwn(cursor, 'header'))
    reading.problem([...at, 'cursor', 'header'], 'cannot be read from a command, which prints a body only; use "json"');
  if (typeof poll !== 'string') return;
  if (facts.source === 'route') checkPath(poll, key, router, [...at, 'poll'], reading);
  else checkServer(poll, key, router, file, [...at, 'poll'], reading);
}

/** Undefined for a stream whose backend is not clear, which is reported elsewhere. */
function factsOf(table: RawTable): Facts | undefined {
  const [backend, second] = (['command', 'poll', 'connect'] as const).filter((name) => Object.hasOwn(table, name));
  if (backend === undefined || second !== undefined) return undefined;
  const { poll } = table;
  const source = typeof poll !== 'string' ? 'command' : poll.startsWith('/') ? 'route' : 'server';
  const share = table['share'] ?? (backend === 'poll' ? 'all' : 'client');
  return { backend, source: backend === 'poll' ? source : undefined, share, table };
}

/** What the gateway itself will ask. A key that is none is reported elsewhere. */
function routerOf(routes: readonly RawRoute[]): Router<RawRoute> {
  const entries = routes.filter(({ key }) => parseRouteKey(key) !== undefined);
  return new Router(entries.map((value) => ({ key: value.key, value })));
}

function checkPath(poll: string, key: string, routes: Router<RawRoute>, at: KeyPath, reading: Reading): void {
  const written = poll.split('?', 1)[0] ?? poll;
  if (/%(?![0-9A-Fa-f]{2})/.test(written)) {
    reading.problem(at, `${quote(written)} has a broken escape: write "%25" for a percent sign`);
    return;
  }
  const path = canonicalPath(written);
  if (path === undefined) {
    reading.problem(at, `${quote(written)} has a control character or a backslash, or climbs above "/"`);
    return;
  }
  const found = routes.find(hostOf(key), path);
  if (found === undefined)
    reading.problem(at, `no route serves ${quote(written)}`, 'add one, such as [cgi."/cgi-bin/"]');
  else if (found.needsSlash)
    reading.problem(at, `${quote(written)} is a folder`, `write ${quote(`${written}/`)} or a program in it`);
  else if (found.value.kind.name === STREAM) reading.problem(at, ofAStream(found.value.key, key));
}

/** An address of this very gateway can be such a mistake too. */
function checkServer(
  poll: string,
  key: string,
  routes: Router<RawRoute>,
  file: RawTable,
  at: KeyPath,
  reading: Reading,
): void {
  if (!URL.canParse(poll)) return;
  const { hostname, port, protocol, pathname } = new URL(poll);
  if (protocol !== 'http:' || !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return;
  const listen = Array.isArray(file['listen']) ? file['listen'] : USUAL_LISTEN;
  const isOurs = listen.some((entry: unknown) => {
    const written = isTable(entry) ? entry['address'] : undefined;
    const address = typeof written === 'string' ? parseAddress(written, reading.directory) : undefined;
    return address?.kind === 'tcp' && address.port === Number(port === '' ? 80 : port);
  });
  const path = isOurs ? canonicalPath(pathname) : undefined;
  const found = path === undefined ? undefined : routes.find(hostname, path);
  if (found?.value.kind.name === STREAM) reading.problem(at, ofAStream(found.value.key, key));
}

function ofAStream(found: string, key: string): string {
  if (found === key) return 'is this stream itself, which would wait for its own answer';
  return `is served by stream.${quote(found)}, and a stream's answer has no end: poll what is behind it`;
}

const NO_PROGRAM = 'is for a program, and "connect" starts none';

/** Keys that a stream with `connect` must not have, and why. */
const NOT_OF_A_CONNECTION: ReadonlyMap<string, string> = new Map([
  ...[
    'start',
    'idle_stop',
    'stderr',
    'unbuffer',
    'directory',
    'env',
    'pass_env',
    'user',
    'group',
    'interrupt_after',
    'terminate_after',
    'kill_after',
  ].map((key) => [key, NO_PROGRAM] as const),
  ['max_processes', `${NO_PROGRAM}; "max_connections" bounds the connections`],
  ...['restart', 'restart_delay', 'restart_delay_max'].map(
    (key) => [key, 'is for a program: with "connect" the end of the connection is the end of its stream'] as const,
  ),
]);

/** What limits of a program there are; the others are of requests. */
const PROGRAM_LIMITS = ['memory', 'processes', 'open_files', 'cpu_time', 'file_size', 'nice'];
const ONLY_OF_A_CONNECTION = ['connect_timeout', 'max_connections'];

/** Reports what a stream's own table has beside `connect`, or has without it. */
function checkConnect({ path, table }: RawRoute, reading: Reading): void {
  if (Object.hasOwn(table, 'connect')) checkConnection(path, table, reading);
  else
    for (const name of ONLY_OF_A_CONNECTION)
      if (Object.hasOwn(table, name))
        reading.problem([...path, name], 'is for a stream with "connect", and this one has none');
}

function checkConnection(at: KeyPath, table: RawTable, reading: Reading): void {
  for (const name of Object.keys(table)) {
    const why = NOT_OF_A_CONNECTION.get(name);
    if (why !== undefined) reading.problem([...at, name], why);
  }
  const { share, limits } = table;
  if (share === 'all' || share === 'query')
    reading.problem(
      [...at, 'share'],
      `cannot be "${share}" with "connect": each client has a connection of its own, leave it out`,
    );
  for (const name of PROGRAM_LIMITS)
    if (isTable(limits) && Object.hasOwn(limits, name)) reading.problem([...at, 'limits', name], NO_PROGRAM);
}

/** A stream that polls what is not there, or shows everybody what another route shows only to some. */
export function doubtStream(
  key: string,
  { poll, auth }: StreamConfig,
  routes: Router<ReadRoute>,
  reading: Reading,
): void {
  const path = typeof poll === 'string' ? canonicalPath(poll.split('?', 1)[0] ?? '') : undefined;
  const found = path && routes.find(hostOf(key), path);
  if (!path || !found) return;
  const at = [STREAM, key, 'poll'];
  doubtPolled(found, at, reading);
  const { value } = found;
  if (value.guarded && !isGuarded(auth))
    reading.doubt(
      at,
      `everybody sees what ${formatPath([value.kind.name, value.key])} shows only to those who sign in; give this stream auth, too`,
    );
}

/** A path that some route serves, but with 404. */
function doubtPolled({ value, path, rest }: Match<ReadRoute>, at: KeyPath, reading: Reading): void {
  const { kind, key, folder } = value;
  if (folder === undefined || folder.answersAll) return;
  const { root, index, holds } = folder;
  const names = rest.split('/').map((segment) => decodeURIComponent(segment));
  const files = rest === '' || rest.endsWith('/') ? index.map((name) => [...names, name]) : [names];
  // A program's path goes on behind its name (PATH_INFO).
  const candidates =
    holds === 'programs' ? files.flatMap((file) => file.map((_name, last) => file.slice(0, last + 1))) : files;
  const isThere = candidates.some((file) => {
    const seen = reading.disk.look(join(root, ...file));
    return 'failed' in seen ? seen.failed === UNSEEN : seen.found === 'file';
  });
  if (isThere) return;
  const what = holds === 'programs' ? 'program' : 'file';
  const hint = holds === 'files' ? '; a route of its own, such as [cgi."/cgi-bin/"], may be missing' : '';
  reading.doubt(
    at,
    `${quote(path)} is served by ${formatPath([kind.name, key])}, which has no such ${what} below its root${hint}`,
  );
}
