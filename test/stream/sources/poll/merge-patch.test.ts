import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  applyMergePatch,
  type Json,
  mergePatch,
  withoutNulls,
} from '../../../../src/stream/sources/poll/merge-patch.ts';

/** RFC 7396 appendix A, all of it: original, patch, result. */
const APPENDIX_A: readonly (readonly [string, string, string])[] = [
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', '{}'],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['["a","b"]', '["c","d"]', '["c","d"]'],
  ['{"a":"b"}', '["c"]', '["c"]'],
  ['{"a":"foo"}', 'null', 'null'],
  ['{"a":"foo"}', '"bar"', '"bar"'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
  ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
];

/** RFC 7396 section 3. */
const SECTION_3: readonly [string, string, string] = [
  '{"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},"tags":["example","sample"],"content":"This will be unchanged"}',
  '{"title":"Hello!","phoneNumber":"+01-123-456-7890","author":{"familyName":null},"tags":["example"]}',
  '{"title":"Hello!","author":{"givenName":"John"},"tags":["example"],"content":"This will be unchanged","phoneNumber":"+01-123-456-7890"}',
];

const parse = (text: string): Json => JSON.parse(text) as Json;

describe('applying a merge patch', () => {
  for (const [original, patch, result] of [...APPENDIX_A, SECTION_3])
    test(`${original} with ${patch}`, () => {
      assert.deepEqual(applyMergePatch(parse(original), parse(patch)), parse(result));
    });
});

describe('making a merge patch', () => {
  for (const [original, patch, result] of [...APPENDIX_A, SECTION_3])
    test(`from ${original} to ${result}`, () => {
      const [from, to] = [withoutNulls(parse(original)), withoutNulls(parse(result))];
      const made = mergePatch(from, to);
      assert.deepEqual(made === undefined ? from : applyMergePatch(from, made), to);
      assert.equal(made === undefined, JSON.stringify(from) === JSON.stringify(to));
      // The appendix' own patch is the smallest one, but for where it says more than is needed.
      if (made !== undefined) assert.ok(JSON.stringify(made).length <= patch.length);
    });

  const cases: readonly (readonly [string, string | undefined, string, string | undefined])[] = [
    ['equal documents', '{"a":[1,{"b":null}],"c":{}}', '{"c":{},"a":[1,{"b":null}]}', undefined],
    ['the first document', undefined, '{"a":1}', '{"a":1}'],
    ['a member that becomes an object', '{"a":1}', '{"a":{}}', '{"a":{}}'],
    ['an object that becomes empty', '{"a":{"b":1}}', '{"a":{}}', '{"a":{"b":null}}'],
    ['an array with another order', '{"a":[1,2]}', '{"a":[2,1]}', '{"a":[2,1]}'],
    ['an array that is longer', '[1]', '[1,2]', '[1,2]'],
    ['null in an array', '{"a":[1]}', '{"a":[null]}', '{"a":[null]}'],
    ['an object in place of an array', '{"a":[1]}', '{"a":{"0":1}}', '{"a":{"0":1}}'],
    ['false and 0 are values', '{"a":0}', '{"a":false}', '{"a":false}'],
    ['"" is a name and a value', '{"":1}', '{"":""}', '{"":""}'],
    ['a member called __proto__', '{}', '{"__proto__":{"a":1}}', '{"__proto__":{"a":1}}'],
    ['a member with the name of a method', '{}', '{"hasOwnProperty":1}', '{"hasOwnProperty":1}'],
    [
      'the inner change only',
      '{"a":{"b":{"c":1,"d":2}},"e":3}',
      '{"a":{"b":{"c":1,"d":4}},"e":3}',
      '{"a":{"b":{"d":4}}}',
    ],
  ];
  for (const [name, from, to, expected] of cases)
    test(name, () => {
      const patch = mergePatch(from === undefined ? undefined : parse(from), parse(to));
      assert.equal(patch === undefined ? undefined : JSON.stringify(patch), expected);
      if (patch !== undefined) {
        const made = applyMergePatch(from === undefined ? undefined : parse(from), patch);
        assert.equal(JSON.stringify(made), JSON.stringify(parse(to)));
      }
    });

  test('a chain of random documents comes out right', () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return Math.floor((seed / 2147483648) * below);
    };
    const made = (depth: number): Json => {
      const kind = random(depth > 3 ? 3 : 6);
      if (kind < 3) return [random(3), `t${random(3)}`, random(2) === 0][kind] ?? null;
      if (kind === 3) return Array.from({ length: random(3) }, () => made(depth + 1));
      return Object.fromEntries(
        Array.from({ length: random(5) }, () => [`m${random(5)}`, random(9) === 0 ? null : made(depth + 1)]),
      );
    };
    let viewer: Json | undefined;
    let last: Json | undefined;
    for (let round = 0; round < 2000; round++) {
      const document = withoutNulls(made(0));
      const patch = mergePatch(last, document);
      if (patch !== undefined) viewer = applyMergePatch(viewer, parse(JSON.stringify(patch)));
      last = document;
      assert.deepEqual(viewer, document);
    }
  });
});

test('nulls: members that are null are left out, elements stay', () => {
  const document = parse('{"a":null,"b":{"c":null,"d":[null,{"e":null}]}}');
  assert.equal(JSON.stringify(withoutNulls(document)), '{"b":{"d":[null,{"e":null}]}}');
  assert.throws(() => withoutNulls(parse('['.repeat(600) + ']'.repeat(600))), RangeError);
});
