import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Request } from '../../src/engine/engine.ts';
import { Cors } from '../../src/policy/cors.ts';
import { decideOrigin, sameOrigin } from '../../src/policy/origin.ts';
import { configOf } from '../support/policies.ts';

const CASES: readonly [name: string, origin: string | undefined, host: string | undefined, same: boolean][] = [
  ['no Origin is no browser', undefined, 'board', true],
  ['the same host', 'http://board', 'board', true],
  ['the same host and port', 'http://board:8080', 'board:8080', true],
  ['the usual port, written out on one side', 'http://board', 'board:80', true],
  ['the usual port of https', 'https://board:443', 'board', true],
  ['upper case', 'http://BOARD', 'Board', true],
  ['an IPv6 address', 'http://[::1]:80', '[::1]', true],
  ['another host', 'http://evil', 'board', false],
  ['another port', 'http://board:81', 'board', false],
  ['a host that only begins alike', 'http://board.evil', 'board', false],
  ['null', 'null', 'board', false],
  ['file', 'file://', 'board', false],
  ['a user in it', 'http://board@evil', 'board', false],
  ['a path in it', 'http://board/x', 'board', false],
  ['no Host to compare with', 'http://board', undefined, false],
  ['empty', '', 'board', false],
];

for (const [name, origin, host, same] of CASES) {
  test(`sameOrigin: ${name}`, () => assert.equal(sameOrigin(origin, host), same));
}

const NOBODY = new Cors(configOf({}).defaults.cors);
const PARTNER = new Cors(configOf({ defaults: { cors: { origins: ['https://partner'] } } }).defaults.cors);
const FORM = { method: 'POST', crossSite: 'open', unsafe: 'refuse' } as const;
const STREAM = { method: 'GET', crossSite: 'same-origin', unsafe: 'allow' } as const;
const PAGE = { method: 'GET', crossSite: 'open', unsafe: 'refuse' } as const;

const DECISIONS: readonly [
  name: string,
  what: typeof FORM | typeof STREAM | typeof PAGE,
  headers: { readonly [name: string]: string },
  passes: boolean,
  cors?: Cors,
][] = [
  ['a page of another site may be linked to', PAGE, { origin: 'http://evil', 'sec-fetch-site': 'cross-site' }, true],
  ['a form of another site', FORM, { origin: 'http://evil' }, false],
  ['a form of another site in a frame without a name', FORM, { origin: 'null' }, false],
  ['a form of ours that keeps its address to itself', FORM, { origin: 'null', 'sec-fetch-site': 'same-origin' }, true],
  ['a form of ours', FORM, { origin: 'http://board' }, true],
  ['a form of a listed origin', FORM, { origin: 'https://partner' }, true, PARTNER],
  ['without Origin, by Sec-Fetch-Site', FORM, { 'sec-fetch-site': 'cross-site' }, false],
  ['without Origin, by Sec-Fetch-Site, of the same site', FORM, { 'sec-fetch-site': 'same-site' }, false],
  ['typed into the address bar', FORM, { 'sec-fetch-site': 'none' }, true],
  ['an old browser, by Referer', FORM, { referer: 'http://evil/page?x' }, false],
  ['an old browser, by Referer, of ours', FORM, { referer: 'http://board/page' }, true],
  ['a Referer that is no address', FORM, { referer: 'about:blank' }, true],
  ['no browser', FORM, {}, true],
  ['a stream, no browser', STREAM, {}, true],
  ['a stream, another origin', STREAM, { origin: 'http://evil' }, false],
  ['a stream, a listed origin', STREAM, { origin: 'https://partner' }, true, PARTNER],
  ['a stream as a picture', STREAM, { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, false],
  ['a stream behind a link', STREAM, { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, true],
];

for (const [name, { method, crossSite, unsafe }, headers, passes, cors = NOBODY] of DECISIONS) {
  test(`decideOrigin: ${name}`, () => {
    const decided = decideOrigin(asking(method, headers), false, { cors, crossSite, unsafe });
    assert.equal(decided === undefined, passes, decided?.because);
    if (decided !== undefined) assert.equal(decided.status, 403);
  });
}

test('decideOrigin: a WebSocket is closed to others, whatever serves it', () => {
  const rules = { cors: NOBODY, crossSite: 'open', unsafe: 'allow' } as const;
  assert.equal(decideOrigin(asking('GET', { origin: 'http://evil' }), true, rules)?.status, 403);
  assert.equal(decideOrigin(asking('GET', { origin: 'http://board' }), true, rules), undefined);
});

function asking(method: string, headers: { readonly [name: string]: string }): Request {
  return {
    method,
    path: '/',
    query: undefined,
    version: '1.1',
    headers: [['host', 'board'], ...Object.entries(headers)],
    remoteAddress: '192.0.2.7',
    remotePort: undefined,
    listener: { name: 'test', secure: false, port: 80 },
  };
}
