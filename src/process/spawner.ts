/** Picks how programs are started: by the starter where there is one, else by posix_spawn where it loads, else by plain Node. */
import { loadKoffi } from '../ops/addons/addon.ts';
import type { Assets } from '../ops/assets.ts';
import { childProcessSpawner } from './child-process.ts';
import { PosixSpawner, posixParts } from './posix/posix.ts';
import type { Spawner } from './spawn.ts';
import { StarterSpawner } from './starter/spawner.ts';

export interface SpawnerChoice {
  readonly spawner: Spawner;
  /** Set when a faster way was wanted and cannot be used here: one sentence for the log. */
  readonly reason?: string;
  /** The FFI add-on's exports, for what else needs the C library; undefined where it is not used. */
  readonly addon?: unknown;
}

/** How programs are to be started; "auto" is the first that is there. */
export type SpawnerWish = 'auto' | Spawner['name'];

/** The starter of this processor, among the assets. The npm package has those of others beside it. */
export const STARTER = `process/starter/starter-${process.arch}`;

/**
 * "auto" and a name both fall back to what is next; the difference is the operator's expectation, so with a name the log line is a warning.
 * @param lost is told in a sentence when the chosen way was lost later, and what follows
 */
export function chooseSpawner(assets: Assets, wanted: SpawnerWish, lost: (reason: string) => void): SpawnerChoice {
  if (wanted === 'child_process') return { spawner: childProcessSpawner() };
  try {
    const addon = loadKoffi(assets);
    const parts = posixParts(addon);
    if (wanted === 'posix') return { spawner: new PosixSpawner(parts), addon };
    if (assets.has(STARTER)) {
      const spawner = new StarterSpawner(parts, { program: () => assets.read(STARTER), lost });
      return { spawner, addon };
    }
    const reason =
      'there is no starter for this machine, so each start of a program takes a little longer: it needs a C compiler at build time';
    return { spawner: new PosixSpawner(parts), addon, reason };
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    return {
      spawner: childProcessSpawner(),
      reason: `posix_spawn cannot be used, so Node starts the programs, which is slower: ${cause}`,
    };
  }
}
