/** The key that gives each client of a stream a connection, and those about the connections. */
import { remote } from '../../../config/values/remote.ts';
import { duration, integer } from '../../../config/values/simple.ts';
import { optional, preset } from '../../../config/values/value.ts';

export const connectKeys = {
  connect: optional(remote, 'A TCP or Unix socket, one connection for each client.'),
} as const;

export const connectionKeys = {
  connect_timeout: preset(
    duration('10ms', '10m'),
    '5s',
    'How long connecting may take, including the lookup of the name. After that the client gets 504; with subscribe the gateway tries again.',
  ),
  max_connections: preset(
    integer({ min: 1, max: 100_000 }),
    1024,
    'How many connections of this route there may be at once. Further clients get 503.',
  ),
} as const;
