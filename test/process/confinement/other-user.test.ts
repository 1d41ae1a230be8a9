/** Programs of another user, started by a gateway that is no root and has exactly the capabilities that docs/processes.md and docs/systemd.md name. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { folderWith } from '../../support/gateway.ts';
import { alive, firstLine, until } from '../support.ts';

const GATEWAY = fileURLToPath(new URL('./unprivileged-gateway.js', import.meta.url));
const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url));
const OWN = '65534';
const OTHER = '65533';
const THREE = '+setuid,+setgid,+kill';

/** As a unit does with User=, CapabilityBoundingSet=, AmbientCapabilities= and NoNewPrivileges=. */
function asUnit(bounding: string, ambient: string): readonly string[] {
  return [
    ...[
      'setpriv',
      `--reuid=${OWN}`,
      `--regid=${OWN}`,
      '--clear-groups',
      '--no-new-privs',
      `--bounding-set=-all${bounding}`,
    ],
    ...[`--inh-caps=-all${ambient}`, `--ambient-caps=-all${ambient}`],
  ];
}

/** Whether this machine lets us be such a unit, and that user read our files. */
function possible(): boolean {
  const [file = '', ...args] = asUnit(`,${THREE}`, `,${THREE}`);
  return spawnSync(file, [...args, process.execPath, MAIN, 'version'], { stdio: 'ignore' }).status === 0;
}

const skip = possible() ? false : 'needs root, and files that everybody may read';

for (const spawner of ['starter', 'posix'])
  test(`become that user, keep no capability, can be ended, and are when the gateway is killed, ${spawner}`, {
    skip,
    timeout: 60_000,
  }, async () => {
    const [file = '', ...args] = asUnit(`,${THREE}`, `,${THREE}`);
    const command = [...args, process.execPath, GATEWAY, OTHER, spawner];
    const gateway = spawn(file, command, { stdio: ['ignore', 'pipe', 'inherit'] });
    const { says, left } = JSON.parse(await firstLine(gateway.stdout)) as { says: string[]; left: number };
    assert.deepEqual(says, [`${OTHER}\n${OTHER}\n0`, 'written', `${OWN}\n${OWN}\n0`, 'written', 'interrupt']);
    assert.match(readFileSync(`/proc/${left}/status`, 'utf8'), /^Uid:\s*65533\b/m);
    const exit = once(gateway, 'exit');
    gateway.kill('SIGKILL');
    await exit;
    await until('the program is gone', () => !alive(left));
  });

const CASES: readonly (readonly [what: string, launcher: readonly string[], says: RegExp])[] = [
  ['with the capabilities', asUnit(`,${THREE}`, `,${THREE}`), /^ok: /],
  [
    'with none',
    asUnit('', ''),
    /user: another user needs root or the capabilities CAP_SETUID, CAP_SETGID and CAP_KILL/,
  ],
  ['without KILL', asUnit(',+setuid,+setgid', ',+setuid,+setgid'), /user: another user needs root/],
  ['as root, bounded to them', ['setpriv', `--bounding-set=-all,${THREE}`], /^ok: /],
  ['as root, bounded to less', ['setpriv', '--bounding-set=-all,+setuid,+kill'], /user: another user needs/],
];

for (const [what, [file = '', ...args], says] of CASES)
  test(`check says whether it will work, ${what}`, { skip }, (t) => {
    const folder = folderWith(t, {
      'runnel.toml': `[[listen]]\naddress = ":8080"\n[stream."/x"]\ncommand = ["true"]\nuser = "${OTHER}"\ngroup = "${OTHER}"\n`,
    });
    spawnSync('chmod', ['-R', 'a+rX', folder]);
    const command = [...args, process.execPath, MAIN, 'check', '-c', `${folder}/runnel.toml`];
    const { stdout, stderr } = spawnSync(file, command, { encoding: 'utf8' });
    assert.match(`${stdout}${stderr}`, new RegExp(says.source, 'm'));
  });
