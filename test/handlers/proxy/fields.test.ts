/** What is made of heads on their way through a proxy: pure tables. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeaderList } from '../../../src/engine/engine.ts';
import {
  hasPassed,
  type RequestFieldOptions,
  requestFields,
  requestTarget,
} from '../../../src/handlers/proxy/request-fields.ts';
import { type Places, referenceFor, responseFields } from '../../../src/handlers/proxy/response-fields.ts';
import { parseHost } from '../../../src/net/host.ts';
import type { ClientRequest } from '../../../src/policy/addresses.ts';
import { pathOf } from '../../support/call.ts';

const OPTIONS: RequestFieldOptions = {
  userField: 'x-auth-user',
  via: 'runnel-1',
  forwarded: 'none',
  prefix: '',
  own: new Map(),
  keepsAuthorization: false,
};

function request(headers: HeaderList, changes: Partial<ClientRequest> = {}): ClientRequest {
  return {
    method: 'GET',
    path: '/',
    query: undefined,
    version: '1.1',
    headers: [['host', 'board.test'], ...headers],
    remoteAddress: '192.0.2.7',
    remotePort: 1,
    listener: { name: 'test', secure: false, port: 80 },
    ...changes,
  };
}

function sent(
  headers: HeaderList,
  options: Partial<RequestFieldOptions> = {},
  changes: Partial<ClientRequest> = {},
): string[] {
  const fields = requestFields(request(headers, changes), 'r-1', undefined, { ...OPTIONS, ...options });
  return fields
    .filter(([name]) => name !== 'Via' && name !== 'X-Request-Id')
    .map(([name, value]) => `${name}: ${value}`);
}

test('fields that are passed on, and how they are written', () => {
  assert.deepEqual(
    sent([
      ['accept', '*/*'],
      ['x-api-key', 'a'],
      ['x-b_c', 'd'],
      ['cookie', 'a=1'],
      ['x', 'caf\xe9'],
      ['cookie', 'b=2'],
    ]),
    ['Accept: */*', 'X-Api-Key: a', 'X-B_c: d', 'Cookie: a=1; b=2', 'X: caf\xe9'],
  );
});

const REMOVED: HeaderList = [
  ['connection', 'keep-alive, X-Private, close'],
  ['x-private', 'a'],
  ['keep-alive', 'timeout=5'],
  ['proxy-connection', 'keep-alive'],
  ['te', 'trailers'],
  ['trailer', 'x'],
  ['transfer-encoding', 'chunked'],
  ['upgrade', 'h2c'],
  ['http2-settings', 'AAMAAABkAAQAoAAAAAIAAAAA'],
  ['content-length', '3'],
  ['expect', '100-continue'],
  ['proxy', 'http://evil/'],
  ['proxy-authorization', 'Basic eA=='],
  ['forwarded', 'for=evil'],
  ['x-forwarded-for', '127.0.0.1'],
  ['x-forwarded-proto', 'https'],
  ['x-forwarded-user', 'root'],
  ['x-forwarded', 'a'],
  ['x-real-ip', '127.0.0.1'],
  ['remote-user', 'root'],
  ['x_forwarded_for', '127.0.0.1'],
  ['x_forwarded-proto', 'https'],
  ['x.forwarded.host', 'evil'],
  ['remote_user', 'root'],
  ['content_length', '7'],
  ['transfer_encoding', 'chunked'],
  ['x-proxy-secret', 'secret'],
  ['x-ingress-path', '/evil'],
  ['x_real_ip', '127.0.0.1'],
  ['x-auth-user', 'root'],
  ['x_auth.user', 'root'],
];

for (const field of REMOVED)
  test(`not passed on: ${field[0]}`, () => {
    const rest = field[0] === 'x-private' ? [REMOVED[0] ?? field] : [];
    assert.deepEqual(sent([field, ...rest, ['accept', '*/*']]), ['Accept: */*']);
  });

test('what says who the client is', () => {
  assert.deepEqual(sent([['x-forwarded-for', '1.1.1.1']], { forwarded: 'x-forwarded-for', prefix: '/app' }), [
    'X-Forwarded-For: 192.0.2.7',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Host: board.test',
    'X-Forwarded-Prefix: /app',
  ]);
  const secure = { listener: { name: 'test', secure: true, port: 443 }, remoteAddress: '2001:db8::1' };
  assert.deepEqual(sent([], { forwarded: 'forwarded' }, secure), [
    'Forwarded: for="[2001:db8::1]";host="board.test";proto=https',
  ]);
  assert.deepEqual(sent([], { forwarded: 'forwarded' }, { remoteAddress: 'unix' }), [
    'Forwarded: for=unknown;host="board.test";proto=http',
  ]);
  assert.deepEqual(sent([], { forwarded: 'x-forwarded-for' }, { remoteAddress: 'unix', headers: [] }), [
    'X-Forwarded-Proto: http',
  ]);
  const user = { name: 'J\u00fcrgen\n', type: 'Basic' } as const;
  const fields = requestFields(request([['remote-user', 'root']]), 'r-1', user, OPTIONS);
  assert.deepEqual(fields[1], ['Remote-User', 'J\xc3\xbcrgen ']);
});

test('where our paths begin is told as whoever is in front of us has told it', () => {
  const options = { forwarded: 'x-forwarded-for', prefix: '/app' } as const;
  const ingress = { proxied: true, prefix: '/api/hassio_ingress/x' };
  const told = (changes: object) =>
    sent([['x-ingress-path', '/api/hassio_ingress/x']], options, changes).filter((field) => field.includes('-P'));
  assert.deepEqual(told(ingress), [
    'X-Forwarded-Proto: http',
    'X-Forwarded-Prefix: /api/hassio_ingress/x/app',
    'X-Ingress-Path: /api/hassio_ingress/x/app',
  ]);
  assert.deepEqual(told({}), ['X-Forwarded-Proto: http', 'X-Forwarded-Prefix: /app']);
});

test('fields of the configuration replace and remove, in every spelling', () => {
  const own = new Map([
    ['x-api-key', 'secret'],
    ['origin', ''],
    ['x-forwarded-proto', 'https'],
  ]);
  assert.deepEqual(
    sent(
      [
        ['x-api-key', 'mine'],
        ['x_api_key', 'mine'],
        ['origin', 'http://a'],
        ['x-other', 'b'],
      ],
      { own, forwarded: 'x-forwarded-for' },
    ),
    [
      'X-Other: b',
      'X-Forwarded-For: 192.0.2.7',
      'X-Forwarded-Host: board.test',
      'X-Api-Key: secret',
      'X-Forwarded-Proto: https',
    ],
  );
});

test('a password for the gateway is for the gateway', () => {
  const headers: HeaderList = [['authorization', 'Basic eA==']];
  assert.deepEqual(sent(headers), ['Authorization: Basic eA==']);
  assert.deepEqual(sent(headers, { keepsAuthorization: true }), []);
});

test('Via tells of a loop, and of nothing else', () => {
  const fields = requestFields(request([['via', '1.0 fred']]), 'r-1', undefined, OPTIONS);
  assert.deepEqual(fields.at(-1), ['Via', '1.0 fred, 1.1 runnel-1']);
  assert.equal(hasPassed(request([['via', '1.0 fred, 1.1 runnel-1, 1.1 other']]), 'runnel-1'), true);
  assert.equal(hasPassed(request([['via', '1.0 fred']]), 'runnel-1'), false);
});

test("a request's id is ours to say, in every spelling, unless the configuration says it", () => {
  const headers: HeaderList = [
    ['x-request-id', 'theirs'],
    ['x_request_id', 'theirs'],
  ];
  const told = (own: ReadonlyMap<string, string>) =>
    requestFields(request(headers), 'r-1', undefined, { ...OPTIONS, own }).filter(([name]) => /request/i.test(name));
  assert.deepEqual(told(new Map()), [['X-Request-Id', 'r-1']]);
  assert.deepEqual(told(new Map([['x-request-id', 'own']])), [['X-Request-Id', 'own']]);
  assert.deepEqual(told(new Map([['x-request-id', '']])), []);
});

test('a trace is passed on as it is, and one that is malformed is not', () => {
  const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const state = ['tracestate', 'congo=t61rcWkgMzE'] as const;
  assert.deepEqual(sent([['traceparent', parent], state]), [`Traceparent: ${parent}`, `Tracestate: ${state[1]}`]);
  assert.deepEqual(sent([['traceparent', parent.toUpperCase()], state]), []);
  assert.deepEqual(sent([['traceparent', parent], ['traceparent', parent], state]), []);
  assert.deepEqual(sent([state]), []);
});

test('targets', () => {
  const rows: readonly (readonly [path: string, query: string | undefined, prefix: string, target: string])[] = [
    ['/app/x', undefined, '', '/app/x'],
    ['/app/x', 'a=b', '/app', '/x?a=b'],
    ['/app/', '', '/app', '/?'],
    ['/app', 'a', '/app', '/?a'],
    ['/app/%2e%2e%2fx', undefined, '/app', '/..%2Fx'],
    ['/app/./a//b/../c', undefined, '/app', '/a/c'],
    ['/app/caf\u00e9', 'q=\xe9#x', '/app', '/caf%C3%A9?q=%E9%23x'],
  ];
  for (const [path, query, prefix, target] of rows) assert.equal(requestTarget(pathOf(path), query, prefix), target);
});

const PLACES: Places = {
  prefix: '/app',
  outer: '',
  upstream: { scheme: 'http', host: parseHost('127.0.0.1:3000') ?? assert.fail() },
  client: { scheme: 'https', host: parseHost('board.test') },
};

test('references come back as the client finds them', () => {
  const rows: readonly (readonly [reference: string, expected: string, changes?: Partial<Places>])[] = [
    ['/x', '/app/x'],
    ['/', '/app/'],
    ['/app', '/app'],
    ['/app/x', '/app/x'],
    ['/app?x', '/app?x'],
    ['/apple', '/app/apple'],
    ['x', 'x'],
    ['../x', '../x'],
    ['?a', '?a'],
    ['#a', '#a'],
    ['', ''],
    ['http://127.0.0.1:3000/x?y', '/app/x?y'],
    ['HTTP://127.0.0.1:3000', '/app/'],
    ['http://127.0.0.1:3000?y', '/app/?y'],
    ['//127.0.0.1:3000/x', '/app/x'],
    ['http://127.0.0.1:3000//evil.test/x', '/app/evil.test/x'],
    ['http://127.0.0.1:3000/\\evil.test', '/evil.test', { prefix: '' }],
    ['http://127.0.0.1:3001/x', 'http://127.0.0.1:3001/x'],
    ['https://127.0.0.1:3000/x', 'https://127.0.0.1:3000/x'],
    // The client's own host: by TLS, or by an application that does not know of it.
    ['https://board.test/x', '/app/x'],
    ['https://BOARD.test:443/x', '/app/x'],
    ['http://board.test/x', '/app/x'],
    ['http://board.test:8080/x', 'http://board.test:8080/x'],
    ['//board.test/x', '/app/x'],
    // It wants its client to come over TLS.
    ['https://board.test/x', 'https://board.test/x', { client: { scheme: 'http', host: parseHost('board.test') } }],
    ['http://board.test/x', '/x', { prefix: '', client: { scheme: 'http', host: parseHost('board.test') } }],
    ['//evil.test/x', '//evil.test/x'],
    ['/\\evil.test', '/\\evil.test'],
    ['https://elsewhere.test/x', 'https://elsewhere.test/x'],
    ['mailto:a@b', 'mailto:a@b'],
    ['/x', '/x', { prefix: '' }],
    ['/x', '/board/app/x', { outer: '/board' }],
    ['/app/x', '/board/app/x', { outer: '/board' }],
    ['/board/app/x', '/board/app/x', { outer: '/board' }],
    ['/board/x', '/board/x', { outer: '/board', prefix: '' }],
    ['/x', '/board/x', { outer: '/board', prefix: '' }],
    ['x', 'x', { outer: '/board' }],
  ];
  for (const [reference, expected, changes] of rows)
    assert.equal(referenceFor(reference, { ...PLACES, ...changes }), expected, reference);
});

test('fields of a response', () => {
  const rows: readonly (readonly [name: string, value: string, expected: string | undefined, status?: number])[] = [
    ['content-length', '3', undefined],
    ['transfer-encoding', 'chunked', undefined],
    ['keep-alive', 'timeout=5', undefined],
    ['upgrade', 'websocket', undefined],
    ['upgrade', 'websocket', 'websocket', 426],
    ['x-private', 'a', undefined],
    ['content-type', 'text/html', 'text/html'],
    ['content-encoding', 'gzip', 'gzip'],
    ['location', '/x', '/app/x'],
    ['content-location', 'http://127.0.0.1:3000/x', '/app/x'],
    ['refresh', '5', '5'],
    ['refresh', '5; url=/x', '5; url=/app/x'],
    ['refresh', '0;URL="http://127.0.0.1:3000/x"', '0;URL=/app/x'],
    ['refresh', "0,'/x'", '0,/app/x'],
    ['refresh', '1; url=https://elsewhere.test/', '1; url=https://elsewhere.test/'],
    ['set-cookie', 'a=b', 'a=b'],
    ['set-cookie', 'a=b; Path=/; HttpOnly', 'a=b; Path=/app/; HttpOnly'],
    ['set-cookie', 'a=b; path = /x;Secure', 'a=b; Path=/app/x;Secure'],
    ['set-cookie', 'a=b; Path=/app', 'a=b; Path=/app'],
    ['set-cookie', 'a=b; Path=', 'a=b; Path='],
    ['set-cookie', 'a=b; Domain=127.0.0.1; Max-Age=5', 'a=b; Max-Age=5'],
    ['set-cookie', 'a=b; Domain=.board.test', 'a=b; Domain=.board.test'],
    ['set-cookie', '__Host-a=b; Secure; Path=/', '__Host-a=b; Secure; Path=/'],
    ['set-cookie', 'a="b; Path=/"', 'a="b; Path=/app/"'],
  ];
  for (const [name, value, expected, status = 200] of rows) {
    const [first, ...more] = responseFields(
      [
        ['connection', 'X-Private'],
        [name, value],
      ],
      status,
      () => PLACES,
    );
    assert.equal(first?.[1], expected, `${name}: ${value}`);
    assert.equal(more.length, 0);
  }
});
