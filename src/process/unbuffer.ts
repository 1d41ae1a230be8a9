/**
 * Starting a program so that each line it prints comes at once. The C library, and what does as it does, holds output back from
 * anything but a terminal; so its stdout becomes one, where the spawner has them. stdbuf(1) besides talks the C library out of
 * it: all that there is without terminals, and with them what reaches the programs in a shell's pipeline.
 */
import type { Wrapper } from './confinement/confine.ts';

export interface Unbuffering {
  readonly stdout: 'pipe' | 'terminal';
  /** Stands directly before the program. */
  readonly wrapper: Wrapper;
  /** For the program, unless the route sets them. */
  readonly environment: ReadonlyMap<string, string>;
  /** What will not work here: a sentence for the log. */
  readonly shortcoming: string | undefined;
}

/** Of the well-known interpreters only this one has a variable for it; the programs that a program starts inherit it. */
const VARIABLES: readonly (readonly [string, string])[] = [['PYTHONUNBUFFERED', '1']];

/** A program that finds itself on a terminal must not colour, move the cursor or start a pager. */
const ON_A_TERMINAL: readonly (readonly [string, string])[] = [
  ['TERM', 'dumb'],
  ['NO_COLOR', '1'],
  ['PAGER', 'cat'],
];

/**
 * @param terminals Whether the spawner has them.
 * @param tool The file of a tool, or undefined where it is not installed.
 */
export function planUnbuffering(terminals: boolean, tool: (name: string) => string | undefined): Unbuffering {
  const stdbuf = tool('stdbuf');
  const wrapper = stdbuf === undefined ? [] : [stdbuf, '-oL'];
  if (terminals) {
    return {
      stdout: 'terminal',
      wrapper,
      environment: new Map([...VARIABLES, ...ON_A_TERMINAL]),
      shortcoming: undefined,
    };
  }
  return {
    stdout: 'pipe',
    wrapper,
    environment: new Map(VARIABLES),
    shortcoming:
      stdbuf === undefined
        ? 'unbuffer works only for Python here: programs get no pseudo-terminal, and stdbuf is not installed'
        : 'unbuffer uses only stdbuf here, because programs get no pseudo-terminal: it has no effect on statically linked programs and on perl',
  };
}
