import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Positions } from '../../../src/config/reading/positions.ts';
import { parseToml } from '../../../src/config/reading/toml.ts';
import type { KeyPath } from '../../../src/config/values/value.ts';

const SOURCE = `# é😀
top = 1
a.b.c = { d = 1, "é" = [ 2, { e = 3 } ] }

[table]
  key = [
    1, 2,
    3 ]
[ table . "in side" ]
x.y = 1
x.z = 2
[[items]]
name = 1
[items.part]
deep = 1
[[items.sub]]
n = 1
[[items.sub]]
n = 2
[[items]]
name = 2
[later.first]
k = 1
[later]
m = 1
`;

const parsed = parseToml(SOURCE);
assert(parsed.ok);
const positions = new Positions(SOURCE, parsed.statements);

describe('where a key is', () => {
  const cases: readonly (readonly [KeyPath, string, boolean])[] = [
    [[], '1:1', true],
    [['missing'], '1:1', false],
    [['top'], '2:1', true],
    [['top', 'more'], '2:1', false],
    [['a'], '3:1', true],
    [['a', 'b', 'c'], '3:1', true],
    [['a', 'b', 'c', 'd'], '3:11', true],
    [['a', 'b', 'c', 'é'], '3:18', true],
    [['a', 'b', 'c', 'é', 0], '3:26', true],
    [['a', 'b', 'c', 'é', 1, 'e'], '3:31', true],
    [['a', 'b', 'c', 'é', 1, 'f'], '3:29', false],
    [['table'], '5:1', true],
    [['table', 'key'], '6:3', true],
    [['table', 'key', 2], '8:5', true],
    [['table', 'key', 3], '6:3', false],
    [['table', 'in side'], '9:1', true],
    [['table', 'in side', 'x'], '10:1', true],
    [['table', 'in side', 'x', 'z'], '11:1', true],
    [['items'], '12:1', true],
    [['items', 0], '12:1', true],
    [['items', 0, 'name'], '13:1', true],
    [['items', 0, 'part', 'deep'], '15:1', true],
    [['items', 0, 'sub', 0, 'n'], '17:1', true],
    [['items', 0, 'sub', 1, 'n'], '19:1', true],
    [['items', 1], '20:1', true],
    [['items', 1, 'name'], '21:1', true],
    [['items', 1, 'part'], '20:1', false],
    [['later'], '24:1', true],
    [['later', 'first', 'k'], '23:1', true],
    [['later', 'm'], '25:1', true],
  ];
  for (const [path, expected, isThere] of cases)
    test(path.join('.') || 'the root', () => {
      const { line, column } = positions.of(path);
      assert.equal(`${line}:${column}`, expected);
      assert.equal(positions.has(path), isThere);
    });
});

describe('whatever is written', () => {
  const signs = [
    '"',
    "'",
    '[',
    ']',
    '{',
    '}',
    '=',
    ',',
    '.',
    '#',
    '\n',
    '\r',
    '\\',
    'x',
    '5',
    ' ',
    ':',
    '\u0001',
    '😀',
    '',
  ];

  test('a text with one sign changed is TOML, or there is a sentence and a place in the text for why not', () => {
    const lines = SOURCE.split('\n').length;
    for (let at = 0; at <= SOURCE.length; at += 1)
      for (const sign of signs) {
        const changed = SOURCE.slice(0, at) + sign + SOURCE.slice(at + 1);
        const result = parseToml(changed);
        if (result.ok) {
          new Positions(changed, result.statements);
          continue;
        }
        const { message, hint = '', position } = result.trouble;
        assert(position.line >= 1 && position.line <= lines + 1 && position.column >= 1, `${at} ${sign}`);
        assert.match(message, /^[^\n\r]{10,200}$/, `${at} ${JSON.stringify(sign)}: ${message}`);
        assert.match(hint, /^[^\n\r]{0,120}$/);
        assert.doesNotMatch(message, /Expected|\[object|undefined/);
      }
  });

  test('so is a text that ends anywhere', () => {
    for (let at = 0; at <= SOURCE.length; at += 1) {
      const result = parseToml(SOURCE.slice(0, at));
      if (!result.ok) assert.match(result.trouble.message, /^[^\n\r]{10,200}$/);
    }
  });
});
