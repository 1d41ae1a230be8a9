import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, readdirSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openNameless } from '../../src/ops/nameless.ts';

const folder = mkdtempSync(join(tmpdir(), 'runnel-test-'));
after(() => rmSync(folder, { recursive: true }));

test('a nameless file holds bytes, is ours alone and appears nowhere', () => {
  const descriptor = openNameless(folder);
  try {
    writeSync(descriptor, 'hello');
    const read = Buffer.alloc(5);
    readSync(descriptor, read, 0, 5, 0);
    assert.equal(read.toString(), 'hello');
    const { mode, nlink } = fstatSync(descriptor);
    assert.equal(mode & 0o777, 0o600);
    assert.equal(nlink, 0);
    assert.deepEqual(readdirSync(folder), []);
  } finally {
    closeSync(descriptor);
  }
});

test('a folder that cannot take it says so', () => {
  assert.throws(() => openNameless(join(folder, 'not-there')), { code: 'ENOENT' });
});
