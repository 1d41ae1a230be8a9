/** `runnel files`: the real program, asked by a client. */
import assert from 'node:assert/strict';
import { chmodSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { ask } from '../../support/client.ts';
import { folderWith, type Running, startRunnel } from '../../support/gateway.ts';

const FILES = {
  'a.txt': 'hello\n',
  'sub/b.txt': 'below\n',
  'site/index.html': '<!doctype html><title>site</title>',
  '.secret': 'hidden\n',
};

async function start(t: TestContext, ...args: readonly string[]): Promise<Running> {
  return await startRunnel(t, ['files', '-l', '0', ...args], { folder: folderWith(t, FILES) });
}

test('the current folder, listed, on this machine alone', async (t) => {
  const running = await start(t);
  await running.logged(({ message }) => /^listening on http:\/\/127\.0\.0\.1:\d+\/$/.test(message));
  const { status, body } = await ask(running.port, '/');
  assert.equal(status, 200);
  assert.match(body, /a\.txt/);
  assert.doesNotMatch(body, /\.secret/);
  assert.equal((await ask(running.port, '/a.txt')).body, 'hello\n');
  assert.equal((await ask(running.port, '/sub/b.txt')).body, 'below\n');
  assert.match((await ask(running.port, '/site/')).body, /<title>site/);
  assert.equal((await ask(running.port, '/.secret')).status, 404);
  assert.equal((await ask(running.port, '/a.txt', { method: 'POST' })).status, 405);
});

test('another folder, flags behind it, without lists; links do not lead out', async (t) => {
  const folder = folderWith(t, FILES);
  symlinkSync('/etc/passwd', join(folder, 'sub/passwd'));
  const running = await startRunnel(t, ['files', 'sub', '--no-listing', '-l', '127.0.0.1:0'], { folder });
  assert.equal((await ask(running.port, '/')).status, 403);
  assert.equal((await ask(running.port, '/b.txt')).body, 'below\n');
  assert.notEqual((await ask(running.port, '/passwd')).status, 200);
  assert.equal((await ask(running.port, '/../a.txt')).status, 400);
});

test('--password-file: the file itself may lie elsewhere, and one without a name gets 401', async (t) => {
  const users = folderWith(t, { users: `ann:${hashSync('secret', 4)}\n` });
  chmodSync(join(users, 'users'), 0o600);
  const running = await start(t, '--password-file', join(users, 'users'));
  assert.equal((await ask(running.port, '/a.txt')).status, 401);
  assert.equal(
    (await ask(running.port, '/a.txt', { headers: { authorization: `Basic ${btoa('ann:secret')}` } })).body,
    'hello\n',
  );
});
