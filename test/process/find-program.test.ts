import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findProgram, ProgramSearch } from '../../src/process/find-program.ts';
import { SpawnError } from '../../src/process/spawn.ts';

describe('findProgram', () => {
  let folder = '';
  before(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'runnel-find-')));
    for (const name of ['one', 'two', 'two/folder']) mkdirSync(join(folder, name));
    for (const [name, mode] of [
      ['one/plain', 0o644],
      ['one/both', 0o644],
      ['two/both', 0o755],
      ['two/prog', 0o755],
    ] as const) {
      writeFileSync(join(folder, name), '');
      chmodSync(join(folder, name), mode);
    }
  });
  after(() => rmSync(folder, { recursive: true }));
  const path = () => `:relative:${folder}/one:${folder}/missing:${folder}/two`;

  const found: readonly (readonly [what: string, name: string, expected: string])[] = [
    ['by name', 'prog', 'two/prog'],
    ['past one that may not be executed', 'both', 'two/both'],
    ['by relative path', './two/prog', 'two/prog'],
    ['by a path with dots', 'one/../two/prog', 'two/prog'],
  ];
  for (const [what, name, expected] of found) {
    test(what, () => assert.equal(findProgram(name, path(), folder), join(folder, expected)));
  }
  test('by absolute path', () => assert.equal(findProgram('/bin/sh', undefined, folder), '/bin/sh'));
  test('in the default path', () => assert.match(findProgram('sh', undefined, folder), /^\/(usr\/)?bin\/sh$/));

  const failures: readonly (readonly [what: string, name: string, code: string])[] = [
    ['nowhere', 'nothing', 'ENOENT'],
    ['the empty name', '', 'ENOENT'],
    ['only one that may not be executed', 'plain', 'EACCES'],
    ['a folder, by name', 'folder', 'EACCES'],
    ['a folder, by path', './two', 'EACCES'],
    ['a path that is not there', './three', 'ENOENT'],
    ['a path through a file', './two/prog/x', 'ENOTDIR'],
    ['a NUL', './two/prog\0', 'EINVAL'],
  ];
  for (const [what, name, code] of failures) {
    test(`${what}: ${code}`, () => {
      assert.throws(
        () => findProgram(name, path(), folder),
        (error) => error instanceof SpawnError && error.code === code,
      );
    });
  }

  test('a search believes what it found for a second, and never that there is nothing', () => {
    let now = 0;
    const search = new ProgramSearch('moves', path(), folder, () => now);
    assert.throws(() => search.find(), SpawnError);
    const there = join(folder, 'two/moves');
    writeFileSync(there, '', { mode: 0o755 });
    assert.equal(search.find(), there);
    rmSync(there);
    now = 999;
    assert.equal(search.find(), there);
    now = 1000;
    assert.throws(() => search.find(), SpawnError);
  });
});
