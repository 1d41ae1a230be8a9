/** What happens to programs when the gateway is killed, and to their watchdog. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Spawner } from '../../../src/process/spawn.ts';
import { WATCHDOG_SCRIPT, Watchdog } from '../../../src/process/termination/watchdog.ts';
import { alive, firstLine, keepAlive, makeSpawner, SPAWNERS, shell, statOf, until, zombies } from '../support.ts';

const SUDDEN_GATEWAY = fileURLToPath(new URL('../sudden-gateway.js', import.meta.url));
const LITTLE_GATEWAY = fileURLToPath(new URL('../little-gateway.js', import.meta.url));

for (const name of SPAWNERS) {
  test(`a gateway that is killed leaves no program and no watchdog, ${name}`, { timeout: 60_000 }, async () => {
    const scripts = [
      'echo $$; exec sleep 1000',
      'trap "" INT TERM HUP PIPE; echo $$; while :; do sleep 1000; done',
      'trap "" INT TERM; sleep 1000 & echo $! $$; wait',
    ];
    const gateway = spawn(process.execPath, [LITTLE_GATEWAY, name, ...scripts], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { pids, watchdog } = JSON.parse(await firstLine(gateway.stdout)) as { pids: number[]; watchdog: number };
    assert.equal(pids.length, 4);
    assert.deepEqual(
      pids.filter((pid) => !alive(pid)),
      [],
    );
    assert.ok(alive(watchdog));
    gateway.kill('SIGKILL');
    await until('all are gone', () => ![...pids, watchdog].some(alive));
  });
}

for (const [name, stdout, kind] of [
  ['posix', 'pipe', 1],
  ['posix', 'terminal', 2],
  ['starter', 'pipe', 3],
  ['starter', 'terminal', 4],
] as const)
  test(`nor does it leave what was just being started with a ${stdout}, ${name}`, { timeout: 60_000 }, async () => {
    for (const after of [0, 1, 2, 4, 8]) {
      const marker = `100000.${process.pid}${after}${kind}`;
      const gateway = spawn(process.execPath, [SUDDEN_GATEWAY, marker, String(after), stdout, name], {
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      const [, signal] = await once(gateway, 'exit');
      assert.equal(signal, 'SIGKILL');
      // Every one ignores what can be ignored, so this is the watchdog's last step.
      await until('none is left', () => !commands().some((command) => command.includes(marker)));
    }
  });

/** The command lines of all processes. */
function commands(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    });
}

describe('the script', () => {
  const shells = [
    ['/bin/sh'],
    ['/bin/dash'],
    ['/bin/bash'],
    ['/bin/busybox', 'ash'],
    ['/usr/bin/busybox', 'ash'],
  ] as const;
  for (const [file, ...first] of shells) {
    // A machine has the shells that it has; /bin/sh, which is what runs it, every machine has.
    if (!existsSync(file)) continue;
    test(`in ${[file, ...first].join(' ')}: ends what is in the list, and nothing else`, { timeout: 60_000 }, () => {
      // Each is its own group, and can be waited for here because sh is its parent.
      const script = `
        setsid sh -c 'trap "" TERM; while :; do sleep 1000; done' & a=$!
        setsid sleep 1000 & b=$!
        setsid sleep 1000 & c=$!
        sleep 0.3
        setsid sh -c 'echo $$ > "$TABLE.pid"; trap "" TERM; exec sleep 1000' | cat >/dev/null 2>&1 &
        sleep 0.3
        e=$(cat "$TABLE.pid")
        printf '%-11s\\n' $a '' $b 9999999 '' "?$(stat -L -c %i /proc/$e/fd/1)" '?1' > "$TABLE"
        "$@" </dev/null 2<"$TABLE"
        wait $a; echo $?; wait $b; echo $?
        for n in 1 2 3 4 5 6 7 8 9; do
          case $(cut -d' ' -f3 /proc/$e/stat 2>/dev/null) in ''|Z) echo found; break ;; esac
          sleep 0.5
        done
        kill -0 $c && kill $c && echo spared`;
      const folder = mkdtempSync(join(tmpdir(), 'runnel-watchdog-'));
      const run = spawnSync('/bin/sh', ['-c', script, 'sh', file, ...first, '-c', WATCHDOG_SCRIPT], {
        encoding: 'utf8',
        env: { ...process.env, TABLE: join(folder, 'table') },
      });
      rmSync(folder, { recursive: true });
      assert.equal(run.stdout, '137\n143\nfound\nspared\n', run.stderr);
    });
  }
});

describe('the watchdog', { timeout: 60_000 }, () => {
  let spawner: Spawner;
  let release: () => void;
  before(() => {
    release = keepAlive();
    spawner = makeSpawner('posix');
  });
  after(async () => {
    await spawner.close();
    release();
  });

  test('has a session of its own, ignores what a terminal sends, and ends when it is closed', async () => {
    const watchdog = new Watchdog(spawner, assert.fail);
    await watchdog.ready();
    const pid = watchdog.pid ?? 0;
    assert.equal(statOf(pid)?.session, pid);
    const slot = watchdog.entry();
    slot.runs(9_999_999);
    slot.leave();
    slot.leave();
    process.kill(pid, 'SIGINT');
    process.kill(pid, 'SIGTERM');
    await watchdog.close();
    assert.equal(alive(pid), false);
    assert.equal(zombies(), 0);
  });

  test('is told of when it dies, comes back, and knows what the old one knew', async () => {
    const reasons: string[] = [];
    const watchdog = new Watchdog(spawner, (reason) => reasons.push(reason));
    await watchdog.ready();
    const old = watchdog.pid ?? 0;
    const child = await spawner.spawn(shell('echo $$; exec sleep 1000', { stderr: 'null' }));
    await firstLine(child.stdout);
    watchdog.entry().runs(child.pid);
    process.kill(old, 'SIGKILL');
    await until('a new one', () => watchdog.pid !== undefined && watchdog.pid !== old);
    assert.equal(reasons.length, 1);
    assert.match(reasons[0] ?? '', /has died/);
    await watchdog.close();
    // It was closed with a program in its list, as it is by the kernel when the gateway dies.
    assert.deepEqual(await child.exited, { code: undefined, signal: 'SIGTERM' });
    child.stdout.destroy();
  });

  test('comes back without waiting, unless it was just started', { timeout: 30_000 }, async (t) => {
    const watchdog = new Watchdog(spawner, () => undefined);
    await watchdog.ready();
    const old = watchdog.pid ?? 0;
    watchdog.entry().runs(9_999_997);
    await delay(1100);
    // No timer ends from here on.
    t.mock.timers.enable({ apis: ['setTimeout'] });
    process.kill(old, 'SIGKILL');
    while (watchdog.pid === undefined || watchdog.pid === old) await new Promise(setImmediate);
    t.mock.timers.reset();
    await watchdog.close();
  });

  test('one that is stopped holds nothing up, and does its work when it goes on', async () => {
    const watchdog = new Watchdog(spawner, assert.fail);
    await watchdog.ready();
    const pid = watchdog.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    const child = await spawner.spawn(shell('echo $$; exec sleep 1000', { stderr: 'null' }));
    await firstLine(child.stdout);
    for (let n = 0; n < 20_000; n++) {
      const slot = watchdog.entry();
      slot.runs(9_999_998);
      slot.leave();
    }
    watchdog.entry().runs(child.pid);
    process.kill(pid, 'SIGCONT');
    await watchdog.close();
    assert.deepEqual(await child.exited, { code: undefined, signal: 'SIGTERM' });
    child.stdout.destroy();
  });

  test('one that cannot be started is told of, and holds nothing up', async () => {
    const reasons: string[] = [];
    const broken: Spawner = {
      name: 'posix',
      guardsPrograms: false,
      terminals: false,
      spawn: () => Promise.reject(new Error('no')),
      memoryFile: () => spawner.memoryFile(),
      close: () => Promise.resolve(),
    };
    const watchdog = new Watchdog(broken, (reason) => reasons.push(reason));
    await watchdog.ready();
    assert.equal(watchdog.ready(), undefined);
    assert.match(reasons[0] ?? '', /cannot be started: no/);
    await watchdog.close();
  });
});
