import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sameOrigin } from '../../src/policy/origin.ts';

const CASES: readonly [name: string, origin: string | undefined, host: string | undefined, same: boolean][] = [
  ['no Origin is no browser', undefined, 'board', true],
  ['the same host', 'http://board', 'board', true],
  ['the same host and port', 'http://board:8080', 'board:8080', true],
  ['the usual port, written out on one side', 'http://board', 'board:80', true],
  ['the usual port of https', 'https://board:443', 'board', true],
  ['upper case', 'http://BOARD', 'Board', true],
  ['an IPv6 address', 'http://[::1]:80', '[::1]', true],
  ['another host', 'http://evil', 'board', false],
  ['another port', 'http://board:81', 'board', false],
  ['a host that only begins alike', 'http://board.evil', 'board', false],
  ['null', 'null', 'board', false],
  ['file', 'file://', 'board', false],
  ['a user in it', 'http://board@evil', 'board', false],
  ['a path in it', 'http://board/x', 'board', false],
  ['no Host to compare with', 'http://board', undefined, false],
  ['empty', '', 'board', false],
];

for (const [name, origin, host, same] of CASES) {
  test(`sameOrigin: ${name}`, () => assert.equal(sameOrigin(origin, host), same));
}
