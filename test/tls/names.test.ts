import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, test } from 'node:test';
import { covers, findByName, namesOf } from '../../src/tls/names.ts';
import { Authority } from '../support/certificates.ts';

describe('which host a name is for', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['board.local', 'board.local', true],
    ['board.local', 'www.board.local', false],
    ['*.board.local', 'www.board.local', true],
    ['*.board.local', 'board.local', false],
    ['*.board.local', 'a.b.board.local', false],
    ['*.board.local', '.board.local', false],
    ['*.local', 'board.local', true],
    ['*', 'board', false],
    ['w*.board.local', 'www.board.local', false],
    ['192.168.1.5', '192.168.1.5', true],
  ];
  for (const [name, host, expected] of cases)
    test(`${name} and ${host}`, () => assert.equal(covers(name, host), expected));
});

describe('which certificate a client gets', () => {
  const entries = [['a.test'], ['*.b.test', 'b.test'], ['www.b.test'], ['a.test', 'c.test']];
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['a.test', 0],
    ['A.Test', 0],
    ['a.test.', 0],
    ['c.test', 3],
    ['b.test', 1],
    ['x.b.test', 1],
    ['www.b.test', 2],
    ['x.y.b.test', undefined],
    ['d.test', undefined],
    ['', undefined],
  ];
  for (const [host, expected] of cases)
    test(`${host || 'none'}: ${expected}`, () => assert.equal(findByName(entries, host), expected));
});

test('the names of a certificate', () => {
  const authority = new Authority();
  const of = (certificate: string) => namesOf(new X509Certificate(certificate));
  assert.deepEqual(of(authority.server(['Board.Local', '*.x.test', '10.0.0.1', '::1']).certificate), [
    'board.local',
    '*.x.test',
    '10.0.0.1',
    '0:0:0:0:0:0:0:1',
  ]);
  assert.deepEqual(of(authority.client('Alice').certificate), ['alice']);
});
