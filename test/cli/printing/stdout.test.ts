/** What a command prints arrives whole, whoever reads it and whenever; and it does not end well where it cannot be written. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const MAIN = join(import.meta.dirname, '../../../src/main.js');

function inShell(script: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync('/bin/sh', ['-c', script, process.execPath, MAIN], { encoding: 'utf8', maxBuffer: 1 << 24 });
}

test('more than a pipe takes at once waits for its reader', () => {
  // Through a file there is no pipe that could be full.
  const { stdout } = inShell(
    '"$0" "$1" schema >"$1.schema"; wc -c <"$1.schema"; "$0" "$1" schema | { sleep 1; wc -c; }; rm "$1.schema"',
  );
  const [whole, piped] = stdout.split('\n').map(Number);
  assert.ok(whole !== undefined && whole > 65_536, stdout);
  assert.equal(piped, whole);
});

test('a reader that has read enough is no failure', () => {
  const { stdout, stderr, status } = inShell('{ "$0" "$1" schema; echo "status $?" >&2; } | head -n 1');
  assert.equal(stdout, '{\n');
  assert.equal(stderr, 'status 0\n');
  assert.equal(status, 0);
});

test('a full disk is told', { skip: existsSync('/dev/full') ? false : 'needs /dev/full' }, () => {
  const { status, stderr } = inShell('exec "$0" "$1" init >/dev/full');
  assert.equal(status, 71);
  assert.match(stderr, /^cannot write to stdout: ENOSPC/m);
});
