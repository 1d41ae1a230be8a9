/** Where the single executable may put a copy of its native add-ons for the moment of loading them. */
import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Folders to try, best first, without links, each once, only those that are there. Folders on a disk come before folders in
 * memory, because pages of a tmpfs cannot be given back. `RUNNEL_TMP` of the environment comes before all.
 */
export function codeDirectories(
  environment: { readonly [name: string]: string | undefined },
  executable: string,
): string[] {
  const wanted = [
    environment['RUNNEL_TMP'],
    '/var/tmp',
    dirname(executable),
    environment['XDG_RUNTIME_DIR'],
    '/run',
    '/tmp',
    '/dev/shm',
  ];
  const found = new Set<string>();
  for (const directory of wanted) {
    if (directory === undefined || directory === '') continue;
    try {
      found.add(realpathSync(directory));
    } catch {
      // Not there, or not for this user: the next one.
    }
  }
  return [...found];
}
