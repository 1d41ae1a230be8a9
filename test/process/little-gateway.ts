/**
 * For `watchdog.test.ts`: a process that starts programs as the gateway does, prints the ids of all of them as one line of JSON, and
 * waits to be killed. Its arguments are the spawner's name and one shell line for each program; each prints ids as its first line. With "--kill"
 * before those the starter is killed when they run, and has a successor.
 */
import { loadKoffi } from '../../src/ops/addons/addon.ts';
import { openAssets } from '../../src/ops/assets.ts';
import { posixParts } from '../../src/process/posix/posix.ts';
import { Programs } from '../../src/process/programs.ts';
import type { Spawner } from '../../src/process/spawn.ts';
import { STARTER } from '../../src/process/spawner.ts';
import { StarterSpawner } from '../../src/process/starter/spawner.ts';
import { firstLine, keepAlive, makeSpawner, SPAWNERS, shell, until } from './support.ts';

const [name, ...rest] = process.argv.slice(2);
const known = SPAWNERS.find((spawner) => spawner === name);
if (known === undefined) throw new Error(`no spawner ${name}`);
const kill = rest[0] === '--kill';
const scripts = kill ? rest.slice(1) : rest;
const spawner = kill ? lastingStarter() : makeSpawner(known);

keepAlive();
const nothing = () => undefined;
const programs = new Programs(spawner, 100, {
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
if (kill) {
  const before = spawner.guardPid;
  process.kill(before ?? 0, 'SIGKILL');
  await until('another one', () => spawner.guardPid !== undefined && spawner.guardPid !== before);
}
process.stdout.write(`${JSON.stringify({ pids, watchdog: programs.watchdogPid })}\n`);

/** One whose starter has a successor however young it was. */
function lastingStarter(): Spawner {
  const assets = openAssets();
  const program = (): Buffer => assets.read(STARTER);
  return new StarterSpawner(posixParts(loadKoffi(assets)), { program, lost: () => undefined, young: 0 });
}
