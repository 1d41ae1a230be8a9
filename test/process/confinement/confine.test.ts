import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Confinement } from '../../../src/config/keys/programs.ts';
import { planConfinement, readSystem, type SystemFacts, wrap } from '../../../src/process/confinement/confine.ts';
import type { Exit, Spawner } from '../../../src/process/spawn.ts';
import { collect, keepAlive, makeSpawner, SPAWNERS, shell } from '../support.ts';

const ROOT: SystemFacts = {
  user: 0,
  passwd: 'root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\nbob:x:1002:1002::/:/bin/sh\n',
  group: 'root:x:0:\nann:x:1001:\nvideo:x:44:ann,bob\ngpio:x:997:ann\n',
  capabilities: (1n << 41n) - 1n,
  inherited: (1n << 41n) - 1n,
  tool: (name) => `/usr/bin/${name}`,
};
const NOBODY: SystemFacts = { ...ROOT, user: 65534, capabilities: 0n, inherited: 0n };
/** As with capabilities of the file, or a bounding set that lacks them. */
const ALONE: SystemFacts = { ...ROOT, user: 65534, inherited: 0n };
const BARE: SystemFacts = { ...ROOT, tool: () => undefined };

describe('planConfinement', () => {
  const plans: readonly (readonly [what: string, confinement: Confinement, wrapper: string])[] = [
    ['nothing', { limits: {} }, ''],
    [
      'a user with its groups',
      { user: 'ann', limits: {} },
      '/usr/bin/setpriv --reuid=1000 --regid=1001 --groups=44,997 --inh-caps=-all --',
    ],
    [
      'a user by number',
      { user: '1000', limits: {} },
      '/usr/bin/setpriv --reuid=1000 --regid=1001 --groups=44,997 --inh-caps=-all --',
    ],
    [
      'user and group',
      { user: 'bob', group: 'gpio', limits: {} },
      '/usr/bin/setpriv --reuid=1002 --regid=997 --groups=44 --inh-caps=-all --',
    ],
    [
      'unknown numbers',
      { user: '5', group: '6', limits: {} },
      '/usr/bin/setpriv --reuid=5 --regid=6 --clear-groups --inh-caps=-all --',
    ],
    ['a group alone', { group: 'video', limits: {} }, '/usr/bin/setpriv --regid=44 --clear-groups --inh-caps=-all --'],
    [
      'every limit',
      {
        user: 'bob',
        limits: { memory: 1 << 26, processes: 9, open_files: 64, cpu_time: 1500, file_size: 4096, nice: 5 },
      },
      '/usr/bin/nice -n 5 /usr/bin/prlimit --as=67108864 --nproc=9 --nofile=64 --cpu=2:3 --fsize=4096 -- /usr/bin/setpriv --reuid=1002 --regid=1002 --groups=44 --inh-caps=-all --',
    ],
    [
      'limits come before the user, who could not raise them',
      { user: 'bob', group: 'root', limits: { open_files: 9 } },
      '/usr/bin/prlimit --nofile=9 -- /usr/bin/setpriv --reuid=1002 --regid=0 --groups=44 --inh-caps=-all --',
    ],
  ];
  for (const [what, confinement, wrapper] of plans) {
    test(what, () => {
      const plan = planConfinement(confinement, ROOT);
      assert.ok('wrapper' in plan);
      assert.deepEqual(plan.wrapper, wrapper === '' ? [] : wrapper.split(' '));
    });
  }
  test('limits that only lower need no right', () => {
    assert.ok('wrapper' in planConfinement({ limits: { memory: 1 << 26, nice: 1 } }, NOBODY));
  });

  const identities: readonly (readonly [Confinement, user: number | undefined, environment: readonly string[]])[] = [
    [{ limits: {} }, undefined, []],
    [{ group: 'video', limits: {} }, undefined, []],
    [{ user: 'ann', limits: {} }, 1000, ['HOME=/home/ann', 'USER=ann', 'LOGNAME=ann']],
    [{ user: '1002', limits: {} }, 1002, ['HOME=/', 'USER=bob', 'LOGNAME=bob']],
    [{ user: '5', group: '6', limits: {} }, 5, []],
  ];
  for (const [confinement, user, environment] of identities)
    test(`who it is: ${JSON.stringify(confinement)}`, () => {
      const plan = planConfinement(confinement, ROOT);
      assert.ok('wrapper' in plan);
      assert.equal(plan.user, user);
      assert.deepEqual(
        [...plan.environment].map(([name, value]) => `${name}=${value}`),
        environment,
      );
    });

  const failures: readonly (readonly [
    what: string,
    confinement: Confinement,
    system: SystemFacts,
    problems: readonly RegExp[],
  ])[] = [
    ['an unknown user', { user: 'eve', limits: {} }, ROOT, [/^user: there is no user "eve"/]],
    ['an unknown group', { user: 'ann', group: 'x', limits: {} }, ROOT, [/^group: there is no group "x"/]],
    ['a number that is too large', { user: '4294967295', limits: {} }, ROOT, [/no user/]],
    ['a number without a group', { user: '7', limits: {} }, ROOT, [/set group too/]],
    ['no right to', { user: 'ann', limits: { nice: -1 } }, NOBODY, [/CAP_SYS_NICE/, /CAP_SETUID/]],
    ['processes of root', { limits: { processes: 5 } }, ROOT, [/^limits.processes: has no effect on programs of root/]],
    ['processes of root by name', { user: 'root', limits: { processes: 5 } }, ROOT, [/set user too/]],
    ['no right to, group', { group: 'video', limits: {} }, NOBODY, [/^group: .*CAP_SETGID/]],
    ['rights that setpriv would not have', { user: 'ann', limits: {} }, ALONE, [/^user: .*AmbientCapabilities=/]],
    [
      'no tools',
      { user: 'ann', limits: { memory: 1, nice: 1 } },
      BARE,
      [/needs the program nice/, /prlimit/, /setpriv/],
    ],
  ];
  for (const [what, confinement, system, problems] of failures) {
    test(what, () => {
      const plan = planConfinement(confinement, system);
      const found = 'problems' in plan ? plan.problems.map(({ key, message }) => `${key.join('.')}: ${message}`) : [];
      assert.equal(found.length, problems.length, found.join('; '));
      problems.forEach((problem, index) => {
        assert.match(found[index] ?? '', problem);
      });
    });
  }
});

for (const name of SPAWNERS) {
  describe(`confined programs, ${name}`, { timeout: 60_000 }, () => {
    let spawner: Spawner;
    let release: () => void;
    before(() => {
      release = keepAlive();
      spawner = makeSpawner(name);
    });
    after(async () => {
      await spawner.close();
      release();
    });

    async function run(confinement: Confinement, script: string): Promise<{ out: string; exit: Exit }> {
      const plan = planConfinement(confinement, readSystem());
      if (!('wrapper' in plan)) throw new Error(JSON.stringify(plan.problems));
      const options = shell(script, { stdin: 'null', stderr: 'null' });
      const child = await spawner.spawn({ ...options, ...wrap(plan.wrapper, options.file, options.argv) });
      const [out, exit] = await Promise.all([collect(child.stdout), child.exited]);
      return { out, exit };
    }

    test('limits hold from the first instruction', async () => {
      const { out } = await run(
        { limits: { memory: 1 << 28, open_files: 50, file_size: 1 << 20, cpu_time: 7000, nice: 3 } },
        'ulimit -v; ulimit -n; ulimit -f; ulimit -t; cut -d" " -f19 /proc/$$/stat',
      );
      const own = Number((await run({ limits: {} }, 'cut -d" " -f19 /proc/$$/stat')).out);
      assert.equal(out, `262144\n50\n2048\n7\n${Math.min(19, own + 3)}\n`);
    });

    test('processor time that is used up', async () => {
      const { exit } = await run({ limits: { cpu_time: 1000 } }, 'while :; do :; done');
      assert.equal(exit.signal, 'SIGXCPU');
    });

    test('another user, or a reason why not', async () => {
      const plan = planConfinement({ user: '65534', group: '65534', limits: {} }, readSystem());
      if ('problems' in plan) {
        assert.match(plan.problems[0]?.message ?? '', /CAP_SETUID/);
        return;
      }
      const { out } = await run(
        { user: '65534', group: '65534', limits: {} },
        'id -u; id -g; id -G; grep ^CapEff /proc/self/status',
      );
      assert.match(out, /^65534\n65534\n65534\nCapEff:\s*0+\n$/);
    });
  });
}
