/** The keys of a `[static."/path"]` table, but for those that every route has. */

import { folder } from './disk-kinds.ts';
import { optional, preset, required } from './kind.ts';
import { boolean } from './kinds.ts';
import { errorStatus, fileName, glob, headerValue, relativeFile } from './names.ts';
import { listOf, mapOf, oneOrMapOf } from './tables.ts';

export const staticKeys = {
  root: required(folder, 'The folder that is served. Nothing outside it is, not even through a symbolic link.'),
  index: preset(
    listOf(fileName, 'file names'),
    ['index.html'],
    'Files that stand for their folder, the first that exists.',
  ),
  cache_control: preset(
    oneOrMapOf(
      headerValue,
      '**',
      glob,
      'patterns and values, such as { "*.html" = "no-cache", "assets/**" = "max-age=31536000" }',
    ),
    {},
    'The Cache-Control of every file, or of those that fit a pattern: the first one counts. `*` is any part of a name, `**` any folders, `{a,b}` either; a pattern without a slash is about the name alone.',
  ),
  precompressed: preset(
    boolean,
    true,
    'Whether "app.js.br", ".zst" or ".gz" beside "app.js" is sent in its place to clients that take it, unless it is older.',
  ),
  listing: preset(
    boolean,
    false,
    'Whether a folder without an index file is listed: as a page, or as JSON for who asks for that.',
  ),
  fallback: optional(
    relativeFile,
    'The file for paths that are not there, for pages with routes of their own. Where a file seems to be meant ("missing.js") only a browser that goes there gets it.',
  ),
  error_pages: preset(
    mapOf(relativeFile, errorStatus, 'statuses and files below root, such as { "404" = "404.html" }'),
    {},
    'Own pages for the errors of this route, whatever has caused them. The status stays.',
  ),
} as const;
