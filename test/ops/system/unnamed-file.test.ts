/** Files without a name, and when one is made by way of a name. */
import assert from 'node:assert/strict';
import { closeSync, constants, fstatSync, openSync, readdirSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import {
  lacksUnnamedFiles,
  openAndUnlink,
  openUnnamedFile,
  openUnnamedFileSync,
} from '../../../src/ops/system/unnamed-file.ts';
import { folderWith } from '../../support/gateway.ts';

test('nobody but its owner, no name, for reading and writing', async (t) => {
  const folder = folderWith(t, {});
  for (const open of [openUnnamedFile, openAndUnlink]) {
    const file = await open(folder);
    await file.write('hello');
    assert.equal((await file.read(Buffer.alloc(5), 0, 5, 0)).buffer.toString(), 'hello');
    const { mode, nlink } = await file.stat();
    assert.deepEqual([mode & 0o777, nlink], [0o600, 0]);
    await file.close();
  }
  const descriptor = openUnnamedFileSync(folder);
  writeSync(descriptor, 'hello');
  assert.deepEqual([fstatSync(descriptor).mode & 0o777, fstatSync(descriptor).nlink], [0o600, 0]);
  closeSync(descriptor);
  assert.deepEqual(readdirSync(folder), []);
});

test('a name only where the file system knows nothing else, as the kernel says it', () => {
  const errorOf = (path: string): unknown => {
    try {
      closeSync(openSync(path, 0o20000000 | constants.O_DIRECTORY | constants.O_RDWR, 0o600));
    } catch (error) {
      return error;
    }
    return assert.fail(`${path} takes such files`);
  };
  assert.ok(lacksUnnamedFiles(errorOf('/proc')));
  assert.ok(!lacksUnnamedFiles(errorOf('/nowhere')));
  assert.ok(!lacksUnnamedFiles(errorOf('/etc/passwd')));
  for (const code of ['EACCES', 'ENOSPC', 'EMFILE', 'EROFS'])
    assert.ok(!lacksUnnamedFiles(Object.assign(new Error(code), { code })));
});

test('an error of the system is told, and nothing is left', async () => {
  await assert.rejects(openUnnamedFile('/nowhere'), { code: 'ENOENT' });
  await assert.rejects(openAndUnlink('/nowhere'), { code: 'ENOENT' });
  assert.throws(() => openUnnamedFileSync('/nowhere'), { code: 'ENOENT' });
});
