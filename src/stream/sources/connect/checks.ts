/** Which keys of a stream say nothing about a connection, and which say nothing about anything else. */
import { processLimits, programKeys } from '../../../config/keys/programs.ts';
import { isTable, type RawTable } from '../../../config/values/tables.ts';
import type { KeyPath, Reading } from '../../../config/values/value.ts';
import type { SourceChecks } from '../checks.ts';
import { connectionKeys } from './keys.ts';

const NO_PROGRAM = 'is for a program, and "connect" starts none';

/** Keys that a stream with `connect` must not have, and why. */
const NOT_OF_A_CONNECTION: ReadonlyMap<string, string> = new Map([
  ...['start', 'idle_stop', 'stderr', 'partial_lines', 'unbuffer', ...Object.keys(programKeys)].map(
    (key) => [key, NO_PROGRAM] as const,
  ),
  ['max_processes', `${NO_PROGRAM}; "max_connections" bounds the connections`],
  ...['restart', 'restart_delay', 'restart_delay_max'].map(
    (key) => [key, 'is for a program; with "connect" the stream ends with its connection'] as const,
  ),
]);

export const connectChecks: SourceChecks = {
  unshared: 'needs a stream that its clients share, and with "connect" each has a connection of its own',
  rules: [],
  /** Whatever other sources the stream names. */
  check({ path, table }, _stream, _ground, reading) {
    if (Object.hasOwn(table, 'connect')) checkConnection(path, table, reading);
    else
      for (const name of Object.keys(connectionKeys)) {
        const isOfSubscriptions = name === 'connect_timeout';
        if (!Object.hasOwn(table, name) || (isOfSubscriptions && Object.hasOwn(table, 'subscribe'))) continue;
        reading.problem(
          [...path, name],
          `has no effect without "connect"${isOfSubscriptions ? ' or "subscribe"' : ''}`,
        );
      }
  },
};

function checkConnection(at: KeyPath, table: RawTable, reading: Reading): void {
  for (const name of Object.keys(table)) {
    const why = NOT_OF_A_CONNECTION.get(name);
    if (why !== undefined) reading.problem([...at, name], why);
  }
  const { share, limits } = table;
  if (share === 'all' || share === 'query')
    reading.problem(
      [...at, 'share'],
      `cannot be "${share}" with "connect": each client has a connection of its own; remove this key`,
    );
  for (const name of Object.keys(processLimits))
    if (isTable(limits) && Object.hasOwn(limits, name)) reading.problem([...at, 'limits', name], NO_PROGRAM);
}
