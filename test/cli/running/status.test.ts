/** `runnel status` where the operator's own listener does not answer: the gateway is found as by `runnel reload`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { GatewayStatus } from '../../../src/ops/status.ts';
import { folderWith, type Running, runnel, startGateway } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url));
const CONFIG = '[[listen]]\naddress = "127.0.0.1:0"\n[stream."/live"]\ncommand = ["cat"]\n';

/** Its socket is there a moment after it is ready. */
const found = (running: Running): Promise<void> =>
  until('it is found', async () => (await runnel(['status', '-q', '--pid', String(running.pid)], '/')).code === 0);

test('without [admin] its own user is told all the same', async (t) => {
  const running = await startGateway(t, { config: CONFIG });
  await found(running);
  const text = await runnel(['status'], running.folder);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, new RegExp(`^runnel \\S+ {2}ready {2}up .*process ${running.pid}$`, 'm'));
  assert.match(text.stdout, /\/live +command +idle/);
  const json = await runnel(['status', '--json', '-c', 'runnel.toml'], running.folder);
  const { pid, streams, actions } = JSON.parse(json.stdout) as GatewayStatus & { actions: boolean };
  assert.deepEqual([pid, streams[0]?.key, actions], [running.pid, '/live', false]);

  // The file has a mistake by now.
  writeFileSync(join(running.folder, 'runnel.toml'), '[[listen\n');
  assert.equal((await runnel(['status', '-q'], running.folder)).code, 0);
  assert.equal(await running.stop(), 0);
  const gone = await runnel(['status'], running.folder);
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /^\S*runnel\.toml:1: /, 'what is wrong with the file is said');
  writeFileSync(join(running.folder, 'runnel.toml'), CONFIG);
  const none = await runnel(['status'], running.folder);
  assert.equal(none.code, 1);
  // "answers": where a gateway of another test hangs, which could have been it.
  assert.match(none.stderr, /^no gateway with \S+runnel\.toml (is running|answers)/);
});

test('where [admin] asks for a password, its own user and root need none, and a wrong one is told', async (t) => {
  const config = `${CONFIG}[admin]\nlisten = "unix:admin.sock"\nauth = { tokens = "tokens" }\n`;
  const files = { tokens: `me:${'0'.repeat(64)}\n`, wrong: 'x\n' };
  const running = await startGateway(t, { config, files });
  await found(running);
  assert.equal((await runnel(['status', '-q'], running.folder)).code, 0);
  const wrong = await runnel(['status', '--token-file', 'wrong'], running.folder);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /^unix:admin\.sock asks who you are/);
});

test('another user is told whose gateway it is', { skip: process.getuid?.() !== 0 && 'needs root' }, async (t) => {
  const running = await startGateway(t, { config: CONFIG });
  await found(running);
  const other = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath];
  const readable = spawnSync('setpriv', [...other, '-e', `fs.readFileSync(${JSON.stringify(MAIN)})`]);
  if (readable.status !== 0) return t.skip('nobody may not read this build');
  const { status, stderr } = spawnSync('setpriv', [...other, MAIN, 'status', '--pid', String(running.pid)], {
    encoding: 'utf8',
    cwd: folderWith(t, {}),
  });
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`process ${running.pid} is a gateway of the user root: use sudo`));
});
