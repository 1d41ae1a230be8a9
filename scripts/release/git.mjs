// What git says.
import { spawnSync } from 'node:child_process';

/** @returns what it prints, without the last line end; throws what it complains about */
export function git(...args) {
  const { error, status, stdout, stderr } = spawnSync('git', args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (error !== undefined) throw new Error(`git cannot be run: ${error.message}`);
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr.trim()}`);
  return stdout.trimEnd();
}

/** @returns what it prints; undefined where it fails, as for a name that does not exist */
export function gitMaybe(...args) {
  const { status, stdout } = spawnSync('git', args, { encoding: 'utf8' });
  return status === 0 ? stdout.trimEnd() : undefined;
}
