/** Says of a program that did not start what exactly is wrong, where the system's answer means several things. */
import { realDisk, whyNotStarted } from '../config/disk/disk.ts';
import { SpawnError } from './spawn.ts';

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
