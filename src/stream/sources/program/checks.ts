/** Which keys of a stream go with a program. */

import { doubtScriptArgument } from '../../../config/checks/script-argument.ts';
import { textIn } from '../../../config/values/tables.ts';
import { type KeyRule, type RawStream, type SourceChecks, UNSHARED } from '../checks.ts';

const isCommand = ({ source }: RawStream): boolean => source === 'command';
const isUnshared = ({ source, share }: RawStream): boolean => source === 'command' && share === 'client';

const RULES: readonly KeyRule[] = [
  { keys: ['idle_stop'], applies: isUnshared, sentence: () => UNSHARED },
  { keys: ['start'], value: 'boot', applies: isUnshared, sentence: () => UNSHARED },
  {
    keys: ['eof_message'],
    applies: (stream) => isCommand(stream) && (stream.share === 'all' || stream.share === 'query'),
    sentence: () => 'has no effect on a shared program: one client cannot end the input for all',
  },
  {
    keys: ['stderr'],
    value: 'json',
    applies: ({ table }) => table['framing'] !== undefined && table['framing'] !== 'lines',
    sentence: ({ table }) => `cannot be "json" with framing = "${textIn(table, 'framing')}": it is about lines`,
  },
  {
    keys: ['partial_lines'],
    applies: ({ source, table }) => source !== 'poll' && table['framing'] !== undefined && table['framing'] !== 'lines',
    sentence: ({ table }) => `has no effect with framing = "${textIn(table, 'framing')}": it is about lines`,
  },
  {
    keys: ['partial_lines'],
    applies: ({ source, table }) => source !== 'poll' && (table['stderr'] === 'json' || table['clients'] === 'tagged'),
    sentence: () => 'has no effect with stderr = "json" or clients = "tagged": messages are made of whole lines there',
  },
  {
    keys: ['restart_delay', 'restart_delay_max'],
    applies: (stream) =>
      isCommand(stream) && (stream.table['restart'] ?? (stream.share === 'client' ? 'never' : 'always')) === 'never',
    sentence: ({ table }) =>
      `has no effect: the program is never started again${table['restart'] === undefined ? '; set restart = "always"' : ''}`,
  },
];

export const commandChecks: SourceChecks = {
  unshared: UNSHARED,
  rules: RULES,
  doubt(key, { command, directory }, _routes, reading) {
    if (command === undefined) return;
    const usual = { path: process.cwd(), name: 'the folder in which the gateway is started' };
    doubtScriptArgument(['stream', key, 'command'], command, directory, usual, reading);
  },
};
