/** Files of the package that other programs read: each is given to the program that reads it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

/** @returns what is wrong with it; undefined where the program is not installed */
function judge(program: string, args: readonly string[], input = ''): string | undefined {
  const { error, status, stdout, stderr } = spawnSync(program, args, { input, encoding: 'utf8', timeout: 60_000 });
  if (error !== undefined) return undefined;
  return status === 0 ? '' : `${stdout}${stderr}`;
}

test('apparmor_parser takes the profile', (t) => {
  // Compiled and not loaded: the kernel needs no AppArmor for that.
  const complaints = judge('/usr/sbin/apparmor_parser', ['-Q', '-K', 'deploy/apparmor/usr.bin.runnel']);
  if (complaints === undefined) t.skip('needs apparmor_parser');
  else assert.equal(complaints, '');
});

test('mandoc finds nothing wrong with the manual pages', (t) => {
  const pages = `const { commandPage, configPage } = await import('./scripts/package/man.mjs');
const { readVerbs } = await import('./scripts/package/verbs.mjs');
process.stdout.write(JSON.stringify([commandPage(await readVerbs(), '0.1.0', '2026-11-20'), configPage('0.1.0', '2026-11-20')]));`;
  const made = spawnSync(process.execPath, ['--input-type=module', '-e', pages], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  for (const page of JSON.parse(made.stdout) as string[]) {
    const complaints = judge('mandoc', ['-Tlint', '-Wwarning'], page);
    if (complaints === undefined) t.skip('needs mandoc');
    else assert.equal(complaints, '');
  }
  assert.match(made.stdout, /HUP.*USR1/s);
});
