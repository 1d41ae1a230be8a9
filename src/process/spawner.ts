/** Picks how programs are started: posix_spawn where it loads, else plain Node. */
import { loadKoffi } from '../ops/addons/addon.ts';
import type { Assets } from '../ops/assets.ts';
import { childProcessSpawner } from './child-process.ts';
import { posixSpawner } from './posix/posix.ts';
import type { Spawner } from './spawn.ts';

export interface SpawnerChoice {
  readonly spawner: Spawner;
  /** Set when the faster way was wanted and cannot be used here: one sentence for the log. */
  readonly reason?: string;
  /** The FFI add-on's exports, for what else needs the C library; undefined where it is not used. */
  readonly addon?: unknown;
}

/** "posix" and "auto" both fall back; the difference is the operator's expectation, so with "posix" the log line is a warning. */
export function chooseSpawner(assets: Assets, wanted: 'auto' | 'posix' | 'child_process'): SpawnerChoice {
  if (wanted === 'child_process') return { spawner: childProcessSpawner() };
  try {
    const addon = loadKoffi(assets);
    return { spawner: posixSpawner(addon), addon };
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    return {
      spawner: childProcessSpawner(),
      reason: `posix_spawn cannot be used, so Node starts the programs, which is slower: ${cause}`,
    };
  }
}
