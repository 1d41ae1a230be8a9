import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileName, headerName, routeKey } from '../../../src/config/values/names.ts';
import { command, folder } from '../../../src/config/values/on-disk.ts';
import { address, choice, integer, parseAddress, parseDuration, parseSize } from '../../../src/config/values/simple.ts';
import type { Reading, ValueType } from '../../../src/config/values/value.ts';
import { thisUser } from '../../../src/ops/system-errors.ts';

/** A disk with a folder, a program, a file that is none, and a folder that may not be read. */
function reading(said: string[] = []): Reading {
  return {
    directory: '/etc/runnel',
    disk: {
      searchPath: ['/sbin', '/bin'],
      read: () => ({ failed: 'ENOENT' }),
      head: () => Buffer.from('#!/bin/true\n'),
      whyNotExecutable: (path) =>
        path === '/bin/true' || path === '/etc/runnel/run.sh'
          ? undefined
          : { failed: 'EACCES', because: 'is not executable: try chmod +x' },
      whyNotWritable: () => undefined,
      whyFileNotWritable: () => undefined,
      isInMemory: () => false,
      names: () => [],
      look(named) {
        const path = named.replace(/(?<=.)\/\.$/, '');
        if (path === '/srv' || path === '/etc/runnel' || path === '/') return { found: 'folder' };
        if (['/bin/true', '/sbin/true', '/etc/runnel/run.sh', '/bin/text'].includes(path)) return { found: 'file' };
        return { failed: path === '/locked' ? 'EACCES' : path === '/dev/bad' ? 'EIO' : 'ENOENT' };
      },
    },
    wrong: (_path, _value, expected) => said.push(`must be ${expected}`),
    problem: (path, sentence, hint) => said.push([path.join('.'), sentence, hint].filter((part) => part).join('; ')),
    doubt: (path, sentence) => said.push(`doubt ${path.join('.')} ${sentence}`),
    unknown(path) {
      said.push(`unknown ${path.join('.')}`);
      return undefined;
    },
  };
}

/** What a type makes of a value; the problems when it refuses. */
function read<T>(type: ValueType<T>, value: unknown): T | string {
  const said: string[] = [];
  const result = type.read(value, ['key'], reading(said));
  if (result !== undefined) assert.deepEqual(said, []);
  return result ?? said.join(' | ');
}

describe('durations', () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['0ms', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
    ['0.5ms', 1],
    ['007s', 7000],
    ['', undefined],
    ['5', undefined],
    ['s', undefined],
    ['5 s', undefined],
    [' 5s', undefined],
    ['5s ', undefined],
    ['5s\n', undefined],
    ['-5s', undefined],
    ['+5s', undefined],
    ['.5s', undefined],
    ['5.s', undefined],
    ['1e3s', undefined],
    ['5S', undefined],
    ['5M', undefined],
    ['5min', undefined],
    ['1m30s', undefined],
    ['Infinitys', undefined],
    [`${'9'.repeat(400)}s`, undefined],
    ['９s', undefined],
  ];
  for (const [written, milliseconds] of cases)
    test(JSON.stringify(written.slice(0, 20)), () => assert.equal(parseDuration(written), milliseconds));
});

describe('sizes', () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['0B', 0],
    ['512B', 512],
    ['1KB', 1000],
    ['1KiB', 1024],
    ['1.5MiB', 1_572_864],
    ['1MB', 1_000_000],
    ['2GB', 2_000_000_000],
    ['2GiB', 2_147_483_648],
    ['', undefined],
    ['64', undefined],
    ['64k', undefined],
    ['64kb', undefined],
    ['64 KiB', undefined],
    ['64KIB', undefined],
    ['1TiB', undefined],
    ['-1B', undefined],
    ['0x10B', undefined],
    ['1KiB\n', undefined],
    ['99999999999GiB', undefined],
  ];
  for (const [written, bytes] of cases) test(JSON.stringify(written), () => assert.equal(parseSize(written), bytes));
});

describe('addresses', () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    [':8080', ':: 8080'],
    [':0', ':: 0'],
    [':65535', ':: 65535'],
    [':65536', undefined],
    [':080', ':: 80'],
    [':', undefined],
    ['8080', undefined],
    ['', undefined],
    ['127.0.0.1:80', '127.0.0.1 80'],
    ['0.0.0.0:80', '0.0.0.0 80'],
    ['127.0.0.1', undefined],
    ['127.1:80', undefined],
    ['010.0.0.1:80', undefined],
    ['256.0.0.1:80', undefined],
    ['127.0.0.1:-1', undefined],
    ['127.0.0.1: 80', undefined],
    ['127.0.0.1:80\n', undefined],
    ['[::]:443', ':: 443'],
    ['[::1]:443', '::1 443'],
    ['[2001:DB8::1]:443', '2001:DB8::1 443'],
    ['[::ffff:127.0.0.1]:80', '::ffff:127.0.0.1 80'],
    ['[]:80', undefined],
    ['[::1]', undefined],
    ['::1:80', undefined],
    ['[:::]:80', undefined],
    ['[127.0.0.1]:80', undefined],
    ['[fe80::1%eth0]:80', undefined],
    ['[fe80::1%1]:80', undefined],
    ['[fe80::1]:80', 'fe80::1 80'],
    ['localhost:80', undefined],
    ['*:80', undefined],
    ['tcp://127.0.0.1:80', undefined],
    ['unix:/run/x.sock', '/run/x.sock'],
    ['unix:x.sock', '/etc/runnel/x.sock'],
    ['unix:../x y.sock', '/etc/x y.sock'],
    ['unix:', undefined],
    ['unix:a\0b', undefined],
    ['UNIX:/x', undefined],
    [`unix:/${'x'.repeat(106)}`, `/${'x'.repeat(106)}`],
    [`unix:/${'x'.repeat(107)}`, undefined],
    [`unix:/${'é'.repeat(54)}`, undefined],
    ['systemd:http', 'socket http'],
    ['systemd:runnel.socket', 'socket runnel.socket'],
    ['systemd:', undefined],
    ['systemd:a b', undefined],
    ['systemd:a:b', undefined],
  ];
  for (const [written, expected] of cases)
    test(JSON.stringify(written.slice(0, 40)), () => {
      const parsed = parseAddress(written, '/etc/runnel');
      const brief =
        parsed?.kind === 'tcp'
          ? `${parsed.host} ${parsed.port}`
          : parsed?.kind === 'unix'
            ? parsed.path
            : parsed && `socket ${parsed.socket}`;
      assert.equal(brief, expected);
    });

  test("a socket's folder must be there", () => {
    assert.match(
      String(read(address, 'unix:/nowhere/x.sock')),
      /the folder of the socket, "\/nowhere", does not exist/,
    );
    assert.equal(typeof read(address, 'unix:x.sock'), 'object');
  });
  test('a name instead of an address', () =>
    assert.match(String(read(address, 'board.local:80')), /names are not looked up/));
});

describe('folders and programs', () => {
  const cases: readonly (readonly [string, ValueType<unknown>, unknown, unknown])[] = [
    ['an absolute folder', folder, '/srv', '/srv'],
    ['a relative folder', folder, '../../srv', '/srv'],
    ['the file itself lies there', folder, '.', '/etc/runnel'],
    ['a folder that may not be read', folder, '/locked', `key; the folder "/locked" may not be read by ${thisUser()}`],
    ['a file', folder, '/bin/true', 'key; the folder "/bin/true" is a file, not a folder'],
    ['another error of the system', folder, '/dev/bad', 'key; the folder "/dev/bad" cannot be read (EIO)'],
    ['NUL', folder, 'a\0b', 'must be the path of a folder'],
    ['found in PATH, past one that may not be executed', command, ['true'], ['true']],
    ['not executable in PATH', command, ['text'], 'key.0; the program "text" is not executable: try chmod +x'],
    ['not in PATH', command, ['no'], 'key.0; the program "no" is not in any folder of PATH (/sbin:/bin)'],
    ['relative', command, ['./run.sh', './arg'], ['/etc/runnel/run.sh', './arg']],
    [
      'relative without a dot is looked up in PATH',
      command,
      ['run.sh'],
      'key.0; the program "run.sh" is not in any folder of PATH (/sbin:/bin); write "./run.sh"',
    ],
    ['a folder as program', command, ['/srv'], 'key.0; the program "/srv" is a folder, not a program'],
  ];
  for (const [name, type, value, expected] of cases) test(name, () => assert.deepEqual(read(type, value), expected));
});

describe('numbers and choices', () => {
  const few = integer({ min: 1, max: 10 });
  for (const value of [1, 10]) test(`${value} is taken`, () => assert.equal(read(few, value), value));
  for (const value of [0, 11, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '5', true, null, [], {}])
    test(`${JSON.stringify(value)} is refused`, () =>
      assert.equal(read(few, value), 'must be a whole number from 1 to 10'));
  test('one choice', () => assert.equal(choice('a').expected, '"a"'));
  test('two choices', () => assert.equal(choice('a', 'b').expected, '"a" or "b"'));
  test('three choices', () => assert.equal(choice('a', 'b', 'c').expected, '"a", "b" or "c"'));
});

describe('names', () => {
  const cases: readonly (readonly [string, ValueType<string>, string, string | RegExp])[] = [
    ['the root', routeKey, '/', '/'],
    ['two dots in a segment', routeKey, '/a..b/', '/a..b/'],
    ['a host with digits', routeKey, '10.0.0.1/x', '10.0.0.1/x'],
    ['a path that ends in two dots', routeKey, '/a/..', /write "\/"/],
    ['percent that decodes to a slash stays undecoded elsewhere', routeKey, '/a%2fb', /write "\/a\/b"/],
    ['percent that is no UTF-8', routeKey, '/%ff', /without percent-encoding$/],
    ['percent that decodes to a question mark', routeKey, '/%3f', /without percent-encoding$/],
    ['a host with a port', routeKey, 'x:80/', /must be a path/],
    ['a header in lower case', headerName, 'X-Frame-Options', 'x-frame-options'],
    ['a header of the connection', headerName, 'Keep-Alive', /the gateway writes/],
    ['a header with a colon', headerName, 'X:', /must be a header/],
    ['a dotfile', fileName, '.htaccess', '.htaccess'],
    ['three dots', fileName, '...', '...'],
    ['one dot', fileName, '.', /must be the name/],
    ['a slash', fileName, 'a/b', /must be the name/],
  ];
  for (const [name, type, value, expected] of cases)
    test(name, () => {
      const result = read(type, value);
      if (typeof expected === 'string') assert.equal(result, expected);
      else assert.match(result, expected);
    });
});
