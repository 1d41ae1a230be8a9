/**
 * Whether programs can be another user's here, by starting true(1) as they would be started: filters of system calls and security modules refuse what
 * capabilities allow. What it takes is still ambient in a command that only checks, unlike in a gateway that serves.
 */
import { spawnSync } from 'node:child_process';
import { readSystem, type Wrapper } from '../../process/confinement/confine.ts';

/** Says why not, or undefined. Each way is tried once. */
export function confinementTrial(): (wrapper: Wrapper) => string | undefined {
  const tried = new Map<string, string | undefined>();
  return (wrapper) => {
    const way = JSON.stringify(wrapper);
    if (!tried.has(way)) tried.set(way, attempt(wrapper));
    return tried.get(way);
  };
}

function attempt([file, ...rest]: Wrapper): string | undefined {
  const nothing = readSystem().tool('true');
  if (file === undefined || nothing === undefined) return undefined;
  const { status, stderr, error } = spawnSync(file, [...rest, nothing], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status === 0) return undefined;
  const reason = error?.message ?? (stderr.trim().split('\n')[0] || `status ${status}`);
  return `is refused here: ${reason}; in a unit, SystemCallFilter= must let @setuid and capset through`;
}
