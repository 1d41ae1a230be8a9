/** Scripts that an interpreter is given as its argument: where they are looked for, and what is said where they are not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { doubtScriptArgument, programFolder } from '../../../src/config/checks/script-argument.ts';
import type { Disk } from '../../../src/config/disk/disk.ts';
import type { Reading } from '../../../src/config/values/value.ts';

const FILES = ['/etc/runnel/clock.py', '/opt/clock.py', '/usr/bin/python3'];
const disk = {
  searchPath: ['/usr/local/bin', '/usr/bin'],
  look: (path: string) => (FILES.includes(path) ? { found: 'file' } : { failed: 'ENOENT' }),
} as unknown as Disk;

function doubts(command: readonly [string, ...string[]], directory?: string): readonly string[] {
  const said: string[] = [];
  const doubt = (_at: unknown, sentence: string): number => said.push(sentence);
  const reading = { directory: '/etc/runnel', disk, doubt } as unknown as Reading;
  const usual = { path: programFolder(command[0], reading), name: 'the folder of the program' };
  doubtScriptArgument([], command, directory, usual, reading);
  return said;
}

describe('the script of an interpreter', () => {
  const cases: readonly (readonly [
    command: readonly [string, ...string[]],
    directory: string | undefined,
    said: string,
  ])[] = [
    [
      ['python3', '-u', 'clock.py'],
      undefined,
      'the script "clock.py" (/usr/bin/clock.py) does not exist; write directory = ".", or the whole path: "/etc/runnel/clock.py"',
    ],
    [
      ['python3', 'none.py'],
      undefined,
      'the script "none.py" (/usr/bin/none.py) does not exist; the folder of the program is the working directory, unless the key "directory" names another',
    ],
    [['python3', 'clock.py'], '/srv', 'the script "clock.py" (/srv/clock.py) does not exist'],
    [['/bin/sh', '/srv/x.sh'], undefined, 'the script "/srv/x.sh" (/srv/x.sh) does not exist'],
    [['python3', 'clock.py'], '/opt', ''],
    [['python3', '/opt/clock.py'], undefined, ''],
    [['python3', '-c', 'import none.py'], undefined, ''],
    [['python3', '-m', 'none.py'], undefined, ''],
    [['sh', '-c', 'none.sh'], undefined, ''],
    [['cat', 'none.py'], undefined, ''],
  ];
  for (const [command, directory, said] of cases)
    test(`${command.join(' ')}${directory === undefined ? '' : ` in ${directory}`}`, () => {
      assert.deepEqual(doubts(command, directory), said === '' ? [] : [said]);
    });
});
