import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestHost } from '../../src/http/target.ts';

const HOSTS: readonly [field: string | undefined, expected: string | undefined][] = [
  [undefined, ''],
  ['', ''],
  ['Board.Local', 'board.local'],
  ['board.local.', 'board.local'],
  ['board.local:8080', 'board.local'],
  ['board.local:', 'board.local'],
  ['192.168.1.5:80', '192.168.1.5'],
  ['[::1]:80', '::1'],
  ['[FE80::1]', 'fe80::1'],
  ['a b', undefined],
  ['a/b', undefined],
  ['user@host', undefined],
  ['host:80:80', undefined],
  ['::1', undefined],
];

for (const [field, expected] of HOSTS) {
  test(`requestHost: ${JSON.stringify(field)}`, () => assert.equal(requestHost(field), expected));
}
