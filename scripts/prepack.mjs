// Before `npm pack` makes the tarball: the starters of all processors, beside the one that the build has made for this machine.
// The tarball is one for all of them. Where a compiler is missing, programs are started by posix_spawn there.
import { compileStarter } from './package/starter.mjs';
import { TARGETS } from './package/targets.mjs';

for (const [name, { arch, cc }] of Object.entries(TARGETS)) {
  const missing = compileStarter(cc, `dist/src/process/starter/starter-${arch}`, { arm: arch === 'arm' });
  if (missing === undefined) continue;
  if (process.env.CI) throw new Error(missing);
  console.log(`${missing}: the npm package has no starter for ${name}`);
}
