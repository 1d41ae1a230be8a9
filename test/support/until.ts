/** Waits for a condition, with a deadline that only a failure reaches. */
import { setTimeout as sleep } from 'node:timers/promises';

const DEADLINE = 60_000;
const LOOK_EVERY = 5;

/** Resolves once `condition` holds; rejects with `what` after the deadline. */
export async function until(condition: () => boolean, what: string, deadline = DEADLINE): Promise<void> {
  const end = Date.now() + deadline;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(LOOK_EVERY);
  }
}
