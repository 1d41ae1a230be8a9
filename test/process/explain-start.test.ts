/** A program that does not start: the log says which of the reasons it is that one code of the system stands for. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openAssets } from '../../src/ops/assets.ts';
import { Programs } from '../../src/process/programs.ts';
import { SpawnError } from '../../src/process/spawn.ts';
import { chooseSpawner } from '../../src/process/spawner.ts';

const folder = mkdtempSync(join(tmpdir(), 'runnel-explain-'));
after(() => rmSync(folder, { recursive: true }));

const { spawner } = chooseSpawner(openAssets(), 'posix', () => undefined);
const programs = new Programs(spawner, 10, {
  started: () => undefined,
  ended: () => undefined,
  refused: () => undefined,
  watchdogLost: () => undefined,
});
after(() => programs.closeAll(1000));

const CASES: readonly (readonly [name: string, content: string | Buffer, code: string, because: RegExp])[] = [
  ['crlf', '#!/bin/sh\r\necho hello\r\n', 'ENOENT', /^it has a first line that ends with CRLF/],
  ['bom', '\ufeff#!/bin/sh\necho hello\n', 'ENOEXEC', /^it begins with a byte order mark/],
  [
    'no interpreter',
    '#!/opt/no/such/python\n',
    'ENOENT',
    /its interpreter "\/opt\/no\/such\/python", .*does not exist$/,
  ],
  ['interpreter is a folder', '#!/etc\n', 'EACCES', /its interpreter "\/etc", .*is a folder, not a program$/],
  ['no first line', 'echo hello\n', 'ENOEXEC', /^it has no "#!" on its first line/],
  ['other processor', elf(2, 22, ''), 'ENOEXEC', /^it is a binary for another processor \(number 22\)$/],
  ['other system', elf(2, 62, '/lib/ld-other.so.1'), 'ENOENT', /whose loader "\/lib\/ld-other.so.1" does not exist$/],
];

/** As much of an ELF file as the kernel looks at first: a header and one entry for the loader. */
function elf(size: 1 | 2, machine: number, loader: string): Buffer {
  const file = Buffer.alloc(256);
  file.write('\x7fELF', 'latin1');
  file.set([size, 1, 1], 4);
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(machine, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(loader === '' ? 0 : 1, 56);
  file.writeUInt32LE(3, 64);
  file.writeBigUInt64LE(128n, 72);
  file.writeBigUInt64LE(BigInt(loader.length + 1), 96);
  file.write(`${loader}\0`, 128, 'latin1');
  return file;
}

async function refusal(file: string, directory?: string): Promise<SpawnError> {
  const times = { interruptAfter: 100, terminateAfter: 100, killAfter: 100 };
  const start = programs.start({
    ...{ file, argv: [file], env: new Map<string, string>(), directory, stdin: 'null', stderr: 'null' },
    ...{ owner: 'test', termination: times },
  });
  const error: unknown = await start.then(
    () => assert.fail('it started'),
    (reason: unknown) => reason,
  );
  assert(error instanceof SpawnError, String(error));
  return error;
}

for (const [name, content, code, because] of CASES)
  test(name, { skip: name === 'other system' && process.arch !== 'x64' }, async () => {
    const file = join(folder, name.replaceAll(' ', '-'));
    writeFileSync(file, content);
    chmodSync(file, 0o755);
    const error = await refusal(file);
    assert.equal(error.code, code);
    const said = error.message.slice(`cannot start ${file}: `.length);
    assert.match(said, because);
  });

test('a working directory that is gone', async () => {
  const error = await refusal('/bin/true', join(folder, 'gone'));
  assert.match(error.message, /^cannot start \/bin\/true: its working directory .*gone does not exist$/);
});
