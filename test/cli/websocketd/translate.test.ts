/** The command line of websocketd as tables of a configuration, and those as TOML. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readCommandLine } from '../../../src/cli/websocketd/command-line.ts';
import { logLines } from '../../../src/cli/websocketd/log-lines.ts';
import { writeToml } from '../../../src/cli/websocketd/toml.ts';
import { type TomlTable, translate } from '../../../src/cli/websocketd/translate.ts';
import { parseConfig, readConfig } from '../../../src/gateway/config.ts';
import { Authority } from '../../support/certificates.ts';
import { folderWith } from '../../support/gateway.ts';

function translated(...args: readonly string[]): TomlTable {
  const line = readCommandLine(args);
  assert.ok(typeof line === 'object');
  return translate(line, '1.2.3');
}

/** What is at a path of keys and indices. */
function at(table: TomlTable, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (value, step) => (typeof value === 'object' && value !== null ? Reflect.get(value, step) : undefined),
    table,
  );
}

const addressesOf = (...args: readonly string[]) =>
  (at(translated(...args), 'listen') as TomlTable[]).map(({ address, redirect }) =>
    redirect === undefined ? String(address) : `${String(address)} -> ${String(redirect)}`,
  );

const ADDRESSES: readonly [args: readonly string[], addresses: readonly string[]][] = [
  [[], [':80']],
  [['--ssl', '--sslcert=c', '--sslkey=k'], [':443']],
  [['--port=8080'], [':8080']],
  [
    ['--port=8080', '--address=127.0.0.1', '--address=[::1]', '--address=fd00::1'],
    ['127.0.0.1:8080', '[::1]:8080', '[fd00::1]:8080'],
  ],
  [['--unixsocket=/run/s'], ['unix:/run/s']],
  [
    ['--unixsocket=/run/s', '--port=81'],
    [':81', 'unix:/run/s'],
  ],
  [
    ['--unixsocket=/run/s', '--address=127.0.0.1'],
    ['127.0.0.1:80', 'unix:/run/s'],
  ],
  [
    ['--port=81', '--redirport=82'],
    [':81', ':82 -> http:81'],
  ],
  [
    ['--redirport=80', '--ssl', '--sslcert=c', '--sslkey=k', '--address=h'],
    ['h:443', 'h:80 -> https:443'],
  ],
];

for (const [args, addresses] of ADDRESSES)
  test(`websocketd's addresses: ${args.join(' ') || '(usual)'}`, () =>
    assert.deepEqual(addressesOf(...args, 'cat'), addresses));

const STREAM: readonly [args: readonly string[], key: string, value: unknown][] = [
  [[], 'command', ['cat']],
  [[], 'websocket_only', true],
  [[], 'ping_interval', undefined],
  [['--pingms=2000'], 'ping_interval', '2000ms'],
  [['--pingms=1'], 'ping_interval', '100ms'],
  [['--pingms=999999999'], 'ping_interval', '3600000ms'],
  [['--closems=99999999'], 'kill_after', '600000ms'],
  [['--closems=1000'], 'interrupt_after', '1100ms'],
  [['--closems=1000'], 'kill_after', '1500ms'],
  [['--maxforks=0'], 'max_processes', 100_000],
  [['--maxforks=3'], 'max_processes', 3],
  [['--maxframesize=0'], 'max_client_message', `${64 << 20}B`],
  [['--maxframesize=100'], 'max_client_message', '100B'],
  [['--binary'], 'framing', 'raw'],
  [['--passstderr'], 'stderr', 'json'],
  [['--reverselookup'], 'reverse_lookup', true],
  [[], 'cors', { origins: ['*', 'null', 'file://'] }],
  [['--sameorigin'], 'cors', undefined],
  [
    ['--origin=a.com,https://b.com,c.com:81,[::1]'],
    'cors',
    {
      origins: [
        'http://a.com:*',
        'https://a.com:*',
        'https://b.com:*',
        'http://c.com:81',
        'https://c.com:81',
        'http://[::1]:*',
        'https://[::1]:*',
      ],
    },
  ],
  [[], 'pass_env', ['PATH', 'LD_LIBRARY_PATH']],
  [['--passenv=A, B,HTTPS,A,no-name'], 'pass_env', ['A', 'B']],
  [[], 'env', { SERVER_SOFTWARE: 'websocketd/runnel-1.2.3' }],
  [
    ['--header=X-A: 1', '--header-ws=x-a:2', '--header-ws=X-B', '--header-http=X-C: 3'],
    'headers',
    { 'x-a': ['1', '2'], 'x-b': '' },
  ],
];

for (const [args, key, value] of STREAM)
  test(`websocketd's stream: ${args.join(' ') || '(usual)'}: ${key}`, () =>
    assert.deepEqual(at(translated(...args, 'cat'), 'stream', '/', key), value));

test("websocketd's folders: programs beside files, each with the fields of plain answers", () => {
  const tables = translated('--staticdir=/', '--cgidir=/usr', '--header-http=X-C: 3');
  assert.equal(at(tables, 'stream'), undefined);
  assert.equal(at(tables, 'cgi', '/', 'pass_missing'), true);
  assert.equal(at(translated('--cgidir=/usr'), 'cgi', '/', 'pass_missing'), undefined);
  for (const kind of ['cgi', 'static']) assert.deepEqual(at(tables, kind, '/', 'headers'), { 'x-c': '3' });
});

/** Lines that between them use everything. `@` is the test's folder. */
const WHOLE: readonly (readonly string[])[] = [
  ['cat'],
  [
    '--dir=@/programs',
    '--staticdir=@',
    '--cgidir=@/programs',
    '--header=X-A: "quoted\\"',
    '--port=8081',
    '--redirport=8082',
  ],
  [
    '--ssl',
    '--sslcert=@/c.pem',
    '--sslkey=@/k.pem',
    '--sslca=@/ca.pem',
    '--redirport=8082',
    '--unixsocket=@/s',
    'cat',
    'a b',
    "'",
    '\u007f',
  ],
  [
    '--binary',
    '--closems=5',
    '--pingms=500',
    '--maxforks=2',
    '--maxframesize=0',
    '--origin=a.com',
    '--reverselookup',
    'cat',
  ],
  ['--passstderr', '--sameorigin', '--loglevel=error', '--devconsole', 'cat'],
];

function prepared(t: TestContext): string {
  const authority = new Authority();
  const server = authority.server(['localhost']);
  const pems = { 'c.pem': server.certificate, 'k.pem': server.pem, 'ca.pem': authority.certificate };
  return folderWith(t, { ...pems, 'programs/a': '#!/bin/sh\ncat\n' });
}

test('--print-config: the text is read as the same configuration, and has no doubts', (t) => {
  const folder = prepared(t);
  for (const args of WHOLE) {
    const tables = translated(...args.map((word) => word.replaceAll('@', folder)));
    const direct = readConfig(tables, 'the line');
    assert.ok(direct.ok, JSON.stringify(direct));
    const written = parseConfig(Buffer.from(writeToml(tables)), join(folder, 'w.toml'));
    assert.ok(written.ok, JSON.stringify(written));
    assert.deepEqual(written.config, direct.config);
    assert.deepEqual(
      written.doubts.map(({ message }) => message),
      [],
    );
  }
});

const LINES: readonly [
  level: 'info' | 'warn' | 'error' | 'debug',
  message: string,
  fields: { readonly [name: string]: string | number },
  line: RegExp | undefined,
][] = [
  [
    'info',
    '/x?a=b opened',
    { route: '/', client: '::1' },
    /\| ACCESS \| session {4}\| url:'\/x\?a=b' remote:'::1' \| CONNECT$/,
  ],
  ['info', 'GET /x', { status: 404, ms: 1 }, /\| ACCESS \| http {7}\| url:'\/x' ms:'1' \| NOT FOUND$/],
  ['info', 'POST /x', { status: 200, ms: 1 }, /\| POST 200$/],
  [
    'info',
    'GET /x',
    { status: 101, ms: 1, code: 1000, route: '/' },
    /\| ACCESS \| session {4}\| url:'\/x' ms:'1' code:'1000' \| DISCONNECT$/,
  ],
  ['info', 'no such file', { from: 'stderr', pid: 7 }, /\| ERROR {2}\| stderr {5}\| pid:'7' \| no such file$/],
  ['warn', 'oh', { pid: 7, route: '/', from: 'stderr' }, /\| ERROR {2}\| stderr .*\| oh$/],
  ['info', 'ready', {}, /\| INFO {3}\| server {5}\| {2}\| ready$/],
  ['error', 'bad', {}, /\| ERROR {2}\| server .*\| bad$/],
  ['debug', 'detail', {}, undefined],
];

for (const [level, message, fields, expected] of LINES) {
  test(`websocketd's log: ${level} ${message}`, () => {
    const line = logLines('access', () => new Date(0))(level, message, fields);
    if (expected === undefined) assert.equal(line, undefined);
    else {
      assert.match(line ?? '', expected);
      assert.match(line ?? '', /^Thu, 01 Jan 1970 00:00:00 \+0000 \| /);
    }
  });
}

test("websocketd's log: --loglevel leaves out what is less", () => {
  const shown = (level: 'debug' | 'access' | 'info' | 'error' | 'none') => {
    const format = logLines(level);
    const entries = [
      ['debug', 'debug', {}],
      ['info', 'GET /', { status: 200, ms: 1 }],
      ['info', 'ready', {}],
      ['info', 'said', { from: 'stderr' }],
    ] as const;
    return entries.filter(([ours, message, fields]) => format(ours, message, fields) !== undefined).length;
  };
  assert.deepEqual((['debug', 'access', 'info', 'error', 'none'] as const).map(shown), [4, 3, 2, 1, 0]);
});
