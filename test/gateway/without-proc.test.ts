/** A bare chroot or container: /proc is not mounted. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { startGateway } from '../support/gateway.ts';

const launcher = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh'];
const possible = spawnSync('unshare', [...launcher.slice(1), 'true']).status === 0;

test('a gateway without /proc says so at the start and with each error, and serves what it can', {
  skip: possible ? false : 'needs root',
}, async (t) => {
  const gateway = await startGateway(t, {
    launcher,
    config: `[[listen]]\naddress = "127.0.0.1:0"\n[static."/"]\nroot = "."\n[stream."/live"]\ncommand = ["echo", "it runs"]\n[admin]\nlisten = "127.0.0.1:0"\n`,
    files: { 'page.txt': 'hello' },
  });
  const says = /^\/proc is not mounted here.*mount -t proc proc \/proc/;
  assert.equal((await gateway.logged(({ message }) => says.test(message))).level, 'warn');
  const answer = await fetch(gateway.url('/page.txt'));
  await answer.arrayBuffer();
  assert.equal(answer.status, 500);
  assert.match(await (await fetch(gateway.url('/live'))).text(), /it runs/);
  for (const path of ['/status.json', '/metrics']) {
    const told = await fetch(`http://127.0.0.1:${gateway.ports.at(-1)}${path}`);
    assert.equal(told.status, 200, `${path}: ${await told.text()}`);
  }
  await gateway.logged(({ level, message }) => level === 'error' && message.includes('/proc is not mounted here'));
});
