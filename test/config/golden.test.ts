/**
 * Golden files: NAME.toml with NAME.json (what it must contain; all of it, if NAME begins with "whole-") or NAME.errors
 * (exactly what must be said). `UPDATE_GOLDEN=1` writes the errors and the whole ones anew; look at the difference.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { realDisk } from '../../src/config/disk/disk.ts';
import { formatProblem } from '../../src/config/reading/problems.ts';
import { loadConfig } from '../../src/gateway/config.ts';

const FOLDER = join(import.meta.dirname, '../../../test/config/golden');
const UPDATE = process.env['UPDATE_GOLDEN'] === '1';
const names = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.toml'))
  .map((name) => basename(name, '.toml'))
  .sort();

/** The folder's own path differs from machine to machine. */
function anonymous(text: string): string {
  return text.replaceAll(`${FOLDER}/`, '<here>/').replaceAll(FOLDER, '<here>');
}

/** Maps as objects, what is not set as null. */
function plain(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === 'string') return anonymous(value);
  if (value instanceof Map) return plain(Object.fromEntries(value));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, plain(entry)]));
}

/** The part of `value` that `wanted` speaks of. */
function part(value: unknown, wanted: unknown): unknown {
  if (Array.isArray(value) && Array.isArray(wanted)) return value.map((entry, index) => part(entry, wanted[index]));
  if (typeof value !== 'object' || value === null || typeof wanted !== 'object' || wanted === null) return value;
  if (Array.isArray(value)) return value;
  const keys = new Set(Object.keys(wanted));
  const entries = Object.entries(value).filter(([key]) => keys.has(key));
  return Object.fromEntries(entries.map(([key, entry]) => [key, part(entry, Reflect.get(wanted, key))]));
}

function runErrors(name: string): void {
  const file = join(FOLDER, `${name}.errors`);
  const result = loadConfig(join(FOLDER, `${name}.toml`), { disk: realDisk('/usr/bin:/bin') });
  assert(!result.ok, 'this file is expected to be wrong');
  const lines = result.problems.map((problem) => `${formatProblem({ ...problem, file: basename(problem.file) })}\n`);
  const said = anonymous(lines.join(''));
  if (UPDATE) writeFileSync(file, said);
  assert.equal(said, readFileSync(file, 'utf8'));
}

function runConfig(name: string): void {
  const file = join(FOLDER, `${name}.json`);
  const result = loadConfig(join(FOLDER, `${name}.toml`), { disk: realDisk('/usr/bin:/bin') });
  assert(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  const is = plain(result.config);
  const isWhole = name.startsWith('whole-');
  if (UPDATE && isWhole) writeFileSync(file, `${JSON.stringify(is, null, 2)}\n`);
  const wanted: unknown = JSON.parse(readFileSync(file, 'utf8'));
  assert.deepEqual(isWhole ? is : part(is, wanted), wanted);
}

describe('golden files', () => {
  test('there are at least fifty, at least half of them wrong', () => {
    const wrong = names.filter((name) => existsSync(join(FOLDER, `${name}.errors`)));
    assert(names.length >= 50 && wrong.length * 2 >= names.length, `${names.length} files, ${wrong.length} wrong`);
  });

  for (const name of names)
    test(name, () => {
      const [isWrong, isRight] = ['.errors', '.json'].map((end) => existsSync(join(FOLDER, name + end)));
      assert.notEqual(isWrong, isRight, 'one of .json and .errors must be beside it');
      if (isWrong) runErrors(name);
      else runConfig(name);
    });
});
