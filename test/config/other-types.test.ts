/** Every key, with values of every type: each wrong one gets a message that can be printed, and none ends the reading. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { realDisk } from '../../src/config/disk/disk.ts';
import { formatProblem } from '../../src/config/reading/problems.ts';
import { parseConfig } from '../../src/gateway/config.ts';

const FOLDER = join(import.meta.dirname, '../../../test/config/golden');
const FILES = readdirSync(FOLDER, { withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.toml'))
  .map(({ name }) => name);
const VALUES = [
  '{}',
  '{ a = { b = 1 } }',
  '{ "\\u0007" = "\\u0007" }',
  '[]',
  '[[1]]',
  '[{ a = 1 }]',
  '["", "\\u001b[2J"]',
  '1979-05-27',
  '1979-05-27T07:32:00Z',
  '07:32:00',
  'nan',
  '-inf',
  '-9223372036854775808',
  '0.5',
  'true',
  '""',
  // Names that every object of JavaScript has.
  '"constructor"',
  '"__proto__"',
  '"\\u0000"',
];
const disk = realDisk('/usr/bin:/bin');

/** The lines of a file that give a key its value, with the name of the key. */
function assignments(lines: readonly string[]): readonly (readonly [at: number, key: string])[] {
  return lines.flatMap((line, at): (readonly [number, string])[] => {
    const key = /^([A-Za-z_-]+) *= *.*[\]}"'\w]$/.exec(line)?.[1];
    return key === undefined ? [] : [[at, key]];
  });
}

test('every key, with values of every type', () => {
  const seen = new Set<string>();
  for (const name of FILES) {
    const lines = readFileSync(join(FOLDER, name), 'utf8').split('\n');
    for (const [at, key] of assignments(lines)) {
      const header = lines.slice(0, at).findLast((line) => line.startsWith('[')) ?? '';
      // Once for each key of each kind of table.
      const place = `${/^\[+[a-z_]*/.exec(header)?.[0] ?? ''}${key}`;
      if (seen.has(place)) continue;
      seen.add(place);
      for (const value of VALUES) {
        const text = lines.with(at, `${key} = ${value}`).join('\n');
        const where = `${name}: ${key} = ${value}`;
        try {
          const result = parseConfig(Buffer.from(text), name, { directory: FOLDER, disk });
          for (const problem of result.ok ? [] : result.problems)
            assert(
              !/[\x00-\x1f\x7f]/.test(formatProblem(problem)),
              `${where}: ${JSON.stringify(formatProblem(problem))}`,
            );
        } catch (error) {
          throw new Error(where, { cause: error });
        }
      }
    }
  }
  assert(seen.size > 150, `only ${seen.size} keys were tried`);
});
