/**
 * For `other-user.test.ts`: what a gateway does that is no root, but has the capabilities to start programs of other users: it closes itself, then starts
 * one program after another, prints what each of them says as a line of JSON, and waits to be killed. Its arguments are the other user's number and how programs are started.
 */
import { loadKoffi } from '../../../src/ops/addons/addon.ts';
import { openAssets } from '../../../src/ops/assets.ts';
import { shield } from '../../../src/ops/system/shield.ts';
import { planConfinement, readSystem } from '../../../src/process/confinement/confine.ts';
import { Programs } from '../../../src/process/programs.ts';
import { chooseSpawner } from '../../../src/process/spawner.ts';
import { collect, firstLine, keepAlive, shell } from '../support.ts';

const [user = '', wanted] = process.argv.slice(2);
const addon = loadKoffi(openAssets());
const system = readSystem();
shield(addon);
keepAlive();
const nothing = () => undefined;
const programs = new Programs(
  chooseSpawner(openAssets(), wanted === 'posix' ? 'posix' : 'starter', console.error).spawner,
  100,
  {
    started: nothing,
    ended: nothing,
    refused: nothing,
    watchdogLost: (reason) => console.error(reason),
  },
);
const termination = { interruptAfter: 1000, terminateAfter: 1000, killAfter: 1000 };

const start = (script: string, other: boolean) => {
  const plan = planConfinement(other ? { user, group: user, limits: {} } : { limits: {} }, system);
  if ('problems' in plan) throw new Error(JSON.stringify(plan.problems));
  const { wrapper, capabilities, user: pipeOwner } = plan;
  return programs.start({ ...shell(script), owner: 'test', termination, wrapper, capabilities, pipeOwner });
};
const who =
  'id -u; id -g; grep -E "^Cap(Inh|Prm|Eff|Amb)" /proc/self/status | grep -c "[1-9a-f]$"; echo written >/dev/stderr';
const says: string[] = [];
for (const other of [true, false]) {
  const { stdout, stderr, exited } = await start(who, other);
  says.push(...(await Promise.all([collect(stdout), collect(stderr)])).map((text) => text.trim()));
  await exited;
}
const ended = await start('echo on; exec sleep 1000', true);
await firstLine(ended.stdout);
says.push((await programs.end(ended)).step);
const left = await start('trap "" INT TERM; echo on; while :; do sleep 1000; done', true);
await firstLine(left.stdout);
process.stdout.write(`${JSON.stringify({ says, left: left.pid })}\n`);
