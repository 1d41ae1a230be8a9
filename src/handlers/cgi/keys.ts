/** The keys of a `[cgi."/path"]` table, and those that it has in common with `[fastcgi."/path"]`. */

import { type Complete, type ProgramLimits, programRouteKeys } from '../../config/keys/routes.ts';
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
    'How long the whole header of a reply may take, from the start of the program or the connecting. Then 504.',
  ),
  total_timeout: preset(duration('1s', '24h'), '10m', 'How long a reply may take in all. Then it is cut.'),
  max_waiting: preset(
    integer({ min: 0, max: 100_000 }),
    64,
    'How many requests may wait for another one to be over. Further ones get 503.',
  ),
  queue_timeout: preset(duration('0ms', '1h'), '30s', 'How long a request may wait for its turn. Then 503.'),
  pass_authorization: preset(boolean, false, 'Whether the Authorization header is passed on, as HTTP_AUTHORIZATION.'),
} as const;

const keys = {
  root: optional(folder, 'A folder of CGI programs.'),
  command: optional(command, 'One CGI program for everything below this path.'),
  interpreters: preset(
    mapOf(program, extension, 'interpreters, ".extension" = "program"'),
    {},
    'Programs that run the files with these extensions: they get the file as their argument and as SCRIPT_FILENAME. Such files need not be executable.',
  ),
  index: preset(
    listOf(fileName, 'file names'),
    [],
    'Programs that stand for their folder, the first that exists. Without this a folder is 403.',
  ),
  max_processes: preset(
    integer({ min: 1, max: 100_000 }),
    16,
    'How many programs of this route may run at once. Further requests wait.',
  ),
  ...waitingKeys,
} as const;

export const cgiTable = table(
  { ...keys, ...programRouteKeys },
  together(exactlyOne('root', 'command'), needs('root', 'interpreters', 'index')),
);

export type CgiConfig = Complete<typeof cgiTable, ProgramLimits>;
