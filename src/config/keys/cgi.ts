/** The keys of `[cgi."/path"]` and `[fastcgi."/path"]` tables, but for those that other routes have too. */

import { extension, fileName, variableName, variableValue } from '../values/names.ts';
import { command, folder, program } from '../values/on-disk.ts';
import { remote } from '../values/remote.ts';
import { boolean, duration, integer } from '../values/simple.ts';
import { listOf, mapOf } from '../values/tables.ts';
import { optional, preset, required } from '../values/value.ts';

/** What both have in common: their requests wait for somebody to answer them. */
const waitingKeys = {
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

export const cgiKeys = {
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

export const fastcgiKeys = {
  connect: required(
    remote,
    'Where the application server listens, such as "unix:/run/php/php8.2-fpm.sock" or "tcp://127.0.0.1:9000".',
  ),
  root: optional(
    folder,
    'The folder of its scripts, the same path here and there. Without it one application answers for everything below this path.',
  ),
  extensions: preset(listOf(extension, 'file name extensions'), ['.php'], 'Files that are scripts. Others are 403.'),
  index: preset(
    listOf(fileName, 'file names'),
    ['index.php'],
    'Scripts that stand for their folder, the first that exists.',
  ),
  env: preset(
    mapOf(variableValue, variableName, 'environment variables, NAME = "value"'),
    {},
    'Variables that are set for the application.',
  ),
  connect_timeout: preset(duration('10ms', '10m'), '5s', 'How long connecting may take. Then 504.'),
  max_connections: preset(
    integer({ min: 1, max: 100_000 }),
    16,
    'How many requests of this route the application gets at once, each over a connection of its own. Further ones wait.',
  ),
  ...waitingKeys,
} as const;
