/** The key that gives a stream a program. What else concerns programs is among the keys of every stream. */
import { command } from '../../../config/values/on-disk.ts';
import { optional } from '../../../config/values/value.ts';

export const commandKeys = {
  command: optional(command, 'The program of the stream. Clients get its output, and it reads their messages.'),
} as const;
