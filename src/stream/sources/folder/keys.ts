/** The key that gives a stream a folder of programs. */
import { folder } from '../../../config/values/on-disk.ts';
import { optional } from '../../../config/values/value.ts';

export const folderKeys = {
  root: optional(
    folder,
    'A folder of programs. Each client gets the program that its path names, as with `command`. The rest of the path is PATH_INFO.',
  ),
} as const;
