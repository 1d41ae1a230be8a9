/** The tables of arguments and environment, as execve(2) would read them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VectorMemory } from '../../../src/process/posix/start-memory.ts';

/** The last block that was asked for, at an address of our choice. */
function memoryAt(base: bigint, pointerSize: 4 | 8) {
  let block: Buffer = Buffer.alloc(0);
  const vectors = new VectorMemory(pointerSize, (buffer) => {
    block = buffer;
    return base;
  });
  const table = (from: bigint): string[] => {
    const strings: string[] = [];
    for (let at = Number(from - base); ; at += pointerSize) {
      const pointer = pointerSize === 8 ? block.readBigUInt64LE(at) : BigInt(block.readUInt32LE(at));
      if (pointer === 0n) return strings;
      const start = Number(pointer - base);
      strings.push(block.toString('utf8', start, block.indexOf(0, start)));
    }
  };
  return { vectors, table };
}

const PLACES = [
  ['64 bits', 0x7f12_3456_7000n, 8],
  ['64 bits, across the lower half of an address', 0x7f12_ffff_ff80n, 8],
  ['32 bits', 0xf000_0000n, 4],
] as const;

for (const [name, base, pointerSize] of PLACES) {
  describe(name, () => {
    const { vectors, table } = memoryAt(base, pointerSize);
    const cases: readonly (readonly [string, string[], [string, string][]])[] = [
      ['nothing', [], []],
      ['arguments only', ['sh', '-c', 'echo'], []],
      ['an empty argument and an empty value', ['', ''], [['A', '']]],
      [
        'variables only',
        [],
        [
          ['A', '1'],
          ['B', '2=3'],
        ],
      ],
      ['what is not ASCII', ['grün', '\u{1f600}'], [['Ä', '水']]],
      ['more than the first block', ['x'.repeat(20_000)], [['Y', 'y'.repeat(20_000)]]],
      ['a block that is not kept', ['x'.repeat(900_000)], [['Y', 'z']]],
      ['little again', ['a'], [['b', 'c']]],
    ];
    for (const [what, argv, env] of cases) {
      test(what, () => {
        const written = vectors.write(argv, new Map(env));
        assert.ok(typeof written === 'object', String(written));
        assert.deepEqual(table(written.argv), argv);
        assert.deepEqual(
          table(written.envp),
          env.map(([key, value]) => `${key}=${value}`),
        );
      });
    }
    test('a NUL anywhere', () => {
      assert.equal(vectors.write(['a\0b'], new Map()), 'EINVAL');
      assert.equal(vectors.write(['a', ''], new Map([['A', '\0']])), 'EINVAL');
      assert.equal(vectors.write([], new Map([['A\0', 'x']])), 'EINVAL');
    });
    test('more than the system takes', () => {
      assert.equal(vectors.write(['x'.repeat(3 << 20)], new Map()), 'E2BIG');
    });
  });
}
