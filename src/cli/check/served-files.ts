/** Warnings of `check` about the files that routes serve: those that the gateway may not read, and scripts that would not start. */
import { join } from 'node:path';
import { type Disk, failureInWords, realDisk, whyNotStarted } from '../../config/disk/disk.ts';
import { formatPath, quote } from '../../config/reading/problems.ts';
import { type Config, everyRoute } from '../../gateway/config.ts';

/** Bounds for each folder: how many files are looked at, how deep, and how many of them are named. */
const MAX_FILES = 2000;
const MAX_DEPTH = 8;
const MAX_NAMED = 5;

/** Sentences, each with the key that it is about. */
export function servedFileWarnings(config: Config, disk: Disk = realDisk()): readonly string[] {
  return everyRoute(config).flatMap(({ kind, key, route }) => {
    const folder = kind.folder?.(route);
    if (folder === undefined) return [];
    const startsItself = (path: string) =>
      folder.holds === 'programs' && !folder.interpreted.some((extension) => path.endsWith(extension));
    return about([kind.name, key], folder.root, disk, (path) =>
      startsItself(path) ? scriptTrouble(disk, path) : fileTrouble(disk, path),
    );
  });
}

function about(
  route: readonly string[],
  root: string,
  disk: Disk,
  trouble: (path: string) => string | undefined,
): readonly string[] {
  const at = `${formatPath([...route, 'root'])}: `;
  const found = filesBelow(root, disk).flatMap((path) => {
    const sentence = trouble(path);
    return sentence === undefined ? [] : [`${at}${quote(path.slice(root.length + 1))} ${sentence}`];
  });
  const more = found.length - MAX_NAMED;
  return [
    ...found.slice(0, MAX_NAMED),
    ...(more > 0 ? [`${at}and ${more} more ${more === 1 ? 'file' : 'files'} like these`] : []),
  ];
}

/** Without hidden ones, which are not served. */
function filesBelow(root: string, disk: Disk): readonly string[] {
  const files: string[] = [];
  const look = (folder: string, depth: number): void => {
    const names = disk.names(folder);
    if ('failed' in names) return;
    for (const name of names) {
      if (files.length >= MAX_FILES) return;
      if (name.startsWith('.')) continue;
      const path = join(folder, name);
      const seen = disk.look(path);
      const isOpen = 'found' in seen && seen.found === 'folder' && 'found' in disk.look(`${path}/.`);
      if (!isOpen) files.push(path);
      else if (depth < MAX_DEPTH) look(path, depth + 1);
    }
  };
  look(root, 0);
  return files;
}

function fileTrouble(disk: Disk, path: string): string | undefined {
  const seen = disk.look(path);
  if ('found' in seen && seen.found === 'folder') return 'is a folder that the gateway may not open';
  const head = 'failed' in seen || seen.found !== 'file' ? seen : disk.head(path);
  return 'failed' in head ? failureInWords(head) : undefined;
}

/** What is not executable and does not begin as a script is no program, and may be meant so. */
function scriptTrouble(disk: Disk, path: string): string | undefined {
  const trouble = fileTrouble(disk, path);
  if (trouble !== undefined) return trouble;
  const refused = disk.whyNotExecutable(path);
  if (refused === undefined) return whyNotStarted(disk, path)?.sentence;
  const head = disk.head(path);
  return Buffer.isBuffer(head) && head.toString('latin1', 0, 2) === '#!' ? failureInWords(refused) : undefined;
}
