/** Which keys of a stream go with polling, and what may be polled: no stream, and nothing that is for some only. */
import { join } from 'node:path';
import { UNSEEN } from '../../../config/disk/disk.ts';
import { isGuarded } from '../../../config/keys/policies.ts';
import { programKeys } from '../../../config/keys/programs.ts';
import { formatPath, quote } from '../../../config/reading/problems.ts';
import type { RawRoute, ReadRoute } from '../../../config/route-schema.ts';
import { isTable, type RawTable, textIn } from '../../../config/values/tables.ts';
import type { KeyPath, Reading } from '../../../config/values/value.ts';
import { canonicalPath } from '../../../routing/canonical-path.ts';
import { hostOf } from '../../../routing/route-key.ts';
import type { Match, Router } from '../../../routing/router.ts';
import { STREAM, type StreamConfig } from '../../keys.ts';
import { type KeyRule, type RawStream, type SourceChecks, UNSHARED } from '../checks.ts';
import { streamOfAddress } from '../own-address.ts';
import { pollingKeys, sourceServerKeys } from './keys.ts';

const isPolled = ({ source }: RawStream): boolean => source === 'poll';
const isNotPolled = ({ source }: RawStream): boolean => source !== 'poll';
const isDiff = (stream: RawStream): boolean => isPolled(stream) && stream.table['message'] === 'json-diff';

/** What is polled. */
function targetOf(stream: RawStream): 'command' | 'route' | 'server' | undefined {
  if (isNotPolled(stream)) return undefined;
  const { poll } = stream.table;
  if (typeof poll !== 'string') return 'command';
  return poll.startsWith('/') ? 'route' : 'server';
}

const RULES: readonly KeyRule[] = [
  {
    keys: Object.keys(pollingKeys).filter((key) => key !== 'message' && key !== 'message_type'),
    applies: isNotPolled,
    sentence: () => 'has no effect without "poll"',
  },
  {
    keys: ['message', 'message_type'],
    applies: ({ source }) => source !== 'poll' && source !== 'subscribe',
    sentence: () => 'has no effect without "poll" or "subscribe"',
  },
  {
    keys: ['message'],
    applies: (stream) => isPolled(stream) && ['data', 'event'].includes(textIn(stream.table, 'message')),
    sentence: ({ table }) =>
      `cannot be "${textIn(table, 'message')}" with "poll": that is of events, and a response is polled whole`,
  },
  {
    keys: Object.keys(sourceServerKeys),
    applies: ({ source }) => source !== 'poll' && source !== 'subscribe',
    sentence: () => 'has no effect without "poll" or "subscribe"',
  },
  {
    keys: Object.keys(sourceServerKeys),
    applies: (stream) => ['route', 'command'].includes(targetOf(stream) ?? ''),
    sentence: () => 'has no effect here: it is for a server that is polled, by its http:// or https:// address',
  },
  {
    keys: ['ca', 'pin', 'server_name'],
    applies: (stream) => targetOf(stream) === 'server' && !/^https:/.test(textIn(stream.table, 'poll')),
    sentence: ({ table }) => `has no effect with ${quote(textIn(table, 'poll'))}, which is not encrypted`,
  },
  {
    keys: ['login'],
    applies: (stream) => targetOf(stream) === 'server' && stream.share === 'credentials',
    sentence: () => 'has no effect with share = "credentials": the server gets the credentials of the clients',
  },
  {
    keys: ['share'],
    value: 'client',
    applies: isPolled,
    sentence: () => 'cannot be "client" with "poll", which runs one program for all clients that get the same response',
  },
  {
    keys: ['share'],
    value: 'credentials',
    applies: isNotPolled,
    sentence: () => 'can be "credentials" only with "poll"',
  },
  {
    keys: ['framing'],
    applies: isPolled,
    sentence: () => 'has no effect with "poll": "message" says which part of a response is a message',
  },
  {
    keys: ['eof_message'],
    applies: isPolled,
    sentence: () => 'has no effect with "poll": each message is a separate request',
  },
  {
    keys: ['stderr', 'partial_lines', 'unbuffer'],
    applies: isPolled,
    sentence: () => 'has no effect with "poll": a response is read when it is complete, and stderr goes to the log',
  },
  {
    keys: ['restart'],
    applies: isPolled,
    sentence: () => 'has no effect with "poll": the source is polled again in any case',
  },
  {
    keys: ['clients'],
    value: 'tagged',
    applies: isPolled,
    sentence: () => 'cannot be "tagged" with "poll": each message is a separate request with its own response',
  },
  {
    keys: Object.keys(programKeys),
    applies: (stream) => ['route', 'server'].includes(targetOf(stream) ?? ''),
    sentence: (stream) =>
      targetOf(stream) === 'route'
        ? 'has no effect here: set it for the route that is polled'
        : 'has no effect here: the gateway does not start the server that it polls',
  },
  {
    keys: ['replay'],
    applies: isDiff,
    sentence: () => 'has no effect with message = "json-diff": a new client always gets the whole document',
  },
  {
    keys: ['slow_client'],
    applies: (stream) => isDiff(stream) && stream.table['slow_client'] !== 'disconnect',
    sentence: () =>
      'must be "disconnect" with message = "json-diff": a client that misses a patch has a wrong document',
  },
];

export const pollChecks: SourceChecks = {
  unshared: UNSHARED,
  rules: RULES,
  check({ key, path: at, table }, stream, { file, routes }, reading) {
    const target = stream === undefined ? undefined : targetOf(stream);
    const { poll, cursor, pin } = table;
    if (Array.isArray(pin) && pin.length === 0)
      reading.problem([...at, 'pin'], 'is empty, so no server could be accepted', 'name a key, or remove this one');
    if (target === 'command' && isTable(cursor) && Object.hasOwn(cursor, 'header'))
      reading.problem(
        [...at, 'cursor', 'header'],
        'cannot be read from a command, which prints a body only; use "json"',
      );
    if (target === undefined || typeof poll !== 'string') return;
    if (target === 'route') checkPath(poll, key, routes, [...at, 'poll'], reading);
    else checkServer(poll, key, routes, file, [...at, 'poll'], reading);
  },
  doubt: doubtPoll,
};

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
  const found = streamOfAddress(poll, routes, file, reading);
  if (found !== undefined) reading.problem(at, ofAStream(found.value.key, key));
}

function ofAStream(found: string, key: string): string {
  if (found === key) return 'is the path of this stream itself, which would wait for its own response';
  return `is served by stream.${quote(found)}, and the response of a stream never ends: poll the source of that stream`;
}

/** A stream that polls what is not there, or shows everybody what another route shows only to some. */
function doubtPoll(key: string, { poll, auth }: StreamConfig, routes: Router<ReadRoute>, reading: Reading): void {
  const path = typeof poll === 'string' ? canonicalPath(poll.split('?', 1)[0] ?? '') : undefined;
  const found = path && routes.find(hostOf(key), path);
  if (!path || !found) return;
  const at = [STREAM, key, 'poll'];
  doubtPolled(found, at, reading);
  const { value } = found;
  if (value.guarded && !isGuarded(auth))
    reading.doubt(
      at,
      `every client of this stream sees what ${formatPath([value.kind.name, value.key])} shows only after a login; set auth for this stream too`,
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
