/** Runs targets for a number of cases or for a time, and tells exactly which case it was. */
import { Chance, mutated } from './mutate.ts';
import type { Target } from './targets.ts';

/** One case may take so long, milliseconds: more is taken for a hang. */
const SLOW = 20_000;

export interface Hunted {
  readonly cases: number;
}

/**
 * @param start the number of the first case; each has its own
 * @throws with the target, the number and the bytes of the case that failed
 */
export function hunt(
  target: Target,
  start: number,
  until: { readonly cases: number; readonly milliseconds: number },
): Hunted {
  let cases = 0;
  for (const seed of target.seeds) check(target, seed, new Chance(0), 'a seed');
  const end = Date.now() + until.milliseconds;
  while (cases < until.cases && Date.now() < end) {
    const number = start + cases++;
    const chance = new Chance(number);
    check(target, mutated(target.seeds, chance), chance, `case ${number}`);
  }
  return { cases };
}

function check(target: Target, bytes: Buffer, chance: Chance, name: string): void {
  const from = performance.now();
  const tell = (why: string, cause?: unknown): Error =>
    new Error(`${target.name}, ${name}: ${why}\n${JSON.stringify(bytes.toString('latin1'))}`, { cause });
  try {
    target.run(bytes, chance);
  } catch (error) {
    throw tell(error instanceof Error ? error.message : String(error), error);
  }
  const took = performance.now() - from;
  if (took > SLOW) throw tell(`took ${Math.round(took)} ms`);
}
