/**
 * Which keys of a stream go together: one that would have no effect is a mistake, and so is a stream that polls itself. Read from
 * the file's own tables, like the other checks. What only concerns `connect` is in `connect-checks.ts`.
 */
import { canonicalPath } from '../../routing/canonical-path.ts';
import { parseRouteKey } from '../../routing/route-key.ts';
import { Router } from '../../routing/router.ts';
import { quote } from '../reading/problems.ts';
import { parseAddress } from '../values/simple.ts';
import { isTable, type RawTable } from '../values/tables.ts';
import type { KeyPath, Reading } from '../values/value.ts';

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

/** @param routes the table and the key of every route */
export function checkStreams(
  file: RawTable,
  routes: readonly (readonly [table: string, key: string])[],
  reading: Reading,
): void {
  const streams = file['stream'];
  const router = routerOf(routes);
  for (const [key, table] of isTable(streams) ? Object.entries(streams) : []) {
    const facts = isTable(table) ? factsOf(table) : undefined;
    if (facts === undefined) continue;
    const at = ['stream', key];
    for (const rule of RULES) {
      if (!rule.applies(facts)) continue;
      for (const name of rule.keys) {
        const isMeant = Object.hasOwn(facts.table, name) && (rule.value ?? facts.table[name]) === facts.table[name];
        if (isMeant) reading.problem([...at, name], rule.sentence(facts));
      }
    }
    const { poll, cursor } = facts.table;
    if (facts.source === 'command' && isTable(cursor) && Object.hasOwn(cursor, 'header'))
      reading.problem(
        [...at, 'cursor', 'header'],
        'cannot be read from a command, which prints a body only; use "json"',
      );
    if (typeof poll !== 'string') continue;
    if (facts.source === 'route') checkPath(poll, key, router, [...at, 'poll'], reading);
    else checkServer(poll, key, router, file, [...at, 'poll'], reading);
  }
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

type Routes = Router<{ readonly table: string; readonly key: string }>;

/** What the gateway itself will ask. A key that is none is reported elsewhere. */
function routerOf(routes: readonly (readonly [table: string, key: string])[]): Routes {
  const entries = routes.filter(([, key]) => parseRouteKey(key) !== undefined);
  return new Router(entries.map(([table, key]) => ({ key, value: { table, key } })));
}

function checkPath(poll: string, key: string, routes: Routes, at: KeyPath, reading: Reading): void {
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
  const found = routes.find(key.slice(0, key.indexOf('/')), path);
  if (found === undefined)
    reading.problem(at, `no route serves ${quote(written)}`, 'add one, such as [cgi."/cgi-bin/"]');
  else if (found.needsSlash)
    reading.problem(at, `${quote(written)} is a folder`, `write ${quote(`${written}/`)} or a program in it`);
  else if (found.value.table === 'stream') reading.problem(at, ofAStream(found.value.key, key));
}

/** An address of this very gateway can be such a mistake too. */
function checkServer(poll: string, key: string, routes: Routes, file: RawTable, at: KeyPath, reading: Reading): void {
  if (!URL.canParse(poll)) return;
  const { hostname, port, protocol, pathname } = new URL(poll);
  if (protocol !== 'http:' || !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return;
  const listen = Array.isArray(file['listen']) ? file['listen'] : [{ address: ':8080' }];
  const isOurs = listen.some((entry: unknown) => {
    const written = isTable(entry) ? entry['address'] : undefined;
    const address = typeof written === 'string' ? parseAddress(written, reading.directory) : undefined;
    return address?.kind === 'tcp' && address.port === Number(port === '' ? 80 : port);
  });
  const path = isOurs ? canonicalPath(pathname) : undefined;
  const found = path === undefined ? undefined : routes.find(hostname, path);
  if (found?.value.table === 'stream') reading.problem(at, ofAStream(found.value.key, key));
}

function ofAStream(found: string, key: string): string {
  if (found === key) return 'is this stream itself, which would wait for its own answer';
  return `is served by stream.${quote(found)}, and a stream's answer has no end: poll what is behind it`;
}
