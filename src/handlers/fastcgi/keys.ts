/** The keys of a `[fastcgi."/path"]` table. */
import { type Complete, compressKeys, routeKeys } from '../../config/keys/routes.ts';
import { extension, fileName, variableName, variableValue } from '../../config/values/names.ts';
import { folder } from '../../config/values/on-disk.ts';
import { remote } from '../../config/values/remote.ts';
import { duration, integer } from '../../config/values/simple.ts';
import { listOf, mapOf, needs, table } from '../../config/values/tables.ts';
import { optional, preset, required } from '../../config/values/value.ts';
import { waitingKeys } from '../cgi/keys.ts';

const keys = {
  connect: required(
    remote,
    'Where the application server listens, such as "unix:/run/php/php8.2-fpm.sock" or "tcp://127.0.0.1:9000".',
  ),
  root: optional(
    folder,
    'The folder of the scripts, at the same path for the gateway and for the application. Without this key one application answers for everything below this path.',
  ),
  extensions: preset(
    listOf(extension, 'file name extensions'),
    ['.php'],
    'File name extensions of scripts. A request for another file gets 403.',
  ),
  index: preset(
    listOf(fileName, 'file names'),
    ['index.php'],
    'Scripts that serve their folder: the first that exists.',
  ),
  env: preset(
    mapOf(variableValue, variableName, 'environment variables, NAME = "value"'),
    {},
    'Variables (params) that the application gets with each request.',
  ),
  connect_timeout: preset(
    duration('10ms', '10m'),
    '5s',
    'How long connecting may take. After that the client gets 504.',
  ),
  max_connections: preset(
    integer({ min: 1, max: 100_000 }),
    16,
    'How many requests of this route the application gets at once, each over a connection of its own. Further requests wait.',
  ),
  ...waitingKeys,
} as const;

export const fastcgiTable = table({ ...keys, ...compressKeys, ...routeKeys }, needs('root', 'extensions', 'index'));

export type FastcgiConfig = Complete<typeof fastcgiTable>;
