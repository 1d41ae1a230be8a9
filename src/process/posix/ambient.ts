/**
 * Capabilities for one program. What a program of another user than root is to have must be ambient in the thread that starts it (capabilities(7)), and
 * what is ambient every other program would have, too. So none is, but for the moment of such a start, and only on the thread that does it.
 */
import type { PosixCalls } from './calls.ts';

/** prctl(2). */
const PR_CAP_AMBIENT = 47;
const IS_SET = 1;
const RAISE = 2;
const LOWER = 3;

/** Runs `start` with these capabilities ambient, as far as this process has them and may hand them on; the others it cannot give. */
export function withAmbient<T>(calls: PosixCalls, capabilities: readonly number[], start: () => T): T {
  const raised = capabilities.filter(
    (number) =>
      calls.ambient(PR_CAP_AMBIENT, IS_SET, number, 0, 0) === 0 &&
      calls.ambient(PR_CAP_AMBIENT, RAISE, number, 0, 0) === 0,
  );
  try {
    return start();
  } finally {
    for (const number of raised) calls.ambient(PR_CAP_AMBIENT, LOWER, number, 0, 0);
  }
}
