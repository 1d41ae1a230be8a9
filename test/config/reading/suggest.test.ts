import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { distance, nearest, suggestion, tablesOf } from '../../../src/config/reading/suggest.ts';
import { SCHEMA } from '../../../src/gateway/config.ts';

describe('the nearest key', () => {
  const known = ['command', 'share', 'framing', 'max_message', 'max_processes', 'root', 'env'];
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['comand', 'command'],
    ['commnad', 'command'],
    ['Command', 'command'],
    ['commands', 'command'],
    ['cmd', undefined],
    ['max-message', 'max_message'],
    ['maxmessage', 'max_message'],
    ['max_process', 'max_processes'],
    ['rot', 'root'],
    ['envs', 'env'],
    ['e', undefined],
    ['', undefined],
    ['interval', undefined],
    ['x'.repeat(1_000_000), undefined],
  ];
  for (const [word, expected] of cases)
    test(JSON.stringify(word.slice(0, 20)), () => assert.equal(nearest(word, known), expected));
});

describe('the distance of two words', () => {
  const cases: readonly (readonly [string, string, number, number])[] = [
    ['', '', 3, 0],
    ['a', '', 3, 1],
    ['abc', 'abc', 3, 0],
    ['abc', 'acb', 3, 1],
    ['kitten', 'sitting', 3, 3],
    ['kitten', 'sitting', 2, 3],
    ['abcdef', 'uvwxyz', 2, 3],
    ['a', 'abcdef', 2, 3],
  ];
  for (const [a, b, limit, expected] of cases)
    test(`"${a}" to "${b}", at most ${limit}`, () => assert.equal(distance(a, b, limit), expected));
});

describe('a suggestion', () => {
  const tables = tablesOf(SCHEMA.root);
  const cases: readonly (readonly [string, readonly string[], string | undefined])[] = [
    [
      'root',
      ['command', 'share'],
      'it is a key of [static."/path"], [cgi."/path"], [fastcgi."/path"], [stream."/path"]',
    ],
    ['listen', ['format', 'level'], 'it is a key of the top of the file, [admin]'],
    ['limit', ['limits'], 'did you mean "limits"?'],
    ['engines', ['address'], 'known here: address'],
    ['zzz', ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'], undefined],
  ];
  for (const [name, known, expected] of cases)
    test(name, () => assert.equal(suggestion(name, known, tables), expected));

  test('every table has its header', () =>
    assert.deepEqual(
      tables
        .map((shape) => shape.header)
        .filter((header) => !/\.(limits|cors|auth|cursor|history|publish)\]/.test(header)),
      [
        '',
        '[[listen]]',
        '[listen.tls]',
        '[[listen.tls.certificates]]',
        '[listen.tls.client]',
        '[static."/path"]',
        '[cgi."/path"]',
        '[fastcgi."/path"]',
        '[proxy."/path"]',
        '[stream."/path"]',
        '[status."/path"]',
        '[processes]',
        '[admin]',
        '[defaults]',
        '[connections]',
        '[log]',
        '[log.requests]',
      ],
    ));
});
