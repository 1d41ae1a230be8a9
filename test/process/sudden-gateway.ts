/**
 * For `watchdog.test.ts`: a process that begins to start programs that end of nothing but KILL, and is itself killed so many milliseconds
 * later. Its arguments are a number for the programs to sleep, by which they are known, those milliseconds, what their stdout is, and how programs are started.
 */
import { Programs } from '../../src/process/programs.ts';
import { makeSpawner, SPAWNERS, shell } from './support.ts';

const [marker, after, stdout, name] = process.argv.slice(2);
const nothing = () => undefined;
const programs = new Programs(makeSpawner(SPAWNERS.find((known) => known === name) ?? 'posix'), 100, {
  started: nothing,
  ended: nothing,
  refused: nothing,
  watchdogLost: (reason) => console.error(reason),
});
const termination = { interruptAfter: 1000, terminateAfter: 1000, killAfter: 1000 };
const start = () =>
  programs.start({
    ...shell(`trap "" INT TERM HUP PIPE; exec sleep ${marker}`, {
      stdin: stdout === 'terminal' ? 'pipe' : 'null',
      stdout: stdout === 'terminal' ? 'terminal' : 'pipe',
      stderr: 'null',
    }),
    owner: 'test',
    termination,
  });
// The first brings the watchdog with it.
await start();
for (let n = 0; n < 40; n++) void start();
setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(after));
