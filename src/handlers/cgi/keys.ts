/** The keys of a `[cgi."/path"]` table, and those that it has in common with `[fastcgi."/path"]`. */

import { type Complete, compressKeys, type ProgramLimits, programRouteKeys } from '../../config/keys/routes.ts';
import { extension, fileName } from '../../config/values/names.ts';
import { command, folder, program } from '../../config/values/on-disk.ts';
import { boolean, duration, integer } from '../../config/values/simple.ts';
import { exactlyOne, listOf, mapOf, needs, table, together } from '../../config/values/tables.ts';
import { optional, preset } from '../../config/values/value.ts';

/** Of kinds whose requests wait for somebody to answer them: a program or an application. */
export const waitingKeys = {
  timeout: preset(
    duration('100ms', '24h'),
    '30s',
    'How long the whole header of a response may take, from the start of the program or of the connection. After that the client gets 504.',
  ),
  total_timeout: preset(duration('1s', '24h'), '10m', 'How long a response may take in all. After that it is cut off.'),
  max_waiting: preset(
    integer({ min: 0, max: 100_000 }),
    64,
    'How many requests may wait for others to finish. Further requests get 503.',
  ),
  queue_timeout: preset(
    duration('0ms', '1h'),
    '30s',
    'How long a request may wait for its turn. After that it gets 503.',
  ),
  pass_authorization: preset(boolean, false, 'Whether the Authorization header is passed on, as HTTP_AUTHORIZATION.'),
} as const;

const keys = {
  root: optional(folder, 'A folder of CGI programs.'),
  command: optional(command, 'One CGI program for everything below this path.'),
  interpreters: preset(
    mapOf(program, extension, 'interpreters, ".extension" = "program"'),
    {},
    'Programs that run the files with these extensions. A program gets the file as its argument and as SCRIPT_FILENAME. Such files need not be executable.',
  ),
  index: preset(
    listOf(fileName, 'file names'),
    [],
    'Programs that serve their folder: the first that exists. Without this key a folder gets 403.',
  ),
  pass_missing: preset(
    boolean,
    false,
    'Whether a request for which there is no program in `root` goes to the next route that fits. That may be one with the same path, such as a `static` route for pages, from another folder: files in `root` are never sent.',
  ),
  max_processes: preset(
    integer({ min: 1, max: 100_000 }),
    16,
    'How many programs of this route may run at once. Further requests wait.',
  ),
  ...waitingKeys,
} as const;

export const cgiTable = table(
  { ...keys, ...compressKeys, ...programRouteKeys },
  together(exactlyOne('root', 'command'), needs('root', 'interpreters', 'index', 'pass_missing')),
);

export type CgiConfig = Complete<typeof cgiTable, ProgramLimits>;
