/** That the files which a table names below its folder are there. */
import { join, resolve } from 'node:path';
import { failureInWords, UNSEEN } from '../disk/disk.ts';
import { quote } from '../reading/problems.ts';
import { RELATIVE_FILE } from './names.ts';
import { isTable, type Rule } from './tables.ts';
import type { KeyPath, Reading } from './value.ts';

/** Each of `keys` is the path of a file below the folder `root`, or a table of such paths; where it is set, the file must exist. */
export function filesBelow(root: string, ...keys: readonly string[]): Rule {
  return {
    note: `The files of ${keys.map((key) => `\`${key}\``).join(' and ')} must exist.`,
    json: {},
    check(table, at, reading) {
      const folder = table[root];
      if (typeof folder !== 'string' || folder.includes('\0')) return;
      const below = resolve(reading.directory, folder);
      // Without the folder itself there is nothing more to say.
      if (!('found' in reading.disk.look(below))) return;
      for (const key of keys) {
        const value = table[key];
        const files = isTable(value) ? Object.entries(value) : [[undefined, value] as const];
        for (const [name, file] of files) {
          const path = [...at, key, ...(name === undefined ? [] : [name])];
          if (typeof file === 'string' && RELATIVE_FILE.test(file)) checkFile(below, file, path, reading);
        }
      }
    },
  };
}

function checkFile(folder: string, file: string, at: KeyPath, reading: Reading): void {
  const seen = reading.disk.look(join(folder, file));
  if ('failed' in seen) {
    const sentence = `the file ${quote(file)} below root ${failureInWords(seen)}`;
    if (seen.failed === UNSEEN) reading.doubt(at, sentence);
    else reading.problem(at, sentence);
  }
  if ('found' in seen && seen.found !== 'file') reading.problem(at, `${quote(file)} below root is not a file`);
}
