/** CORS as it goes over the wire, on both engines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refused, TestSocket } from '../../support/client.ts';
import { startCrossOrigin } from '../../support/cross-origin.ts';
import { type RawReply, rawRequest } from '../../support/raw.ts';

const PAGE = 'http://app.board.test:81';
const EVIL = 'http://evil.test';

interface Row {
  readonly name: string;
  readonly path: string;
  readonly method?: string;
  readonly origin?: string;
  readonly fields?: readonly string[];
  readonly status: number;
  /** Access-Control-Allow-Origin; undefined for none. */
  readonly allow: string | undefined;
  readonly vary?: RegExp;
  readonly check?: (reply: RawReply) => void;
}

const CREDENTIALS = (reply: RawReply): void => assert.equal(reply.header('access-control-allow-credentials'), 'true');
const PREFLIGHT = ['Access-Control-Request-Method: PUT', 'Access-Control-Request-Headers: x-thing'];

const ROWS: readonly Row[] = [
  {
    name: 'simple',
    path: '/api/echo.cgi',
    origin: PAGE,
    status: 200,
    allow: PAGE,
    vary: /^Accept-Encoding, Origin$/,
    check: CREDENTIALS,
  },
  { name: 'no Origin', path: '/api/echo.cgi', status: 200, allow: undefined, vary: /Origin/ },
  { name: 'refused', path: '/api/echo.cgi', origin: EVIL, status: 200, allow: undefined, vary: /Origin/ },
  {
    name: 'exposed',
    path: '/api/echo.cgi',
    origin: PAGE,
    status: 200,
    allow: PAGE,
    check: (reply) => assert.equal(reply.header('access-control-expose-headers'), 'X-Shown'),
  },
  {
    name: 'preflighted',
    method: 'OPTIONS',
    path: '/api/no-such-program',
    origin: PAGE,
    fields: PREFLIGHT,
    status: 204,
    allow: PAGE,
    vary: /Origin.*Access-Control-Request-Method/,
    check(reply) {
      CREDENTIALS(reply);
      assert.equal(reply.header('access-control-allow-methods'), 'GET, PUT');
      assert.equal(reply.header('access-control-allow-headers'), 'X-Thing, Last-Event-ID');
      assert.equal(reply.header('access-control-max-age'), '600');
      assert.equal(reply.header('access-control-allow-private-network'), undefined);
      assert.equal(reply.headers.filter(([name]) => name === 'vary').length, 1);
    },
  },
  {
    name: 'private network',
    method: 'OPTIONS',
    path: '/api/echo.cgi',
    origin: PAGE,
    fields: [...PREFLIGHT, 'Access-Control-Request-Private-Network: true'],
    status: 204,
    allow: PAGE,
    check: (reply) => assert.equal(reply.header('access-control-allow-private-network'), 'true'),
  },
  {
    name: 'preflight refused',
    method: 'OPTIONS',
    path: '/api/echo.cgi',
    origin: EVIL,
    fields: PREFLIGHT,
    status: 403,
    allow: undefined,
    check: (reply) => assert.equal(reply.header('access-control-allow-methods'), undefined),
  },
  {
    name: 'OPTIONS that is no preflight',
    method: 'OPTIONS',
    path: '/api/echo.cgi',
    origin: PAGE,
    status: 200,
    allow: PAGE,
  },
  {
    name: 'redirected',
    path: '/api/echo.cgi?to=/api/echo.cgi',
    origin: PAGE,
    status: 302,
    allow: PAGE,
    vary: /Origin/,
  },
  { name: 'an error of the program', path: '/api/echo.cgi?500', origin: PAGE, status: 500, allow: PAGE },
  { name: 'an error of the gateway', path: '/api/none.cgi', origin: PAGE, status: 404, allow: PAGE, vary: /Origin/ },
  { name: '304 of a program', path: '/api/echo.cgi?304', origin: PAGE, status: 304, allow: PAGE, vary: /Origin/ },
  { name: 'a file', path: '/files/a.txt', origin: PAGE, status: 200, allow: PAGE, vary: /Origin/ },
  {
    name: '206',
    path: '/files/a.txt',
    origin: PAGE,
    fields: ['Range: bytes=1-2'],
    status: 206,
    allow: PAGE,
    vary: /Origin/,
  },
  {
    name: '304',
    path: '/files/a.txt',
    origin: PAGE,
    fields: ['If-None-Match: *'],
    status: 304,
    allow: PAGE,
    vary: /Origin/,
  },
  { name: '301 of a folder', path: '/files/folder', origin: PAGE, status: 301, allow: PAGE, vary: /Origin/ },
  { name: '405', method: 'DELETE', path: '/files/a.txt', origin: PAGE, status: 405, allow: PAGE, vary: /Origin/ },
  {
    name: 'everybody',
    path: '/everybody/a.txt',
    origin: EVIL,
    status: 200,
    allow: '*',
    check: (reply) => assert.doesNotMatch(reply.header('vary') ?? '', /Origin/),
  },
  { name: 'null, named', path: '/sandbox/echo.cgi', origin: 'null', status: 200, allow: 'null', vary: /Origin/ },
  { name: 'null, not named', path: '/api/echo.cgi', origin: 'null', status: 200, allow: undefined },
  {
    name: 'guarded: a form of another site',
    method: 'POST',
    path: '/guarded/echo.cgi',
    origin: EVIL,
    status: 403,
    allow: '*',
  },
  { name: 'guarded: a link from another site', path: '/guarded/echo.cgi', origin: EVIL, status: 200, allow: '*' },
  {
    name: 'guarded: a form of ours',
    method: 'POST',
    path: '/guarded/echo.cgi',
    origin: 'http://board.test',
    status: 200,
    allow: '*',
  },
];

test('CORS over the wire', async (t) => {
  const gateway = await startCrossOrigin(t, PAGE);
  for (const [engine, port] of [
    ['uws', gateway.ports[0] ?? 0],
    ['node', gateway.ports[1] ?? 0],
  ] as const) {
    for (const row of ROWS) {
      await t.test(`${engine}: ${row.name}`, async () => {
        const { method = 'GET', origin, fields = [] } = row;
        const head = [`${method} ${row.path} HTTP/1.1`, 'Host: board.test', ...fields];
        if (origin !== undefined) head.push(`Origin: ${origin}`);
        if (method === 'POST') head.push('Content-Length: 0');
        const reply = await rawRequest(port, `${head.join('\r\n')}\r\n\r\n`, method);
        assert.equal(reply.status, row.status);
        const allowed = reply.headers
          .filter(([name]) => name === 'access-control-allow-origin')
          .map(([, value]) => value);
        // A route without cors leaves to its program what it says, both times.
        const own = row.path.startsWith('/guarded/') && row.status === 200;
        if (own) assert.deepEqual(allowed, ['*', EVIL]);
        else if (row.path.startsWith('/guarded/')) assert.deepEqual(allowed, []);
        else assert.deepEqual(allowed, row.allow === undefined ? [] : [row.allow]);
        if (row.vary !== undefined) assert.match(reply.header('vary') ?? '', row.vary);
        row.check?.(reply);
      });
    }
    await t.test(`${engine}: WebSockets obey the same origins`, async () => {
      const url = (path: string): string => `ws://127.0.0.1:${port}${path}`;
      assert.equal((await refused(url('/live'), { origin: PAGE })).status, 403);
      assert.equal((await refused(url('/live-for-page'), { origin: EVIL })).status, 403);
      assert.equal((await refused(url('/live-for-page'), { origin: 'null' })).status, 403);
      for (const [path, options] of [
        ['/live-for-page', { origin: PAGE }],
        ['/live', { origin: `http://127.0.0.1:${port}` }],
        ['/live', {}],
      ] as const) {
        const socket = await TestSocket.open(url(path), options);
        socket.ws.send('hello');
        assert.deepEqual(await socket.first(1), ['hello']);
        socket.ws.close();
        await socket.closed;
      }
    });
  }
  const started = gateway.log.filter((line) => line['route'] === '/api/' && line.message.startsWith('OPTIONS'));
  assert(
    started.length >= 4 && started.filter((line) => 'exit' in line).length === 2,
    'only what is no preflight started a program',
  );
});
