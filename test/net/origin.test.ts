import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseOrigin } from '../../src/net/origin.ts';

const ORIGINS: readonly [form: string | undefined, ...spellings: string[]][] = [
  ['http://board', 'http://board', 'HTTP://Board.', 'http://board:80', 'http://board:'],
  ['https://board:80', 'https://board:80'],
  ['https://[::1]', 'https://[::1]:443', 'https://[0::1]'],
  ['null', 'null'],
  ['file://', 'file://', 'FILE://'],
  ['app://', 'app://'],
  ['app://.', 'app://.'],
  ['app://-', 'app://-'],
  ['capacitor://localhost', 'capacitor://localhost', 'Capacitor://LOCALHOST'],
  ['capacitor://', 'capacitor://'],
  ['chrome-extension://abcdef', 'chrome-extension://abcdef'],
  ['app://a:80', 'app://a:80'],
  [
    undefined,
    '',
    '*',
    'board',
    'http:',
    'http://',
    'https://:80',
    '//board',
    '://board',
    'http:/board',
    'javascript:0',
    'file:',
  ],
  [
    undefined,
    'http://board/',
    'http://board/x',
    'http://board?x',
    'http://board#x',
    'http://u@board',
    'http://board\\x',
    'file:///',
  ],
  [
    undefined,
    'http://a b',
    'app://a b',
    'http://board, http://evil',
    'app://*',
    'http://*.board',
    'app://a@b',
    'http://a..b',
  ],
];

describe('one form for each origin, whatever its spelling', () => {
  for (const [form, ...spellings] of ORIGINS)
    for (const spelling of spellings)
      test(JSON.stringify(spelling), () => {
        const origin = parseOrigin(spelling);
        assert.equal(origin?.text, form);
        if (form !== undefined) assert.deepEqual(parseOrigin(form), origin);
      });
});
