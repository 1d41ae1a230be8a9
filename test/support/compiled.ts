/** The bench's viewers in C, for tests with more of them than one process of Node can play. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Compiled } from '../bench/viewers.ts';
import { folderWith } from './gateway.ts';

const SOURCE = fileURLToPath(new URL('../../../test/bench/viewers.c', import.meta.url));

/** @returns a folder with the program `viewers`; undefined, and the test is skipped, where there is no compiler. */
export function compiledViewers(t: TestContext): Compiled | undefined {
  const folder = folderWith(t, {});
  const built = spawnSync('gcc', ['-O2', '-pthread', '-o', join(folder, 'viewers'), SOURCE], { encoding: 'utf8' });
  if (built.error !== undefined) {
    t.skip('needs gcc');
    return undefined;
  }
  if (built.status !== 0) throw new Error(`viewers.c: ${built.stderr}`);
  return { folder };
}
