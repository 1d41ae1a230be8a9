/** The messages that docs/troubleshooting.md shows are those that the program prints. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readPage } from './pages.ts';

const source = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join('src', name), 'utf8'))
  .join('\n');
/** What differs from case to case: addresses and origins. */
const VARIABLE = /http:\/\/other\.example|127\.0\.0\.1:8080|:80(?=:)|http:\/\/127\.0\.0\.1:3000/;

test('every message of the page is in the source', () => {
  const messages = readPage('docs/troubleshooting.md').blocks.filter(({ language }) => language === 'text');
  assert.ok(messages.length >= 7, `${messages.length} messages`);
  const missing = messages.flatMap(({ line, text }) =>
    text
      .trim()
      .split(VARIABLE)
      .map((part) => part.replace(/^\W+|[\s"]+$/g, ''))
      .filter((part) => part.length > 6 && !source.includes(part))
      .map((part) => `line ${line}: ${part}`),
  );
  assert.deepEqual(missing, []);
});
