import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { codeDirectories } from '../../../src/ops/addons/code-directories.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'runnel-test-')));
after(() => rmSync(folder, { recursive: true }));
for (const name of ['wanted', 'bin', 'session']) mkdirSync(join(folder, name));
symlinkSync('wanted', join(folder, 'link'));

test('what the environment asks for comes first, then the disk, then what the session has', () => {
  const environment = { RUNNEL_TMP: join(folder, 'wanted'), XDG_RUNTIME_DIR: join(folder, 'session') };
  const found = codeDirectories(environment, join(folder, 'bin/runnel'));
  const ours = found.filter((directory) => directory.startsWith(`${folder}/`));
  assert.deepEqual(ours, [join(folder, 'wanted'), join(folder, 'bin'), join(folder, 'session')]);
  assert.equal(found[0], join(folder, 'wanted'));
});

test('links are followed, missing and repeated folders are left out', () => {
  const environment = { RUNNEL_TMP: join(folder, 'link'), XDG_RUNTIME_DIR: join(folder, 'not-there') };
  const found = codeDirectories(environment, join(folder, 'wanted/runnel'));
  const ours = found.filter((directory) => directory.startsWith(`${folder}/`));
  assert.deepEqual(ours, [join(folder, 'wanted')]);
  assert.equal(new Set(found).size, found.length);
});

test('empty variables are as good as none', () => {
  const found = codeDirectories({ RUNNEL_TMP: '', XDG_RUNTIME_DIR: '' }, '/usr/bin/runnel');
  assert.deepEqual(found, codeDirectories({}, '/usr/bin/runnel'));
});
