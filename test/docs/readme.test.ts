/** What the README promises at a glance: the ten lines, the commands, a picture that is small enough, and dates at its figures. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { codeOf } from './pages.ts';

const README = readFileSync('README.md', 'utf8');
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly scripts: { readonly [name: string]: string };
};

test('the ten lines are config/minimal.toml', () => {
  const lines = readFileSync('config/minimal.toml', 'utf8').replaceAll(/^#.*\n/gm, '');
  assert.equal(codeOf('README.md', 'toml', {}), lines);
});

test('each npm command is one of package.json', () => {
  const names = [...README.matchAll(/npm (?:run )?(start|test|(?<=run )[\w:]+)/g)].map(([, name = '']) => name);
  assert.ok(names.length >= 4);
  assert.deepEqual(
    names.filter((name) => scripts[name] === undefined),
    [],
  );
});

test('the moving picture is at most 500 KB, and a still one stands in for it', () => {
  const pictures = [...README.matchAll(/ (?:src|srcset)="([^"]*)"/g)].map(([, path = '']) => path);
  assert.equal(pictures.length, 2);
  for (const path of pictures) assert.ok(existsSync(path) && statSync(path).size < 500_000, path);
});

test('each figure of the table has the day on which it was measured', () => {
  const [, table = ''] = README.split('| nginx | 2026 |\n');
  const rows = table.split('\n\n')[0]?.split('\n').slice(1) ?? [];
  assert.ok(rows.length >= 15, `${rows.length} rows`);
  // A row that begins with "…" is of the same day as the one above.
  for (const row of rows) assert.match(row, /\| \d\d \w{3} \|$|^\| … .*\| \|$/, row);
});
