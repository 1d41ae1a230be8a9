// How long to wait before trying again: twice as long each time, never quite the same.

const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/** Milliseconds before attempt number `failures` (1 is the first retry). A quarter is left to chance: a crowd must not return at once. */
export function retryDelay(failures) {
  const delay = Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
  return delay * (0.75 + Math.random() / 4);
}
