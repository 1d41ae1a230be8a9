/** /proc, which a bare chroot or container may not have. */
import { existsSync } from 'node:fs';

/** Where this process finds its own open files: the one part without which files and programs are not served. */
const OWN_FILES = '/proc/self/fd';

/** What does not work because /proc is not there, and what to do: a sentence. Undefined where it is there. */
export function missingProc(): string | undefined {
  if (existsSync(OWN_FILES)) return undefined;
  return '/proc is not mounted here, and without it no file and no CGI or FastCGI program can be served: mount it (mount -t proc proc /proc)';
}
