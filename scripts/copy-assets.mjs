// Copies and makes what tsc does not, beside the compiled code, where ops/assets finds it: the pages of src/browser, and the starter where there is a C compiler.
import { chmodSync, cpSync, rmSync } from 'node:fs';
import { compileStarter } from './package/starter.mjs';

cpSync('src/browser', 'dist/src/browser', { recursive: true, filter: (name) => !/(?<!\.d)\.ts$/.test(name) });
chmodSync('dist/src/main.js', 0o755);
const starter = `dist/src/process/starter/starter-${process.arch}`;
const missing = compileStarter(process.env.CC || 'cc', starter, { arm: process.arch === 'arm' });
if (missing !== undefined) {
  rmSync(starter, { force: true });
  // Not an error: programs are started by posix_spawn then.
  console.log(`no starter: ${missing}`);
}
