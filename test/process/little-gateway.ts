/**
 * For `watchdog.test.ts`: a process that starts programs as the gateway does, prints the ids of all of them as one line of JSON, and
 * waits to be killed. Its arguments are the spawner's name and one shell line for each program; each prints ids as its first line.
 */
import { Programs } from '../../src/process/programs.ts';
import { firstLine, keepAlive, makeSpawner, SPAWNERS, shell } from './support.ts';

const [name, ...scripts] = process.argv.slice(2);
const spawner = SPAWNERS.find((known) => known === name);
if (spawner === undefined) throw new Error(`no spawner ${name}`);

keepAlive();
const nothing = () => undefined;
const programs = new Programs(makeSpawner(spawner), 100, {
  started: nothing,
  ended: nothing,
  refused: nothing,
  watchdogLost: (reason) => console.error(reason),
});
const termination = { interruptAfter: 1000, terminateAfter: 1000, killAfter: 1000 };
const pids: number[] = [];
for (const script of scripts) {
  const program = await programs.start({ ...shell(script, { stderr: 'null' }), owner: 'test', termination });
  pids.push(...(await firstLine(program.stdout)).split(' ').map(Number));
}
process.stdout.write(`${JSON.stringify({ pids, watchdog: programs.watchdogPid })}\n`);
