import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { formatProblem } from '../../src/config/reading/problems.ts';
import { configReference, EXAMPLE } from '../../src/config/reference.ts';
import { parseConfig, SCHEMA } from '../../src/gateway/config.ts';

const DOCS = join(import.meta.dirname, '../../../docs');

test('docs/configuration.md is what the schema says: otherwise run "npm run docs"', () =>
  assert.equal(readFileSync(join(DOCS, 'configuration.md'), 'utf8'), configReference(SCHEMA)));

test('docs/runnel.schema.json is what the schema says: otherwise run "npm run docs"', () =>
  assert.deepEqual(JSON.parse(readFileSync(join(DOCS, 'runnel.schema.json'), 'utf8')), configJsonSchema(SCHEMA)));

test('the example of the page loads', () => {
  const disk = {
    searchPath: ['/bin'],
    read: () => '',
    head: () => Buffer.from('\x7fELF\n'),
    whyNotExecutable: () => undefined,
    whyNotWritable: () => undefined,
    whyFileNotWritable: () => undefined,
    isInMemory: () => false,
    names: () => [],
    look: (path: string) => ({ found: /\.cgi$|\/vmstat$/.test(path) ? ('file' as const) : ('folder' as const) }),
  };
  const result = parseConfig(Buffer.from(EXAMPLE), 'runnel.toml', { directory: '/etc/runnel', disk });
  assert(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  assert.equal(result.config.cgi.get('/upload')?.limits.body, 64 * 1024 * 1024);
  assert.equal(result.config.cgi.get('/cgi-bin/')?.limits.body, 1024 * 1024);
});

test('the keys of a stream stand in groups, each once', () => {
  const table = configReference(SCHEMA).split('## `[stream."/path"]`')[1]?.split('\n## ')[0] ?? '';
  const names = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, name = '']) => name);
  const kind = SCHEMA.kinds.find(({ name }) => name === 'stream');
  assert.deepEqual([...names].sort(), Object.keys(kind?.table.fields ?? {}).sort());
  // Behind the last heading stands only what every route has.
  assert.match(table.split('| **As with every route**')[1] ?? '', /`headers`[\s\S]*`limits`[\s\S]*`auth`/);
  assert.ok(names.indexOf('login') < names.indexOf('ca') && names.indexOf('share') < names.indexOf('history'));
});
