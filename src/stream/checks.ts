/**
 * What a configuration may say of a stream beyond what `keys.ts` says: which keys go together. One that would have no effect is a mistake.
 * What depends on the kind of source is in its folder's `checks.ts`.
 */
import { dirname, resolve } from 'node:path';
import { quote } from '../config/reading/problems.ts';
import type { RawFile, RawRoute, ReadRoute } from '../config/route-schema.ts';
import { isTable, type RawTable } from '../config/values/tables.ts';
import type { Reading } from '../config/values/value.ts';
import { parseRouteKey } from '../routing/route-key.ts';
import { Router } from '../routing/router.ts';
import { STREAM, type StreamConfig } from './keys.ts';
import type { CheckGround, KeyRule, RawStream } from './sources/checks.ts';
import { SOURCE_KINDS } from './sources/sources.ts';

const kindOf = ({ source }: RawStream) => SOURCE_KINDS.find(({ name }) => name === source);
/** Where clients cannot have a source each, `share = "client"` is the mistake, and not what goes with it. */
const isUnshared = (stream: RawStream): boolean => stream.share === 'client' && kindOf(stream)?.private !== undefined;
const unshared = (stream: RawStream): string => kindOf(stream)?.checks.unshared ?? '';

const SHARING_RULES: readonly KeyRule[] = [
  { keys: ['history', 'replay', 'slow_client', 'max_behind'], applies: isUnshared, sentence: unshared },
  { keys: ['clients'], value: 'tagged', applies: isUnshared, sentence: unshared },
  {
    keys: ['start'],
    value: 'boot',
    applies: ({ share }) => share === 'query' || share === 'credentials',
    sentence: ({ share }) =>
      `cannot be "boot" with share = "${String(share)}": the queries are known only when clients connect`,
  },
  {
    keys: ['idle_stop'],
    applies: ({ table, share }) => table['start'] === 'boot' && share === 'all',
    sentence: () => 'has no effect with start = "boot": the program always keeps running',
  },
];

const READING_RULE: KeyRule = {
  keys: ['eof_message', 'max_client_message'],
  applies: ({ table }) => table['read_only'] === true,
  sentence: () => 'has no effect with read_only: no message of a client is taken',
};

const isPictures = ({ table }: RawStream): boolean => table['framing'] === 'jpeg';
const isReadOnly = (stream: RawStream): boolean => isPictures(stream) && stream.table['post'] === undefined;

const PICTURE_RULES: readonly KeyRule[] = [
  {
    keys: ['eof_message', 'max_client_message'],
    applies: isReadOnly,
    sentence: () => 'has no effect with framing = "jpeg": clients only read the pictures',
  },
  {
    keys: ['read_only'],
    applies: (stream) => isReadOnly(stream) && stream.table['read_only'] === false,
    sentence: () => 'cannot be false with framing = "jpeg": clients only read the pictures',
  },
  {
    keys: ['compress'],
    value: true,
    applies: isPictures,
    sentence: () => 'has no effect with framing = "jpeg": pictures are compressed already',
  },
  {
    keys: ['clients'],
    value: 'tagged',
    applies: isPictures,
    sentence: () => 'cannot be "tagged" with framing = "jpeg": a tagged program prints lines of JSON',
  },
];

const RULES: readonly KeyRule[] = [
  ...SOURCE_KINDS.flatMap(({ checks }) => checks.rules),
  ...SHARING_RULES,
  READING_RULE,
  ...PICTURE_RULES,
];

/** Read from the file's own tables, so that one wrong value does not hide these. */
export function checkStreams(file: RawFile, reading: Reading): void {
  const ground: CheckGround = { file: file.table, routes: routerOf(file.routes) };
  for (const route of file.routes) if (route.kind.name === STREAM) checkStream(route, ground, reading);
  checkHistoryFiles(file.routes, reading);
}

/** Each file has one stream, which all clients share. */
function checkHistoryFiles(routes: readonly RawRoute[], reading: Reading): void {
  const streams = new Map<string, string>();
  for (const { kind, key, path, table } of routes) {
    const written = kind.name === STREAM && isTable(table['history']) ? table['history']['file'] : undefined;
    if (typeof written !== 'string') continue;
    const at = [...path, 'history', 'file'];
    const share = rawStream(table)?.share;
    if (share === 'query' || share === 'credentials' || share === 'client')
      reading.problem(
        at,
        `needs share = "all": with share = "${share}" there would be a history for each ${share === 'client' ? 'client' : 'query'}`,
      );
    const file = resolve(reading.directory, written);
    const other = streams.get(file);
    if (other !== undefined)
      reading.problem(at, `is the file of stream."${other}" already: each stream needs one of its own`);
    streams.set(file, key);
  }
}

function checkStream(route: RawRoute, ground: CheckGround, reading: Reading): void {
  const { path, table } = route;
  const stream = rawStream(table);
  for (const { checks } of SOURCE_KINDS) checks.check?.(route, stream, ground, reading);
  if (stream === undefined) return;
  for (const rule of RULES) {
    if (!rule.applies(stream)) continue;
    for (const name of rule.keys) {
      const isMeant = Object.hasOwn(table, name) && (rule.value ?? table[name]) === table[name];
      if (isMeant) reading.problem([...path, name], rule.sentence(stream));
    }
  }
}

/** Undefined for a stream whose source is not clear, which is reported elsewhere. */
function rawStream(table: RawTable): RawStream | undefined {
  const [kind, second] = SOURCE_KINDS.filter(({ name }) => Object.hasOwn(table, name));
  if (kind === undefined || second !== undefined) return undefined;
  return { source: kind.name, share: table['share'] ?? kind.usualShare, table };
}

/** What the gateway itself will ask. A key that is none is reported elsewhere. */
function routerOf(routes: readonly RawRoute[]): Router<RawRoute> {
  const entries = routes.filter(({ key }) => parseRouteKey(key) !== undefined);
  return new Router(entries.map((value) => ({ key: value.key, value, part: value.kind.part?.(value.table) })));
}

export function doubtStream(key: string, config: StreamConfig, routes: Router<ReadRoute>, reading: Reading): void {
  for (const { checks } of SOURCE_KINDS) checks.doubt?.(key, config, routes, reading);
  doubtHistory(key, config, reading);
}

function doubtHistory(key: string, { history, poll, command, subscribe }: StreamConfig, reading: Reading): void {
  const file = history?.file;
  if (file === undefined) return;
  const at = [STREAM, key, 'history'];
  if (reading.disk.isInMemory(dirname(file)))
    reading.doubt(
      [...at, 'file'],
      `${quote(file)} is on a file system in memory: what is kept there is gone when the machine restarts`,
    );
  const source =
    command !== undefined
      ? 'the program'
      : subscribe !== undefined
        ? 'the upstream'
        : poll === undefined
          ? undefined
          : 'the source';
  if (history?.sync === 'message' && source !== undefined)
    reading.doubt(
      [...at, 'sync'],
      `the disk is written for each message of ${source}, which wears out a memory card where there are many: nobody waits for that, and "1s" writes once a second`,
    );
}
