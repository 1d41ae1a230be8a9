/** Finding a program by name, as a shell would, and saying why one that was found did not start. */
import { accessSync, constants, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { realDisk, whyNotStarted } from '../config/disk/disk.ts';
import { DEFAULT_PATH } from '../ops/system/search-path.ts';
import { SpawnError } from './spawn.ts';

/**
 * A program's absolute path.
 *
 * @param name A path (anything with a "/", relative to `directory`) or a name to look for.
 * @param path The folders to look in, separated by ":"; `DEFAULT_PATH` when undefined. Relative ones are passed over.
 * @param directory An absolute path.
 * @returns An absolute path of a file that this process may execute.
 * @throws SpawnError by the system's names: ENOENT, EACCES (also for a folder), ENOTDIR …
 */
export function findProgram(name: string, path: string | undefined, directory: string): string {
  if (name.includes('/')) {
    const file = resolve(directory, name);
    const code = whyNot(file);
    if (code === 'ENOENT') throw new SpawnError(file, code, { because: 'the file does not exist' });
    if (code !== undefined) throw new SpawnError(file, code);
    return file;
  }
  // As execvp(3): a file that may not be executed does not end the search, but is the answer if nothing better is found.
  let answer = 'ENOENT';
  const folders = path ?? DEFAULT_PATH;
  if (name !== '') {
    for (const folder of folders.split(':')) {
      // An empty or relative entry would mean whatever directory the gateway happens to be in.
      if (!isAbsolute(folder)) continue;
      const file = join(folder, name);
      const code = whyNot(file);
      if (code === undefined) return file;
      if (code === 'EACCES') answer = code;
    }
  }
  const because = answer === 'ENOENT' ? `it is not in any folder of PATH (${folders})` : undefined;
  throw new SpawnError(name, answer, { because });
}

/** How long it is believed that a program is where it was found, milliseconds: as long as files are served without a look at the disk. */
const FRESH_FOR = 1000;

/**
 * The search for one program that is started again and again. Folders that do not have it cost an exception each, and all together as much as all else
 * that is done for a start.
 */
export class ProgramSearch {
  private found: string | undefined;
  private stale = 0;

  /** As `findProgram`. @param clock milliseconds */
  constructor(
    private readonly name: string,
    private readonly path: string | undefined,
    private readonly directory: string,
    private readonly clock: () => number = () => performance.now(),
  ) {}

  /** Throws as `findProgram`; what was not found is looked for again the next time. */
  find(): string {
    const now = this.clock();
    if (this.found !== undefined && now < this.stale) return this.found;
    this.found = findProgram(this.name, this.path, this.directory);
    this.stale = now + FRESH_FOR;
    return this.found;
  }
}

/** The system's name for why a file cannot be executed; undefined when it can. */
function whyNot(file: string): string | undefined {
  try {
    if (!statSync(file).isFile()) return 'EACCES';
    accessSync(file, constants.X_OK);
    return undefined;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'EIO';
    return code.startsWith('ERR_') ? 'EINVAL' : code;
  }
}

/** What the file itself may be the cause of: ENOENT is a missing interpreter too, EACCES one that may not be executed. */
const ABOUT_THE_FILE: ReadonlySet<string> = new Set(['ENOENT', 'EACCES', 'ENOEXEC', 'ENOTDIR']);

/** The same error, with what a look at the file and the working directory has found. Nothing is looked at unless a start has failed. */
export function explainStart(error: SpawnError, file: string, directory: string | undefined): SpawnError {
  if (!ABOUT_THE_FILE.has(error.code)) return error;
  const because = trouble(file, directory);
  return because === undefined ? error : new SpawnError(file, error.code, { because, cause: error });
}

function trouble(file: string, directory: string | undefined): string | undefined {
  const disk = realDisk();
  const seen = disk.look(file);
  if ('failed' in seen) return seen.failed === 'ENOENT' ? 'the file does not exist' : undefined;
  const found = whyNotStarted(disk, file);
  if (found !== undefined) return `it ${found.sentence}`;
  const folder = directory === undefined ? undefined : disk.look(directory);
  return folder !== undefined && 'failed' in folder ? `its working directory ${directory} does not exist` : undefined;
}
