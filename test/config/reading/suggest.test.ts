import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { distance, nearest, suggest, tablesOf } from '../../../src/config/reading/suggest.ts';
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
  const fields = (header: string) => Object.keys(tables.find((shape) => shape.header === header)?.fields ?? {});
  const routes = ['static', 'cgi', 'stream', 'proxy'];
  const headerOf = (path: readonly (string | number)[]): string => {
    const [kind = '', second, ...others] = path.slice(0, -1);
    if (kind === '') return '';
    if (typeof second === 'number') return others.length === 0 ? '[[listen]]' : `[listen.${others.join('.')}]`;
    const rest = routes.includes(String(kind))
      ? ['"/path"', ...others]
      : second === undefined
        ? []
        : [second, ...others];
    return `[${[kind, ...rest].join('.')}]`;
  };
  const cases: readonly (readonly [path: readonly (string | number)[], value: unknown, meant: string, hint: string])[] =
    [
      [['stream', '/x', 'comand'], ['cat'], 'command', 'did you mean "command"?'],
      [['log', 'listen'], ':80', '', 'it is a key of [admin], or at the top of the file, before the first [table]'],
      [['static', '/', 'limit'], {}, 'limits', 'did you mean "limits"?'],
      [['processes', 'zzz'], 1, '', 'known here: max, spawner'],
      [['static', '/', 'zzz'], 1, '', ''],
      [['listen', 0, 'adress'], ':80', 'address', 'did you mean "address"?'],
      [['stream', '/x', 'ExecStart'], './x', 'command', 'write command = ["PROGRAM", "ARGUMENT"]'],
      [['listen', 0, 'port'], 8080, 'address', 'write address = ":8080"'],
      [['listen', 0, 'port'], '8080', 'address', 'write address = ":8080"'],
      [['port'], 80, '', 'write "address" in [[listen]]'],
      [['server'], { port: 80 }, 'listen', 'for "port" write "address" in [[listen]]'],
      [['server'], 'x', '', ''],
      [['document-root'], '/srv', '', 'write "root" in [static."/path"]'],
      [['auth'], {}, '', 'write [defaults.auth] for all routes, or auth = { … } in one route'],
      [['static', '/', 'body'], '1MB', '', 'write limits = { body = … }'],
      [['static', '/', 'client_max_body_size'], '1m', '', 'write limits = { body = … }'],
      [['listen', 0, 'ssl_certificate'], 'x', '', 'write tls = { certificate = … }'],
      [['admin', 'port'], 9180, 'listen', 'write listen = "127.0.0.1:9180"'],
    ];
  for (const [path, value, meant, hint] of cases)
    test(path.join('.'), () => {
      const said = suggest(path, value, fields(headerOf(path)), tables);
      assert.deepEqual(said, { hint: hint === '' ? undefined : hint, meant: meant === '' ? undefined : meant });
    });

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
