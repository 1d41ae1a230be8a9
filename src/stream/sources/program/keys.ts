/** The key that gives a stream a program. What else concerns programs is among the keys of every stream. */
import { command } from '../../../config/values/on-disk.ts';
import { optional } from '../../../config/values/value.ts';

export const commandKeys = {
  command: optional(command, "The program whose output is the stream and whose input the clients' messages are."),
} as const;
