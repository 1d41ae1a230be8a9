/** Which keys of a stream say nothing about a connection (`connect`), and which say nothing about anything else. */

import { isTable, type RawTable } from '../values/tables.ts';
import type { Reading } from '../values/value.ts';

const NO_PROGRAM = 'is for a program, and "connect" starts none';

/** Keys that a stream with `connect` must not have, and why. */
const NOT_OF_A_CONNECTION: ReadonlyMap<string, string> = new Map([
  ...[
    'start',
    'idle_stop',
    'stderr',
    'unbuffer',
    'directory',
    'env',
    'pass_env',
    'user',
    'group',
    'interrupt_after',
    'terminate_after',
    'kill_after',
  ].map((key) => [key, NO_PROGRAM] as const),
  ['max_processes', `${NO_PROGRAM}; "max_connections" bounds the connections`],
  ...['restart', 'restart_delay', 'restart_delay_max'].map(
    (key) => [key, 'is for a program: with "connect" the end of the connection is the end of its stream'] as const,
  ),
]);

/** What limits of a program there are; the others are of requests. */
const PROGRAM_LIMITS = ['memory', 'processes', 'open_files', 'cpu_time', 'file_size', 'nice'];
const ONLY_OF_A_CONNECTION = ['connect_timeout', 'max_connections'];

/** Reports what a stream's own table has beside `connect`, or has without it. */
export function checkConnect(file: RawTable, reading: Reading): void {
  const streams = file['stream'];
  for (const [key, route] of isTable(streams) ? Object.entries(streams) : []) {
    if (!isTable(route)) continue;
    if (Object.hasOwn(route, 'connect')) checkConnection(key, route, reading);
    else
      for (const name of ONLY_OF_A_CONNECTION)
        if (Object.hasOwn(route, name))
          reading.problem(['stream', key, name], 'is for a stream with "connect", and this one has none');
  }
}

function checkConnection(key: string, route: RawTable, reading: Reading): void {
  for (const name of Object.keys(route)) {
    const why = NOT_OF_A_CONNECTION.get(name);
    if (why !== undefined) reading.problem(['stream', key, name], why);
  }
  const { share, limits } = route;
  if (share === 'all' || share === 'query')
    reading.problem(
      ['stream', key, 'share'],
      `cannot be "${share}" with "connect": each client has a connection of its own, leave it out`,
    );
  for (const name of PROGRAM_LIMITS)
    if (isTable(limits) && Object.hasOwn(limits, name)) reading.problem(['stream', key, 'limits', name], NO_PROGRAM);
}
