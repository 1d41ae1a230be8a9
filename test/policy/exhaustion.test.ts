/** What happens when something is used up: descriptors, the disk, connections under the attacks of slowhttptest. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startBoth } from '../support/both-engines.ts';
import { ask } from '../support/client.ts';
import { descriptorsOf, until } from '../support/processes.ts';
import { RawClient } from '../support/raw.ts';

const CONFIG = `
[static."/"]
root = "www"
[cgi."/bin/"]
root = "bin"
`;
const FILES = {
  'www/a.txt': 'a',
  'www/large.bin': Buffer.alloc(4 << 20),
  'bin/count.cgi': '#!/bin/sh\necho\nwc -c\n',
};

/** Seconds for each attack: short in every run, `RUNNEL_SLOW_SECONDS=60` by hand. */
const SECONDS = Number(process.env['RUNNEL_SLOW_SECONDS'] ?? 5);
const ATTACKS: readonly [name: string, ...args: string[]][] = [
  ['slow headers', '-H', '-i', '1'],
  ['slow body', '-B', '-i', '1', '-s', '8192', '-t', 'POST'],
  ['ranges (the "Apache killer")', '-R', '-a', '10', '-b', '3000'],
  ['slow reading', '-X', '-w', '10', '-y', '20', '-n', '1', '-z', '32', '-k', '3'],
];

test('slowhttptest: another client is served throughout', {
  skip: spawnSync('slowhttptest', ['-h']).error ? 'needs slowhttptest' : false,
}, async (t) => {
  // The attacker must not have the privileges of this machine: limits hold for it. The other client comes from another address.
  const gateway = await startBoth(t, { config: `[connections]\nexempt = []\n${CONFIG}`, files: FILES });
  for (const [name, port] of gateway.engines) {
    await t.test(name, async (inner) => {
      await Promise.all(ATTACKS.map((attack) => attacked(inner, gateway.pid, port, attack)));
    });
  }
});

/** One attack with 200 connections, and meanwhile a client that must always get its answer. */
async function attacked(t: TestContext, pid: number, port: number, [name, ...args]: readonly [string, ...string[]]) {
  const path = args.includes('-X') ? '/large.bin' : args.includes('-B') ? '/bin/count.cgi' : '/a.txt';
  const attacker = spawn(
    'slowhttptest',
    [...args, '-c', '200', '-r', '200', '-l', String(SECONDS), '-p', '3', '-u', `http://127.0.0.1:${port}${path}`],
    { stdio: 'ignore' },
  );
  t.after(() => attacker.kill('SIGKILL'));
  let served = 0;
  while (attacker.exitCode === null && attacker.signalCode === null) {
    const client = await RawClient.connect({ host: '127.0.0.1', port, localAddress: '127.0.0.9' });
    client.send('GET /a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    assert.equal((await client.reply()).status, 200, name);
    client.destroy();
    served++;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert(served > 0, `${name}: ${served}`);
  t.diagnostic(`${name}: served ${served} times; ${descriptorsOf(pid).length} descriptors`);
}

test('no descriptor is left: no spinning, no crash, and served again', async (t) => {
  const gateway = await startBoth(t, { config: CONFIG, files: FILES, launcher: ['prlimit', '--nofile=256:256'] });
  await gateway.logged((line) => line.level === 'warn' && /only 192 connections/.test(line.message));
  for (const [name, port] of gateway.engines) {
    await t.test(name, async () => {
      const crowd: RawClient[] = [];
      for (let count = 0; count < 1000; count++) crowd.push(await RawClient.connect(port));
      // Some of those that were let in are served, even now.
      const first = crowd[0];
      assert(first !== undefined);
      first.send('GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n');
      assert.equal((await first.reply()).status, 200);
      await until('the others to be let go', () => crowd.filter(({ closed }) => closed).length >= 800);
      const before = processorTime(gateway.pid);
      const from = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const busy = (processorTime(gateway.pid) - before) / ((Date.now() - from) / 1000);
      assert(busy < 0.5, `a processor was busy ${Math.round(busy * 100)} % of the time`);
      for (const client of crowd) client.destroy();
      await until('room', async () => (await ask(port, '/bin/count.cgi').catch(() => undefined))?.status === 200);
    });
  }
  assert((await gateway.metric('runnel_connections_refused_total', 'limit="max"')) >= 1600);
  assert.equal(gateway.process.exitCode, null);
});

test('the disk is full while a body is stored: 507, and nothing else breaks', {
  skip: process.getuid?.() === 0 ? false : 'needs root',
}, async (t) => {
  const small = mkdtempSync(join(tmpdir(), 'runnel-small-'));
  t.after(() => {
    spawnSync('umount', ['-l', small]);
    rmSync(small, { recursive: true, force: true });
  });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', small]);
  if (mounted.status !== 0) {
    t.skip('needs a kernel that lets root mount');
    return;
  }
  const gateway = await startBoth(t, { config: CONFIG, files: FILES, env: { TMPDIR: small } });
  for (const [name, port] of gateway.engines) {
    await t.test(name, async () => {
      const post = (bytes: number) => ask(port, '/bin/count.cgi', { method: 'POST', body: Buffer.alloc(bytes) });
      assert.equal((await post(1 << 20)).status, 507);
      assert.equal((await post(100_000)).body.trim(), '100000', 'what was stored has been given back');
      assert.equal((await post(1 << 20)).status, 507);
      assert.equal((await ask(port, '/a.txt')).status, 200);
    });
  }
});

/** Seconds of processor time, of the process and its threads. */
function processorTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
