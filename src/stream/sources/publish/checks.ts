/** Which keys of a stream go with `publish`: none that is about a program, or about a source that starts and ends. */
import { processLimits, programKeys } from '../../../config/keys/programs.ts';
import { isTable } from '../../../config/values/tables.ts';
import { type KeyRule, type RawStream, type SourceChecks, UNSHARED } from '../checks.ts';

const isPublished = ({ source }: RawStream): boolean => source === 'publish';
const NO_PROGRAM = 'is for a program, and "publish" starts none';

const RULES: readonly KeyRule[] = [
  {
    keys: ['share'],
    applies: (stream) => isPublished(stream) && stream.share !== 'all',
    sentence: ({ share }) =>
      `cannot be "${String(share)}" with "publish": what is published goes to all clients. Write a stream for each group of clients`,
  },
  {
    keys: ['start', 'idle_stop', 'restart', 'restart_delay', 'restart_delay_max', 'max_processes', 'max_queue'],
    applies: isPublished,
    sentence: () => 'has no effect with "publish": nothing is started or ended for it',
  },
  {
    keys: ['eof_message'],
    applies: isPublished,
    sentence: () => 'has no effect with "publish": there is no input that could be closed',
  },
  {
    keys: ['clients'],
    value: 'tagged',
    applies: isPublished,
    sentence: () => 'cannot be "tagged" with "publish": there is no program that would be told of the clients',
  },
  {
    keys: ['read_only'],
    applies: isPublished,
    sentence: () =>
      'has no effect with "publish": nobody could write. To let only some write, set publish = { auth = { … } }',
  },
  {
    keys: ['stderr', 'partial_lines', 'unbuffer', ...Object.keys(programKeys)],
    applies: isPublished,
    sentence: () => NO_PROGRAM,
  },
];

export const publishChecks: SourceChecks = {
  unshared: UNSHARED,
  rules: RULES,
  check({ path: at, table }, stream, _ground, reading) {
    if (stream === undefined || !isPublished(stream)) return;
    const { limits } = table;
    for (const name of Object.keys(processLimits))
      if (isTable(limits) && Object.hasOwn(limits, name)) reading.problem([...at, 'limits', name], NO_PROGRAM);
  },
};
