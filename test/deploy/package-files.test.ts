/** Files of the package that other programs read: each is given to the program that reads it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { checkText } from '../docs/stand-ins.ts';
import { folderWith } from '../support/gateway.ts';

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

const MADE = `const { commandPage, configPage, PARTS } = await import('./scripts/package/man.mjs');
const { readVerbs } = await import('./scripts/package/verbs.mjs');
const pages = [commandPage(await readVerbs(), '0.1.0', '2026-11-20'), configPage('0.1.0', '2026-11-20')];
process.stdout.write(JSON.stringify({ pages, parts: PARTS }));`;

/** The manual pages, and the parts of a configuration that one of them has, each with its meaning. */
function makeManual(): { readonly pages: readonly string[]; readonly parts: readonly (readonly [string, string])[] } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', MADE], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as ReturnType<typeof makeManual>;
}

test('mandoc finds nothing wrong with the manual pages', (t) => {
  const { pages } = makeManual();
  for (const page of pages) {
    const complaints = judge('mandoc', ['-Tlint', '-Wwarning'], page);
    if (complaints === undefined) t.skip('needs mandoc');
    else assert.equal(complaints, '');
  }
  assert.match(pages[0] ?? '', /HUP.*USR1/s);
});

test('runnel.toml(5): no code in backquotes, no empty default, and check takes its examples', (t) => {
  const { pages, parts } = makeManual();
  assert.doesNotMatch(pages[1] ?? '', /`|Default: \{\}|Must be a table\./);
  assert.ok(parts.length >= 5);
  for (const [meaning, part] of parts) assert.equal(checkText(part, folderWith(t, {})), '', meaning);
});
