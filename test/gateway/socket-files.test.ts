/** The owner and the permissions of a Unix socket, from the configuration to the file. */
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderWith, type Running, runnel, startGateway } from '../support/gateway.ts';
import { rawRequest } from '../support/raw.ts';
import { until } from '../support/until.ts';

const isRoot = process.getuid?.() === 0;
const FILES = { 'www/a.txt': 'a' };
const ROUTE = '[static."/"]\nroot = "www"\n';

function config(keys: string): string {
  return `[[listen]]\naddress = "unix:s"\n${keys}\n${ROUTE}`;
}

function fileOf({ folder }: Running): readonly [mode: string, owner: number, group: number] | undefined {
  const found = statSync(join(folder, 's'), { throwIfNoEntry: false });
  return found && [(found.mode & 0o777).toString(8), found.uid, found.gid];
}

async function served({ folder }: Running): Promise<number> {
  return (await rawRequest({ path: join(folder, 's') }, 'GET /a.txt HTTP/1.1\r\nHost: board\r\n\r\n')).status;
}

test('the permissions of a socket, and others after a reload', async (t) => {
  const running = await startGateway(t, { config: config('mode = "0666"'), files: FILES });
  const own = [process.getuid?.() ?? 0, process.getgid?.() ?? 0] as const;
  assert.deepEqual(fileOf(running), ['666', ...own]);
  assert.equal(await served(running), 200);
  writeFileSync(join(running.folder, 'runnel.toml'), config(`mode = "0620"\ngroup = "${own[1]}"`));
  running.process.kill('SIGHUP');
  await until(() => fileOf(running)?.[0] === '620', 'the other permissions');
  assert.equal(await served(running), 200);
});

test('the owner and the group of a socket, by name', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const running = await startGateway(t, {
    config: config('mode = "0660"\nowner = "nobody"\ngroup = "daemon"'),
    files: FILES,
  });
  assert.deepEqual(fileOf(running), ['660', 65534, 1]);
  assert.equal(await served(running), 200);
});

test('a name that there is not is a mistake, for check too', async (t) => {
  const folder = folderWith(t, { ...FILES, 'r.toml': config('owner = "nobody-here"\ngroup = "none-here"') });
  for (const verb of ['check', 'serve']) {
    const { code, stderr } = await runnel([verb, '-c', 'r.toml'], folder);
    assert.notEqual(code, 0);
    assert.match(stderr, /r\.toml:3:1: listen\[0\]\.owner: there is no user "nobody-here" in \/etc\/passwd\n/);
    assert.match(stderr, /r\.toml:4:1: listen\[0\]\.group: there is no group "none-here" in \/etc\/group\n/);
  }
});
