/** What tests with very many viewers need. */
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';

/** True, and the test is skipped, where this process and the gateway may not open so many files each. Node raises its own limit to the system's. */
export function tooFewFiles(t: TestContext, files: number): boolean {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  const enough = hard === 'unlimited' || Number(hard) >= files;
  if (!enough) t.skip(`needs ${files} open files (ulimit -n), and may have ${hard}`);
  return !enough;
}

/** `make(0)` to `make(count - 1)`, so many at one time. */
export async function inTurns<T>(
  count: number,
  atOnce: number,
  make: (index: number) => Promise<T>,
): Promise<readonly T[]> {
  const made: T[] = new Array<T>(count);
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) {
      const at = next++;
      made[at] = await make(at);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, one));
  return made;
}
