/** What the first bytes of a program say against starting it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { programFileTrouble } from '../../../src/config/disk/program-file.ts';

const missing = (name: string): string | undefined =>
  ['/bin/sh', '/usr/bin/env', 'python3', '/usr/bin/python3'].includes(name) ? undefined : 'does not exist';

const CASES: readonly (readonly [string, string | Buffer, RegExp | undefined, certain?: boolean])[] = [
  ['a script', '#!/bin/sh\necho\n', undefined],
  ['spaces before the interpreter', '#! \t/bin/sh -e\n', undefined],
  ['a script of one line without its end', '#!/bin/sh', undefined],
  ['by env', '#!/usr/bin/env python3\n', undefined],
  [
    'by env, not in PATH',
    '#!/usr/bin/env node\n',
    /interpreter "node", named on its first line, does not exist/,
    false,
  ],
  ['by env with options', '#!/usr/bin/env -S deno run\n', undefined],
  ['CRLF', '#!/bin/sh\r\necho\r\n', /ends with CRLF, so that "\\r" belongs to the name of its interpreter/, true],
  ['CRLF behind an argument', '#!/usr/bin/env python3\r\n', /belongs to its interpreter's arguments/, true],
  ['CRLF later only', '#!/bin/sh\necho\r\n', undefined],
  ['a byte order mark', '\ufeff#!/bin/sh\n', /begins with a byte order mark/, true],
  ['UTF-16', Buffer.from('\ufeff#!/bin/sh\n', 'utf16le'), /UTF-16/, true],
  [
    'an interpreter that is not there',
    '#!/usr/bin/perl -w\n',
    /its interpreter "\/usr\/bin\/perl", .* does not exist/,
    true,
  ],
  ['an interpreter without a folder', '#!python3\n', /write "#!\/usr\/bin\/env python3"/, true],
  ['no interpreter', '#!\n', /names no interpreter/, true],
  ['no first line', 'print(1)\n', /has no "#!"/, false],
  ['nothing', '', /is empty/, false],
  ['a binary cut short', '\x7fELF\x02\x01', undefined],
];

for (const [name, content, sentence, certain] of CASES)
  test(name, () => {
    const trouble = programFileTrouble(Buffer.from(content), missing);
    if (sentence === undefined) assert.equal(trouble, undefined);
    else {
      assert.match(trouble?.sentence ?? 'nothing', sentence);
      assert.equal(trouble?.certain, certain);
    }
  });
