/** RFC 3875 sections 4 to 6 and 7.2, and what Apache adds, by section, through the real gateway on both engines. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { askCgi, type CgiRequest, environmentOf, startCgiGateway } from '../../support/cgi-gateway.ts';
import type { Running } from '../../support/gateway.ts';
import type { RawReply } from '../../support/raw.ts';
import { ENGINES } from '../../support/trial.ts';

const VERSION: string = JSON.parse(readFileSync(join(import.meta.dirname, '../../../../package.json'), 'utf8')).version;

type Expected = { readonly [name: string]: string | RegExp | undefined };

/** What the program is told. A name without a value must not be there. `ROOT` and `PORT` stand for the test's. */
const TOLD: readonly (readonly [section: string, request: CgiRequest, expected: Expected])[] = [
  ['4.1.1 AUTH_TYPE: nobody was authenticated', {}, { AUTH_TYPE: undefined }],
  ['4.1.2 CONTENT_LENGTH: none without a body', {}, { CONTENT_LENGTH: undefined }],
  ['4.1.2 CONTENT_LENGTH: of a body', { method: 'POST', body: 'äb' }, { CONTENT_LENGTH: '3' }],
  ['4.1.2 CONTENT_LENGTH: of an empty body', { method: 'POST', body: '' }, { CONTENT_LENGTH: '0' }],
  [
    '4.1.2 CONTENT_LENGTH: of a chunked body, as the program gets it',
    { method: 'POST', headers: ['Transfer-Encoding: chunked'], body: '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n' },
    { CONTENT_LENGTH: '5', HTTP_TRANSFER_ENCODING: undefined },
  ],
  [
    '4.1.3 CONTENT_TYPE: as sent',
    { method: 'POST', body: 'a', headers: ['Content-Type: Text/Plain; charset=x'] },
    { CONTENT_TYPE: 'Text/Plain; charset=x', HTTP_CONTENT_TYPE: undefined, HTTP_CONTENT_LENGTH: undefined },
  ],
  ['4.1.3 CONTENT_TYPE: none', { method: 'POST', body: 'a' }, { CONTENT_TYPE: undefined }],
  ['4.1.4 GATEWAY_INTERFACE', {}, { GATEWAY_INTERFACE: 'CGI/1.1' }],
  ['4.1.5 PATH_INFO: none', {}, { PATH_INFO: '' }],
  ['4.1.5 PATH_INFO: decoded', { path: 'modes.cgi/a%20b/%c3%bc;x?y' }, { PATH_INFO: '/a b/ü;x' }],
  ['4.1.5 PATH_INFO: only a slash', { path: 'modes.cgi/' }, { PATH_INFO: '/' }],
  ['4.1.6 PATH_TRANSLATED: none without PATH_INFO', {}, { PATH_TRANSLATED: undefined }],
  ['4.1.6 PATH_TRANSLATED', { path: 'modes.cgi/a/b' }, { PATH_TRANSLATED: 'ROOT/a/b' }],
  ['4.1.7 QUERY_STRING: as sent', { path: 'modes.cgi?a=%20b&c+d=%zz' }, { QUERY_STRING: 'a=%20b&c+d=%zz' }],
  ['4.1.7 QUERY_STRING: always set', {}, { QUERY_STRING: '' }],
  ['4.1.8 REMOTE_ADDR', {}, { REMOTE_ADDR: '127.0.0.1' }],
  ['4.1.9 REMOTE_HOST: the address, for want of a name', {}, { REMOTE_HOST: '127.0.0.1' }],
  ['4.1.10 REMOTE_IDENT: nobody asks identd', {}, { REMOTE_IDENT: undefined }],
  ['4.1.11 REMOTE_USER: none', { headers: ['Authorization: Basic YTpi'] }, { REMOTE_USER: undefined }],
  ['4.1.12 REQUEST_METHOD', { method: 'DELETE' }, { REQUEST_METHOD: 'DELETE' }],
  ['4.1.13 SCRIPT_NAME', { path: 'modes.cgi/x' }, { SCRIPT_NAME: '/cgi-bin/modes.cgi' }],
  ['4.1.13 SCRIPT_NAME: decoded', { path: 'modes%2ecgi' }, { SCRIPT_NAME: '/cgi-bin/modes.cgi' }],
  ['4.1.14 SERVER_NAME: as the client calls it', {}, { SERVER_NAME: 'board.test' }],
  ['4.1.15 SERVER_PORT: where the request came in', {}, { SERVER_PORT: 'PORT' }],
  ['Apache: SERVER_ADDR, our side of the connection', {}, { SERVER_ADDR: '127.0.0.1' }],
  ['4.1.16 SERVER_PROTOCOL', {}, { SERVER_PROTOCOL: 'HTTP/1.1' }],
  ['4.1.17 SERVER_SOFTWARE', {}, { SERVER_SOFTWARE: `runnel/${VERSION}` }],
  [
    '4.1.18 HTTP_*: upper case, "_" for "-"',
    { headers: ['X-One-two: 3', 'aCCept: a/b'] },
    { HTTP_X_ONE_TWO: '3', HTTP_ACCEPT: 'a/b', HTTP_HOST: 'board.test:8080' },
  ],
  ['4.1.18 HTTP_*: repeated fields in one', { headers: ['X-A: 1', 'X-A: 2'] }, { HTTP_X_A: '1, 2' }],
  [
    '4.1.18 HTTP_COOKIE: joined as cookies are',
    { headers: ['Cookie: a=1', 'Cookie: b=2'] },
    { HTTP_COOKIE: 'a=1; b=2' },
  ],
  [
    '4.1.18 HTTP_*: no credentials',
    { headers: ['Authorization: Basic YTpi', 'Proxy-Authorization: x'] },
    { HTTP_AUTHORIZATION: undefined, HTTP_PROXY_AUTHORIZATION: undefined },
  ],
  [
    '4.1.18 HTTP_*: none that passes for another',
    { headers: ['Proxy: http://evil', 'X_User: root', 'X.User: root', 'X-User: me'] },
    { HTTP_PROXY: undefined, HTTP_X_USER: 'me' },
  ],
  [
    '4.4 command line: never from the query',
    { path: 'modes.cgi?-s+x+y' },
    { TEST_ARGUMENTS: '0', QUERY_STRING: '-s+x+y' },
  ],
  ['7.2 the current directory is the script\u2019s', {}, { TEST_DIRECTORY: 'ROOT' }],
  ['Apache: DOCUMENT_ROOT', {}, { DOCUMENT_ROOT: 'ROOT' }],
  ['Apache: SCRIPT_FILENAME', { path: 'modes.cgi/x' }, { SCRIPT_FILENAME: 'ROOT/modes.cgi' }],
  ['Apache: REQUEST_URI, as sent', { path: 'modes.cgi/a%20b?c' }, { REQUEST_URI: '/cgi-bin/modes.cgi/a%20b?c' }],
  ['Apache: REQUEST_SCHEME, no HTTPS', {}, { REQUEST_SCHEME: 'http', HTTPS: undefined }],
  ['Apache: REDIRECT_STATUS', {}, { REDIRECT_STATUS: '200' }],
  ['Apache: UNIQUE_ID', {}, { UNIQUE_ID: /^[0-9a-f]{6}-[0-9a-z]+$/ }],
  ['nothing of the gateway\u2019s environment', {}, { RUNNEL_TEST_SECRET: undefined, HOME: undefined, PATH: /./ }],
];

interface Reply {
  readonly status?: number;
  readonly reason?: string;
  /** All values of a field, joined by "|"; undefined: none. */
  readonly fields?: Expected;
  readonly body?: string | RegExp;
}

/** What the client gets. */
const SAID: readonly (readonly [section: string, request: CgiRequest, expected: Reply])[] = [
  ['4.2 body: read to its end', { method: 'POST', body: 'a\nb', mode: 'cat' }, { status: 200, body: '3|a\nb' }],
  [
    '4.2 body: chunked',
    { method: 'PUT', mode: 'cat', headers: ['Transfer-Encoding: chunked'], body: '1\r\na\r\n2\r\nbc\r\n0\r\n\r\n' },
    { body: '3|abc' },
  ],
  ['4.2 body: none', { mode: 'cat' }, { body: '|' }],
  ['4.3.1 GET', { output: '\\n$' }, { status: 200, body: '$' }],
  ['4.3.2 POST', { method: 'POST', body: 'x', output: '\\nok' }, { status: 200, body: 'ok' }],
  [
    '4.3.3 HEAD: the header of a GET, no document',
    { method: 'HEAD', output: 'Content-Type: a/b\\nContent-Length: 3\\n\\nabc' },
    { status: 200, fields: { 'content-type': 'a/b', 'content-length': '3' }, body: '' },
  ],
  ['4.3.4 other methods are the program\u2019s', { method: 'PROPFIND', output: 'Status: 207\\n\\nx' }, { status: 207 }],
  [
    '5 NPH: its own status line',
    { path: 'nph-modes.cgi', output: 'HTTP/1.0 418 Tea\\r\\nA: b\\r\\n\\r\\nx' },
    { status: 418, reason: 'Tea', fields: { a: 'b' }, body: 'x' },
  ],
  [
    '5 NPH: its framing is ours to write',
    {
      path: 'nph-modes.cgi',
      output:
        'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\nConnection: keep-alive\\r\\n\\r\\n3\\r\\nabc\\r\\n2;x=y\\r\\nde\\r\\n0\\r\\nT: r\\r\\n\\r\\n',
    },
    { status: 200, fields: { connection: /^(?!keep-alive)/ }, body: 'abcde' },
  ],
  [
    '5 NPH: no local redirect',
    { path: 'nph-modes.cgi', output: 'HTTP/1.1 302 Found\\nLocation: /x\\n\\n' },
    { status: 302, fields: { location: '/x' } },
  ],
  [
    '5 NPH: chunks that are none',
    { path: 'nph-modes.cgi', output: 'HTTP/1.1 200 OK\\nTransfer-Encoding: gzip\\n\\n' },
    { status: 502 },
  ],
  [
    '6.1 a document of nothing',
    { output: 'Content-Type: a/b\\n\\n' },
    { status: 200, body: '', fields: { 'content-type': 'a/b' } },
  ],
  [
    '6.2.1 document',
    { output: 'Content-Type: text/html\\n\\n<p>' },
    { status: 200, reason: 'OK', fields: { 'content-type': 'text/html' }, body: '<p>' },
  ],
  [
    '6.2.2 local redirect',
    { output: 'Location: /cgi-bin/echo.cgi/p?q=%201\\n\\n' },
    { status: 200, body: 'GET|/p|q=%201||' },
  ],
  [
    '6.2.2 local redirect: a GET without the body',
    { method: 'POST', body: 'abc', headers: ['Content-Type: x/y'], output: 'Location: /cgi-bin/echo.cgi\\n\\n' },
    { status: 200, body: 'GET||||' },
  ],
  ['6.2.2 local redirect: to nothing', { output: 'Location: /nowhere\\n\\n' }, { status: 404 }],
  ['6.2.2 local redirect: out of every root', { output: 'Location: /../x\\n\\n' }, { status: 502 }],
  ['6.2.2 local redirect: for ever', { path: 'loop.cgi' }, { status: 500, body: /^500 / }],
  [
    '6.2.2 another host\u2019s is not local',
    { output: 'Location: //evil/x\\n\\n' },
    { status: 302, fields: { location: '//evil/x' } },
  ],
  [
    '6.2.3 client redirect',
    { output: 'Location: http://other/x?y#z\\n\\n' },
    { status: 302, reason: 'Found', fields: { location: 'http://other/x?y#z' } },
  ],
  [
    '6.2.4 client redirect with a document',
    { output: 'Status: 303 Over there\\nLocation: /y\\nContent-Type: a/b\\n\\nsee' },
    { status: 303, reason: 'Over there', fields: { location: '/y', 'content-type': 'a/b' }, body: 'see' },
  ],
  [
    '6.2.2 a local Location with a type goes through the client',
    { output: 'Content-Type: text/html\\nLocation: /y\\n\\nsee' },
    { status: 302, reason: 'Found', fields: { location: '/y', 'content-type': 'text/html' }, body: 'see' },
  ],
  [
    '6.3.3 a number with words around it',
    { output: 'Status: 404: Not Found\\n\\nx' },
    { status: 404, reason: 'Not Found', body: 'x' },
  ],
  ['6.3.3 a number without a meaning', { output: 'Status: 699\\n\\nx' }, { status: 699, body: 'x' }],
  ['6.3.3 the last number', { output: 'Status: 999 No\\n\\nx' }, { status: 999, reason: 'No', body: 'x' }],
  ['6.3.3 an interim status', { output: 'Status: 103\\n\\nx' }, { status: 502 }],
  [
    'a relayed head of HTTP/2, after an interim one',
    { output: 'HTTP/1.1 100 Continue\\r\\n\\r\\nHTTP/2 404 \\r\\nX: y\\r\\n\\r\\nx' },
    { status: 404, fields: { x: 'y' }, body: 'x' },
  ],
  [
    'a relayed field for chunks without chunks',
    { output: 'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n<p>hi' },
    { status: 200, body: '<p>hi' },
  ],
  [
    '6.2.4 a cookie with a local Location goes through the client',
    { output: 'Location: /y\\nSet-Cookie: a=b\\n\\n' },
    { status: 302, fields: { location: '/y', 'set-cookie': 'a=b' } },
  ],
  [
    '6.3 names in any case, space around',
    { output: 'cOnTeNt-TYPE :a/b\\nSTATUS:  404  \\nx-Y:\\tz \\n\\n' },
    { status: 404, reason: 'Not Found', fields: { 'content-type': 'a/b', 'x-y': 'z' } },
  ],
  [
    '6.3 lines that end in CRLF',
    { output: 'Status: 201\\r\\nA: b\\r\\n\\r\\nx' },
    { status: 201, fields: { a: 'b' }, body: 'x' },
  ],
  ['6.3 lines that end in LF', { output: 'Status: 201\\nA: b\\n\\nx' }, { status: 201, fields: { a: 'b' }, body: 'x' }],
  ['6.3 both', { output: 'Status: 201\\r\\nA: b\\n\\r\\nx' }, { status: 201, fields: { a: 'b' }, body: 'x' }],
  ['6.3 folded lines', { output: 'A: b\\n  c\\n\\n' }, { fields: { a: 'b c' } }],
  ['6.3 repeated fields stay apart', { output: 'X-A: 1\\nX-A: 2\\n\\n' }, { fields: { 'x-a': '1|2' } }],
  [
    '6.3 many cookies',
    { output: `${Array.from({ length: 20 }, (_, n) => `Set-Cookie: c${n}=${n}; Path=/\\n`).join('')}\\n` },
    { fields: { 'set-cookie': Array.from({ length: 20 }, (_, n) => `c${n}=${n}; Path=/`).join('|') } },
  ],
  [
    '6.3.1 Content-Type: none is invented',
    { output: '\\nx' },
    { status: 200, fields: { 'content-type': undefined }, body: 'x' },
  ],
  [
    '6.3.3 Status with its reason',
    { output: 'Status: 404 Gone fishing\\n\\n' },
    { status: 404, reason: 'Gone fishing' },
  ],
  ['6.3.3 Status alone', { output: 'Status: 503\\n\\n' }, { status: 503, reason: 'Service Unavailable' }],
  ['6.3.3 Status nobody knows', { output: 'Status: 599\\n\\n' }, { status: 599 }],
  [
    '6.3.3 Status 304 has no document',
    { output: 'Status: 304\\nETag: "a"\\n\\nx' },
    { status: 304, fields: { etag: '"a"' }, body: '' },
  ],
  ['6.3.3 Status that is none', { output: 'Status: OK\\n\\nx' }, { status: 502 }],
  ['6.3.3 Status that is not final', { output: 'Status: 101\\n\\nx' }, { status: 502 }],
  [
    '6.3.4 what frames the reply is corrected',
    {
      output:
        'Content-Length: 3\\nConnection: X-Hop\\nX-Hop: a\\nKeep-Alive: 5\\nTrailer: b\\nUpgrade: c\\nServer: d\\nDate: now\\n\\nabcdef',
    },
    {
      fields: {
        'content-length': '3',
        'x-hop': undefined,
        'keep-alive': undefined,
        trailer: undefined,
        upgrade: undefined,
        date: /^(?!now)/,
      },
      body: 'abc',
    },
  ],
  [
    '6.3.4 two lengths are none',
    { output: 'Content-Length: 1\\nContent-Length: 2\\n\\nabc' },
    { fields: { 'content-length': undefined }, body: 'abc' },
  ],
  [
    '6.3.4 a length that is none',
    { output: 'Content-Length: -1\\n\\nabc' },
    { fields: { 'content-length': undefined }, body: 'abc' },
  ],
  ['6.3.5 extension fields', { output: 'X-CGI-Note: a\\n\\n' }, { fields: { 'x-cgi-note': 'a' } }],
  [
    '6.3 CR in a value',
    { output: 'A: b\\rSet-Cookie: c=d\\n\\nx' },
    { status: 502, fields: { 'set-cookie': undefined } },
  ],
  ['6.3 NUL in a value', { output: 'A: b\\0000c\\n\\nx' }, { status: 502 }],
  ['6.3 NUL in a name', { output: 'A\\0000: b\\n\\nx' }, { status: 502 }],
  ['6.3 a name that is none', { output: 'A B: c\\n\\nx' }, { status: 502 }],
  ['6.4 bytes as they are', { output: 'Content-Type: a/b\\n\\n\\0000\\0377\\r\\n\\0200' }, { body: '\0\xff\r\n\x80' }],
  ['a folder under the root', { path: 'sub/' }, { status: 403 }],
  ['a folder without its slash', { path: 'sub' }, { status: 403 }],
  ['the root itself', { path: '' }, { status: 403 }],
  ['a file without the execute bit', { path: 'source.sh' }, { status: 403 }],
  ['a link out of the root', { path: 'out.cgi' }, { status: 404 }],
  ['a link out of the root, as a folder', { path: 'etc/passwd' }, { status: 404 }],
  ['a link within the root', { path: 'in.cgi', output: '\\nin' }, { status: 200, body: 'in' }],
  ['what is not there', { path: 'none.cgi' }, { status: 404 }],
  ['a hidden file', { path: '.hidden.cgi' }, { status: 404 }],
  ['no interpreter for its first line', { path: 'lost.cgi' }, { status: 502 }],
];

const SECRET = 'this is the source';

for (const engine of ENGINES) {
  test(`RFC 3875 (${engine})`, async (t) => {
    const running = await startCgiGateway(t, engine, {
      files: {
        'cgi-bin/echo.cgi':
          '#!/bin/sh\nprintf "\\n%s" "$REQUEST_METHOD|$PATH_INFO|$QUERY_STRING|$CONTENT_LENGTH|$CONTENT_TYPE"; cat\n',
        'cgi-bin/loop.cgi': '#!/bin/sh\nprintf "Location: /cgi-bin/loop.cgi\\n\\n"\n',
        'cgi-bin/.hidden.cgi': '#!/bin/sh\n',
        'cgi-bin/lost.cgi': `#!/nowhere/perl\n# ${SECRET}\n`,
        'cgi-bin/sub/file.txt': SECRET,
        'outside.cgi': `#!/bin/sh\n# ${SECRET}\n`,
      },
    });
    const root = prepare(running);
    for (const [section, request, expected] of TOLD) {
      await t.test(section, async () => {
        const environment = await environmentOf(running, request);
        for (const [name, value] of Object.entries(expected)) {
          const wanted =
            typeof value === 'string' ? value.replace('ROOT', root).replace('PORT', `${running.port}`) : value;
          same(environment[name], wanted, name);
        }
      });
    }
    for (const [section, request, expected] of SAID) {
      await t.test(section, async () => check(await askCgi(running, request), expected));
    }
    await t.test('4.1.18 credentials, where they are wanted', async () => {
      const open = await startCgiGateway(t, engine, { keys: 'pass_authorization = true' });
      const environment = await environmentOf(open, { headers: ['Authorization: Basic YTpi'] });
      assert.equal(environment['HTTP_AUTHORIZATION'], 'Basic YTpi');
    });
    await t.test('the log says why', async () => {
      await running.logged((line) => /more than 10 local redirects in a row/.test(line.message));
      const unexpected = running.log.filter((line) => line.message === 'internal error');
      assert.deepEqual(unexpected, []);
    });
  });
}

/** What `files` cannot make. Gives the root's real path. */
function prepare(running: Running): string {
  const root = realpathSync(join(running.folder, 'cgi-bin'));
  writeFileSync(join(root, 'source.sh'), `#!/bin/sh\n# ${SECRET}\n`, { mode: 0o644 });
  writeFileSync(join(root, 'nph-modes.cgi'), readFileSync(join(root, 'modes.cgi')));
  chmodSync(join(root, 'nph-modes.cgi'), 0o755);
  symlinkSync('../outside.cgi', join(root, 'out.cgi'));
  symlinkSync('modes.cgi', join(root, 'in.cgi'));
  symlinkSync('/etc', join(root, 'etc'));
  mkdirSync(join(root, 'empty'));
  return root;
}

function check(reply: RawReply, expected: Reply): void {
  const body = reply.body.toString('latin1');
  assert.ok(!body.includes(SECRET));
  if (expected.status !== undefined) assert.equal(reply.status, expected.status, body);
  if (expected.reason !== undefined) assert.equal(reply.reason, expected.reason);
  for (const [name, value] of Object.entries(expected.fields ?? {})) {
    const found = reply.headers.filter(([key]) => key === name).map(([, text]) => text);
    same(found.length === 0 ? undefined : found.join('|'), value, name);
  }
  if (expected.body !== undefined) same(body, expected.body, 'body');
  assert.ok(reply.complete);
}

function same(actual: string | undefined, expected: string | RegExp | undefined, name: string): void {
  if (expected instanceof RegExp) assert.match(actual ?? '', expected, name);
  else assert.equal(actual, expected, name);
}
