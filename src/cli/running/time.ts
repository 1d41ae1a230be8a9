/** A length of time on the command line. */
import { parseDuration } from '../../config/values/simple.ts';
import { type Flag, UsageError } from '../verb.ts';

/** A timer of Node's knows no more, milliseconds. */
const MOST = 2 ** 31 - 1;

export function timeFlag(doc: string): Flag {
  return { value: 'TIME', doc };
}

/** Milliseconds of "30s". Throws a `UsageError`. */
export function within(time: string): number {
  const milliseconds = parseDuration(time);
  if (milliseconds === undefined || milliseconds > MOST)
    throw new UsageError(`--timeout must be a time with its unit, such as "30s" or "5m" (got "${time}")`);
  return milliseconds;
}
