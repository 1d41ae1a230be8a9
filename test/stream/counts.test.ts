import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeLabel } from '../../src/stream/counts.ts';

test('close codes as labels: what a client may choose freely is a class', () => {
  const cases: readonly (readonly [code: number, label: string])[] = [
    [1000, '1000'],
    [1006, '1006'],
    [1013, '1013'],
    [3000, '3xxx'],
    [3999, '3xxx'],
    [4000, '4xxx'],
    [4321, '4xxx'],
    [4999, '4xxx'],
    [0, 'other'],
    [999, 'other'],
    [1016, 'other'],
    [2999, 'other'],
    [5000, 'other'],
    [65_535, 'other'],
  ];
  for (const [code, label] of cases) assert.equal(codeLabel(code), label, String(code));
});
