/** The keys of a `[static."/path"]` table. */

import { join, resolve } from 'node:path';
import { failureInWords, UNSEEN } from '../../config/disk/disk.ts';
import { type Complete, compressKeys, routeKeys } from '../../config/keys/routes.ts';
import { quote } from '../../config/reading/problems.ts';
import {
  charset,
  errorStatus,
  fileName,
  glob,
  headerValue,
  mediaType,
  nameEnding,
  RELATIVE_FILE,
  relativeFile,
} from '../../config/values/names.ts';
import { folder } from '../../config/values/on-disk.ts';
import { boolean } from '../../config/values/simple.ts';
import { isTable, listOf, mapOf, oneOrMapOf, type Rule, table, together } from '../../config/values/tables.ts';
import { type KeyPath, optional, preset, type Reading, required } from '../../config/values/value.ts';

const keys = {
  root: required(
    folder,
    'The folder that is served. Nothing outside of it is served, not even through a symbolic link.',
  ),
  index: preset(
    listOf(fileName, 'file names'),
    ['index.html'],
    'Files that are served for their folder: the first that exists.',
  ),
  cache_control: preset(
    oneOrMapOf(
      headerValue,
      '**',
      glob,
      'patterns and values, such as { "*.html" = "no-cache", "assets/**" = "max-age=31536000" }',
    ),
    {},
    'The Cache-Control of every file, or of the files that match a pattern. The first pattern that matches is used. `*` is any part of a name, `**` any folders, `{a,b}` either; a pattern without a slash is compared with the file name only.',
  ),
  charset: optional(
    charset,
    'The character encoding of text files. It is added to the Content-Type of `text/…`, except for XML, which names its own encoding. Without this key no charset is sent, and the file itself decides.',
  ),
  types: preset(
    oneOrMapOf(
      mediaType,
      '',
      nameEnding,
      'ends of names and media types, such as { ".pac" = "application/x-ns-proxy-autoconfig" }',
    ),
    {},
    'The Content-Type of files whose names end so, or of all files. It overrides the built-in table. The longest end is used; upper and lower case are the same.',
  ),
  precompressed: preset(
    boolean,
    true,
    'Whether "app.js.br", ".zst" or ".gz" beside "app.js" is sent instead to clients that accept it, unless it is older.',
  ),
  listing: preset(
    boolean,
    false,
    'Whether a folder without an index file is listed: as a page, or as JSON for clients that ask for JSON.',
  ),
  fallback: optional(
    relativeFile,
    'The file for paths that do not exist, for single-page applications. A path that looks like a file ("missing.js") gets it only when a browser navigates there.',
  ),
  error_pages: preset(
    mapOf(relativeFile, errorStatus, 'statuses and files below root, such as { "404" = "404.html" }'),
    {},
    'Your own pages for the errors of this route, for every cause. The status does not change.',
  ),
} as const;

const INSTEAD: ReadonlyMap<string, string | undefined> = new Map([
  ['content-type', 'set types or charset'],
  ['content-encoding', undefined],
  ['content-range', undefined],
  ['etag', undefined],
  ['last-modified', undefined],
  ['accept-ranges', undefined],
]);

/** Fields that would be ignored, or be wrong, beside what is said of each file. */
const fieldsOfFiles: Rule = {
  note: `\`headers\` cannot set what is said of each file: ${[...INSTEAD.keys()].map((name) => `\`${name}\``).join(', ')}.`,
  json: {},
  check(own, at: KeyPath, reading: Reading) {
    const headers = own['headers'];
    if (!isTable(headers)) return;
    for (const name of Object.keys(headers)) {
      const lower = name.toLowerCase();
      if (INSTEAD.has(lower))
        reading.problem([...at, 'headers', name], 'cannot be set for files: each file has its own', INSTEAD.get(lower));
    }
  },
};

/** Each of `keys` is the path of a file below the folder `root`, or a table of such paths; where it is set, the file must exist. */
function filesBelow(root: string, ...keys: readonly string[]): Rule {
  return {
    note: `The files of ${keys.map((key) => `\`${key}\``).join(' and ')} must exist.`,
    json: {},
    check(table, at, reading) {
      const folder = table[root];
      if (typeof folder !== 'string' || folder.includes('\0')) return;
      const below = resolve(reading.directory, folder);
      // Without the folder itself there is nothing more to say.
      if (!('found' in reading.disk.look(below))) return;
      for (const key of keys) {
        const value = table[key];
        const files = isTable(value) ? Object.entries(value) : [[undefined, value] as const];
        for (const [name, file] of files) {
          const path = [...at, key, ...(name === undefined ? [] : [name])];
          if (typeof file === 'string' && RELATIVE_FILE.test(file)) checkFile(below, file, path, reading);
        }
      }
    },
  };
}

function checkFile(folder: string, file: string, at: KeyPath, reading: Reading): void {
  const seen = reading.disk.look(join(folder, file));
  if ('failed' in seen) {
    const sentence = `the file ${quote(file)} below root ${failureInWords(seen)}`;
    if (seen.failed === UNSEEN) reading.doubt(at, sentence);
    else reading.problem(at, sentence);
  }
  if ('found' in seen && seen.found !== 'file') reading.problem(at, `${quote(file)} below root is not a file`);
}

export const staticTable = table(
  { ...keys, ...compressKeys, ...routeKeys },
  together(filesBelow('root', 'fallback', 'error_pages'), fieldsOfFiles),
);

export type StaticConfig = Complete<typeof staticTable>;
