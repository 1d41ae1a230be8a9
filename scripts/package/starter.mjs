// Compiles the starter (src/process/starter/starter.c): one small file that needs no library and no folder of its own.
import { spawnSync } from 'node:child_process';

const FLAGS = [
  '-O2',
  '-std=gnu11',
  '-static',
  '-ffreestanding',
  '-nostdlib',
  '-nostartfiles',
  '-fno-pie',
  '-no-pie',
  '-fno-stack-protector',
  '-fno-asynchronous-unwind-tables',
  '-fno-tree-loop-distribute-patterns',
  '-fomit-frame-pointer',
  // Nothing of the machine that built it, so that two builds are equal.
  '-Wl,--build-id=none',
  '-Wl,-z,noexecstack',
  '-Wl,-z,noseparate-code',
  '-Wl,-z,norelro',
  '-s',
];

/** Answers undefined, or why there is no starter now. `arm`: of 32 bits. */
export function compileStarter(compiler, out, { arm = false, strict = false } = {}) {
  const special = [...(arm ? ['-marm'] : []), ...(strict ? ['-Wall', '-Wextra', '-Werror'] : [])];
  const source = 'src/process/starter/starter.c';
  const run = spawnSync(compiler, [...FLAGS, ...special, '-o', out, source], {
    encoding: 'utf8',
  });
  if (run.error?.code === 'ENOENT') return `${compiler} is not installed`;
  return run.status === 0 ? undefined : `${compiler} failed: ${run.error?.message ?? run.stderr}`;
}
