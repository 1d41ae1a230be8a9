// The executable where it is hard to load the native add-ons, and among programs of the same user that would like to take it over.
// Needs root, for namespaces. Run by scripts/smoke.mjs --all.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const DEADLINE = 30_000;
/** Somebody without a name, a home or a group. */
const NOBODY = ['setpriv', '--reuid=64999', '--regid=64999', '--clear-groups', '--no-new-privs'];
/** As the service is started. */
const LOW_PORTS = ['--inh-caps=+net_bind_service', '--ambient-caps=+net_bind_service'];
const CLOSED = 'mount -t tmpfs -o noexec tmpfs';

/**
 * How the world is for the gateway: what is mounted before it starts ($1 is its folder), who it is, and what has to serve then.
 */
const WORLDS = {
  'noexec /tmp, nobody without a home': {
    mounts: `${CLOSED} /tmp`,
    engine: 'auto',
  },
  'a root that is read-only, with /run': {
    mounts: 'mount -t tmpfs tmpfs /run && mkdir -m 1777 /run/code && mount -o remount,bind,ro /',
    env: { RUNNEL_TMP: '/run/code' },
    engine: 'auto',
  },
  'nothing that can be written and executed': {
    mounts: `for d in /tmp /run /dev/shm; do ${CLOSED} $d; done; mount -o remount,bind,ro /`,
    engine: 'node',
  },
};

/** @param executable of this machine's processor. Rejects with what was not as it should be. */
export async function hostile(executable) {
  // Not in /tmp, which some of the worlds replace.
  const folder = mkdtempSync('/var/tmp/runnel-hostile-');
  try {
    prepare(folder, executable);
    for (const [name, world] of Object.entries(WORLDS)) {
      await inWorld(folder, world);
      console.log(`${name}: ${world.engine} serves`);
    }
    await twoAtOnce(folder);
    console.log('two at once: both serve, nothing is left behind');
    await attacked(folder);
    console.log('attacked by its own program: nothing found');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function prepare(folder, executable) {
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'cgi-bin'));
  copyFileSync(executable, join(folder, 'runnel'));
  const cgi = (name, script) => {
    writeFileSync(join(folder, 'cgi-bin', name), `#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n${script}\n`);
    chmodSync(join(folder, 'cgi-bin', name), 0o755);
  };
  cgi('hello', 'echo hello');
  writeFileSync(join(folder, 'evil.cjs'), 'process.stdout.write("EVIL\\n")');
  const library = `${folder}/evil.so`;
  writeFileSync(
    join(folder, 'evil.cnf'),
    `nodejs_conf = n\n[n]\nengines = e\n[e]\nevil = s\n[s]\ndynamic_path = ${library}\ninit = 1\n`,
  );
  // As a program of the same user would try; every line that begins with BAD is a success for it.
  cgi(
    'attack',
    `gateway=$PPID
env | grep -E '^(NODE|LD_|RUNNEL)' | sed 's/^/BAD environment: /'
kill -USR1 $gateway
n=0; while [ $n -lt 20 ]; do
  if curl -sf -m1 http://127.0.0.1:9229/json 2>/dev/null; then echo "BAD inspector"; fi
  n=$((n + 1)); sleep 0.05
done
for o in --inspect --inspect-brk=0 --eval=1 --require=${folder}/evil.cjs; do
  ${folder}/runnel $o version 2>&1 | grep -E 'EVIL|Debugger' | sed 's/^/BAD flag: /'
done
for v in "NODE_OPTIONS=--require ${folder}/evil.cjs" "NODE_OPTIONS=--inspect" "NODE_REPL_EXTERNAL_MODULE=${folder}/evil.cjs" \\
  "NODE_PATH=${folder}" "NODE_COMPILE_CACHE=/tmp/x" "NODE_EXTRA_CA_CERTS=/nonexistent"; do
  env "$v" ${folder}/runnel version 2>&1 | grep -E 'EVIL|Debugger' | sed "s,^,BAD $v: ,"
done
env OPENSSL_CONF=${folder}/evil.cnf ${folder}/runnel version 2>&1 | grep -i 'evil.so' | sed 's/^/BAD OPENSSL_CONF: /'
cp ${folder}/evil.cjs /tmp/runnel.cjs; (cd /tmp && ${folder}/runnel version 2>&1 | grep EVIL | sed 's/^/BAD cwd: /'); rm -f /tmp/runnel.cjs
for f in environ mem maps fd/0; do cat /proc/$gateway/$f >/dev/null 2>&1 && echo "BAD readable: $f"; done
ls /proc/$gateway/fd/ 2>/dev/null | sed 's/^/BAD open: /'
grep -E '^Cap(Amb|Eff|Prm)' /proc/self/status | grep -v '0000000000000000$' | sed 's/^/BAD capability: /'
ls -l /proc/self/fd | grep -vE ' [012] -> |/proc/' | grep -E -- '->' | sed 's/^/BAD descriptor: /'
echo done`,
  );
  const config = '[[listen]]\naddress = "127.0.0.1:0"\n[cgi."/"]\nroot = "cgi-bin"\n[log]\nformat = "json"\n';
  writeFileSync(join(folder, 'runnel.toml'), config);
}

async function inWorld(folder, world) {
  const command = ['sh', '-c', `${world.mounts} && shift && exec "$@"`, 'sh', folder, ...NOBODY, ...serve(folder)];
  const gateway = start(['unshare', '--mount', '--propagation=private', ...command], world.env);
  try {
    const port = await gateway.port();
    assert.equal(await get(port, '/hello'), 'hello\n');
    assert.equal(gateway.engine(), world.engine, gateway.output());
    const slower = gateway.output().match(/cannot be loaded|cannot be used/g) ?? [];
    const lines = gateway
      .output()
      .split('\n')
      .filter((line) => /cannot be (loaded|used)/.test(line));
    assert.equal(lines.length, world.engine === 'auto' ? 0 : 1, gateway.output());
    assert.equal(slower.length, world.engine === 'auto' ? 0 : 2, gateway.output());
  } finally {
    await gateway.end();
  }
}

async function twoAtOnce(folder) {
  const both = [start(serve(folder)), start(serve(folder))];
  try {
    for (const gateway of both) {
      assert.equal(await get(await gateway.port(), '/hello'), 'hello\n');
      assert.equal(gateway.engine(), 'auto');
    }
    for (const place of ['/var/tmp', '/tmp', folder])
      assert.equal(execFileSync('find', [place, '-maxdepth', '1', '-name', '.runnel-*'], { encoding: 'utf8' }), '');
  } finally {
    for (const gateway of both) await gateway.end();
  }
}

async function attacked(folder) {
  const intruder = { NODE_OPTIONS: `--require ${folder}/evil.cjs`, NODE_PATH: folder };
  const gateway = start([...NOBODY, ...LOW_PORTS, ...serve(folder)], intruder);
  try {
    const text = await get(await gateway.port(), '/attack');
    assert.equal(text, 'done\n');
    assert.doesNotMatch(gateway.output(), /EVIL|Debugger/);
    assert.equal(await get(await gateway.port(), '/hello'), 'hello\n', 'it serves on');
  } finally {
    await gateway.end();
  }
}

function serve(folder) {
  return [join(folder, 'runnel'), 'serve', '-c', join(folder, 'runnel.toml')];
}

function start([program, ...args], env = {}) {
  const child = spawn(program, args, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes));
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  return {
    output: () => output,
    engine: () => /"engine":"(\w+)"/.exec(output)?.[1],
    async port() {
      const deadline = performance.now() + DEADLINE;
      while (!output.includes('"ready"')) {
        if (child.exitCode !== null || performance.now() > deadline) throw new Error(`not ready:\n${output}`);
        await delay(10);
      }
      return Number(/"port":(\d+)/.exec(output)?.[1]);
    },
    async end() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE);
      const result = await exited;
      clearTimeout(timer);
      assert.equal(result, 0, `its exit code\n${output}`);
    },
  };
}

async function get(port, path) {
  return await (await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(DEADLINE) })).text();
}
