import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hostText, parseHost, sameHost } from '../../src/net/host.ts';
import { HostPatterns } from '../../src/net/host-patterns.ts';

const LONG = `${'a.'.repeat(126)}b`;

/** What each spelling is in a URL; undefined for what is no host. */
const HOSTS: readonly [form: string | undefined, ...spellings: string[]][] = [
  ['board.local', 'board.local', 'Board.Local', 'board.local.', 'board.local:', 'BOARD.local.:'],
  ['board.local:8080', 'board.local:8080', 'board.local.:08080'],
  ['192.168.1.5:80', '192.168.1.5:80', '192.168.1.5.:80'],
  ['[::1]:80', '[::1]:80', '[0:0::1]:80', '[::0.0.0.1]:80', '[::1%lo]:80', '[::1%25lo]:80'],
  ['[fe80::1]', '[FE80::1]', '[fe80::1%eth0]', '[fe80:0:0::1]:'],
  ['[::ffff:7f00:1]', '[::ffff:127.0.0.1]', '[::FFFF:7F00:0001]'],
  ['_name.board', '_name.board', '_NAME.board'],
  ['xn--wrme-loa', 'xn--wrme-loa'],
  ['127.1', '127.1'],
  [LONG, LONG],
  [
    undefined,
    '',
    '.',
    '..',
    ':',
    ':80',
    'a..b',
    '.a',
    'a..',
    'a b',
    'a/b',
    'user@host',
    'host:80:80',
    '::1',
    '[::1',
    '::1]',
    '[]',
  ],
  [
    undefined,
    '[board]',
    '[127.0.0.1]',
    '[::1]x',
    '[::1]]',
    'a[::1]',
    'a%2eb',
    'w\xe4rme',
    'a,b',
    '$(reboot)',
    "a'b",
    'a;b',
    'a*b',
    '~a',
  ],
  [undefined, 'board:65536', 'board:-1', 'board:+80', 'board: 80', 'board:http', 'board:000080', `${LONG}c`],
];

describe('one form for each host, whatever its spelling', () => {
  for (const [form, ...spellings] of HOSTS)
    for (const spelling of spellings)
      test(JSON.stringify(spelling), () => {
        const host = parseHost(spelling);
        const text = host && hostText(host) + (host.port === undefined ? '' : `:${host.port}`);
        assert.equal(text, form);
        if (text !== undefined) assert.deepEqual(parseHost(text), host);
      });
});

test('what kind of host it is', () => {
  for (const [text, kind] of [
    ['board', 'name'],
    ['1.2.3.4', 'ipv4'],
    ['1.2.3', 'name'],
    ['0x7f.0.0.1', 'name'],
    ['[::1]', 'ipv6'],
  ] as const)
    assert.equal(parseHost(text)?.kind, kind, text);
});

test('a port that is not written is the usual one', () => {
  const same = (a: string, b: string, usual?: number): boolean => {
    const [one, other] = [parseHost(a), parseHost(b)];
    assert(one !== undefined && other !== undefined);
    return sameHost(one, other, usual);
  };
  assert(same('board', 'BOARD.:80', 80));
  assert(!same('board', 'board:80', 443));
  assert(!same('board', 'board:80'));
  assert(!same('board:81', 'board:80', 80));
  assert(!same('127.0.0.1', '[::ffff:127.0.0.1]', 80));
});

describe('hosts that a listener answers for', () => {
  const NAMED = ['board.local', '*.example.org'];
  const CASES: readonly [patterns: readonly string[], host: string, admitted: boolean][] = [
    [[], 'evil.test', false],
    [[], 'localhost', true],
    [[], 'LocalHost.:8080', true],
    [[], 'app.localhost', true],
    [[], 'localhost.evil.test', false],
    [[], 'notlocalhost', false],
    [[], '192.168.1.7', true],
    [[], '[fe80::1%eth0]:80', true],
    [[], '192.168.1', false],
    [[], '127.0.0.1.nip.io', false],
    [['*'], 'evil.test', true],
    [NAMED, 'board.local', true],
    [NAMED, 'BOARD.local.:80', true],
    [NAMED, 'board.local.evil.test', false],
    [NAMED, 'evil-board.local', false],
    [NAMED, 'a.example.org', true],
    [NAMED, 'a.b.example.org', true],
    [NAMED, 'example.org', false],
    [NAMED, 'evilexample.org', false],
  ];
  for (const [patterns, text, admitted] of CASES)
    test(`${JSON.stringify(patterns)} and ${text}`, () => {
      const host = parseHost(text);
      assert(host !== undefined);
      assert.equal(new HostPatterns(patterns).admits(host), admitted);
    });
});
