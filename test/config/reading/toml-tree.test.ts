/** What is used of the inside of the package `toml`: a version that changes it is to fail here, and not as a wrong line in a message. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileTree, parserStop, parseTree, type Statement } from '../../../src/config/reading/toml-tree.ts';

/** Plain data, so that what a version adds to its nodes (an end, say) is no difference. */
function shape(statement: Statement): unknown {
  const { type, value, offset } = statement;
  return type === 'Assign' ? { type, key: statement.key, value: valueShape(value), offset } : { type, value, offset };
}

function valueShape(value: Extract<Statement, { type: 'Assign' }>['value']): unknown {
  const { type, offset } = value;
  if (value.type === 'Array') return { type, offset, value: value.value.map(valueShape) };
  if (value.type !== 'InlineTable') return { type, offset, value: value.value };
  const entries = value.value.map((entry) => ({
    type: entry.type,
    key: entry.key,
    offset: entry.offset,
    value: valueShape(entry.value),
  }));
  return { type, offset, value: entries };
}

describe('the syntax tree', () => {
  const cases: readonly (readonly [source: string, expected: unknown])[] = [
    ['[a.b]', { type: 'ObjectPath', value: ['a', 'b'], offset: 0 }],
    ['# é𝄞\n[["a b"]]', { type: 'ArrayPath', value: ['a b'], offset: 6 }],
    ['x = 1', { type: 'Assign', key: ['x'], value: { type: 'Integer', value: 1n, offset: 4 }, offset: 0 }],
    ['x = 1.5', { type: 'Assign', key: ['x'], value: { type: 'Float', value: 1.5, offset: 4 }, offset: 0 }],
    ['x = true', { type: 'Assign', key: ['x'], value: { type: 'Boolean', value: true, offset: 4 }, offset: 0 }],
    [
      'a.b = ["x", { c = "y" }]',
      {
        type: 'Assign',
        key: ['a', 'b'],
        offset: 0,
        value: {
          type: 'Array',
          offset: 6,
          value: [
            { type: 'String', value: 'x', offset: 7 },
            {
              type: 'InlineTable',
              offset: 12,
              value: [
                {
                  type: 'InlineTableValue',
                  key: ['c'],
                  offset: 14,
                  value: { type: 'String', value: 'y', offset: 18 },
                },
              ],
            },
          ],
        },
      },
    ],
  ];
  for (const [source, expected] of cases)
    test(source, () => assert.deepEqual(parseTree(source).map(shape), [expected]));

  test('makes the tables', () => {
    const source = '[a]\nb = 1\n[[c]]\n[[c]]\nd = "e"';
    const tables = compileTree(parseTree(source), source);
    // Compared as JSON: the tables have no prototype.
    assert.equal(JSON.stringify(tables), '{"a":{"b":1},"c":[{},{"d":"e"}]}');
  });
});

describe('an error', () => {
  const stop = (source: string): unknown => {
    try {
      compileTree(parseTree(source), source);
    } catch (error) {
      return parserStop(error);
    }
    return undefined;
  };

  test('of the grammar has an offset and what could have followed', () => {
    const found = stop('x = \ny = 1');
    assert(typeof found === 'object' && found !== null && 'offset' in found && 'expected' in found);
    assert.equal(found.offset, 4);
    assert(Array.isArray(found.expected) && found.expected.some(({ text }: { text?: unknown }) => text === '['));
  });
  test('within a string expects a class of characters', () => {
    const found = stop('x = "abc\n');
    assert(typeof found === 'object' && found !== null && 'expected' in found && Array.isArray(found.expected));
    assert(found.expected.some((item) => item.type === 'class' && item.inverted === true));
  });
  test('of the compiler has a line and a sentence', () => {
    const found = stop('x = 1\nx = 2');
    assert(typeof found === 'object' && found !== null && 'line' in found && 'column' in found && 'said' in found);
    assert.deepEqual([found.line, found.column, typeof found.said], [2, 1, 'string']);
  });
  test('of anything else is none of the package', () => assert.equal(parserStop(new TypeError('x')), undefined));
});
