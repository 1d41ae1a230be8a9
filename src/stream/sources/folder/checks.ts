/** Which keys of a stream go with a folder of programs. */
import type { SourceChecks } from '../checks.ts';

const UNSHARED =
  'needs a stream that its clients share: a folder has one program for all only as a "command" of its own';

export const folderChecks: SourceChecks = {
  unshared: UNSHARED,
  rules: [
    {
      keys: ['share'],
      applies: ({ source, share }) => source === 'root' && share !== 'client',
      sentence: () => 'must be "client" with root: the path of each client names its program',
    },
  ],
};
