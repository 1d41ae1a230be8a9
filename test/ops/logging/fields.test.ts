/** docs/logs.md has every field of the log, as the table says it; and the lines that the code writes have no others. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FIELDS } from '../../../src/ops/logging/fields.ts';
import { requestFields } from '../../../src/ops/logging/request-line.ts';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const PAGE = join(ROOT, 'docs/logs.md');
const WHICH = { every: 'every', request: 'requests', any: '' } as const;
const known: ReadonlySet<string> = new Set(FIELDS.map(({ name }) => name));

test('docs/logs.md is what the table says: otherwise run this with UPDATE_GOLDEN=1', () => {
  const rows = FIELDS.map(({ name, doc, of }) => `| \`${name}\` | ${doc} | ${WHICH[of]} |\n`).join('');
  const table = `<!-- fields -->\n\n| field | what it is | lines |\n| --- | --- | --- |\n${rows}\n<!-- /fields -->`;
  const page = readFileSync(PAGE, 'utf8');
  const wanted = page.replace(/<!-- fields -->[\s\S]*<!-- \/fields -->/, () => table);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(PAGE, wanted);
  else assert.equal(page, wanted);
});

test("a request's line has no field that is not in the table", () => {
  const record = {
    ...{ method: 'GET', target: '/', version: '1.1' as const, status: 200, bytes: 1, received: 1, ms: 1, route: '/' },
    ...{ client: 'c', user: 'u', login: 'l', id: 'i', left: true, host: 'h', referer: 'r', agent: 'a', trace: 't' },
    ...{ sample: 2, notes: undefined },
  } as const;
  const fields = Object.keys(requestFields(record, false));
  assert.deepEqual(
    fields.filter((name) => !known.has(name)),
    [],
  );
});

test('what handlers note of a request is in the table', () => {
  const source = join(ROOT, 'src');
  const noted = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => [...readFileSync(join(source, name), 'utf8').matchAll(/\.note\('(\w+)'/g)])
    .map((match) => match[1] ?? '');
  assert.ok(noted.includes('exit'));
  assert.deepEqual(
    noted.filter((name) => !known.has(name)),
    [],
  );
});
