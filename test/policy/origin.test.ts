import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListenerFacts, Request } from '../../src/engine/engine.ts';
import { parseOrigin } from '../../src/net/origin.ts';
import { Cors } from '../../src/policy/cors.ts';
import { decideOrigin, isSameOrigin } from '../../src/policy/origin.ts';
import { configOf } from '../support/config.ts';

/** What the client speaks, as far as we know. */
const HTTP = { name: 'test', secure: false, port: 80 } as const;
const HTTPS = { name: 'test', secure: true, port: 443 } as const;
const UNKNOWN = { ...HTTP, secureUnknown: true } as const;

const CASES: readonly [
  name: string,
  origin: string,
  host: string | undefined,
  listener: ListenerFacts,
  same: boolean,
][] = [
  ['the same host', 'http://board', 'board', HTTP, true],
  ['the same host and port', 'http://board:8080', 'board:8080', HTTP, true],
  ['the usual port, written out on one side', 'http://board', 'board:80', HTTP, true],
  ['the usual port of https', 'https://board:443', 'board', HTTPS, true],
  ['upper case', 'http://BOARD', 'Board', HTTP, true],
  ['a last dot', 'http://board.', 'board', HTTP, true],
  ['a colon without a port', 'http://board', 'board:', HTTP, true],
  ['an IPv6 address', 'http://[::1]:80', '[::1]', HTTP, true],
  ['an IPv6 address in two spellings', 'http://[::1]', '[0:0::1]:80', HTTP, true],
  ['a page over HTTP, a request over HTTPS', 'http://board', 'board', HTTPS, false],
  ['the same with the port of HTTPS', 'http://board:443', 'board:443', HTTPS, false],
  ['a page over HTTPS, a request over HTTP', 'https://board', 'board', HTTP, false],
  ['a page over HTTPS, a proxy that does not say', 'https://board', 'board', UNKNOWN, true],
  ['a page over HTTP, a proxy that does not say', 'http://board', 'board', UNKNOWN, true],
  ['another port behind a proxy that does not say', 'https://board', 'board:80', UNKNOWN, false],
  ['an application of the same name', 'app://board', 'board', UNKNOWN, false],
  ['another host', 'http://evil', 'board', HTTP, false],
  ['another port', 'http://board:81', 'board', HTTP, false],
  ['a host that only begins alike', 'http://board.evil', 'board', HTTP, false],
  ['IPv4 within IPv6', 'http://[::ffff:127.0.0.1]', '127.0.0.1', HTTP, false],
  ['null', 'null', 'board', HTTP, false],
  ['file', 'file://', 'board', HTTP, false],
  ['no Host to compare with', 'http://board', undefined, HTTP, false],
  ['an empty Host', 'http://board', '', HTTP, false],
];

for (const [name, field, host, listener, same] of CASES) {
  test(`isSameOrigin: ${name}`, () => {
    const origin = parseOrigin(field);
    assert(origin !== undefined);
    assert.equal(isSameOrigin(origin, { headers: host === undefined ? [] : [['host', host]], listener }), same);
  });
}

test('isSameOrigin: one form of both, whatever the spelling', () => {
  const spellings = ['board', 'BOARD', 'board.', 'board:80', 'board:', 'Board.:80'];
  for (const page of spellings)
    for (const host of spellings) {
      const origin = parseOrigin(`http://${page}`);
      assert(origin !== undefined && isSameOrigin(origin, { headers: [['host', host]], listener: HTTP }), page);
    }
});

const NOBODY = new Cors(configOf({}).defaults.cors);
const PARTNER = new Cors(configOf({ defaults: { cors: { origins: ['https://partner'] } } }).defaults.cors);
const APPS = new Cors(configOf({ defaults: { cors: { origins: ['app://', 'capacitor://localhost'] } } }).defaults.cors);
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
  ['a stream, a listed origin in capitals', STREAM, { origin: 'HTTPS://PARTNER.:443' }, true, PARTNER],
  ['a stream, an application', STREAM, { origin: 'app://' }, false],
  ['a stream, a listed application', STREAM, { origin: 'app://' }, true, APPS],
  ['a stream, an application with a host', STREAM, { origin: 'capacitor://localhost' }, true, APPS],
  ['a stream, another application', STREAM, { origin: 'capacitor://' }, false, APPS],
  ['a stream, a user before the host', STREAM, { origin: 'http://board@evil' }, false],
  ['a stream, the host as a user', STREAM, { origin: 'http://x:y@board' }, false],
  ['a stream, two origins', STREAM, { origin: 'http://board http://evil' }, false],
  ['a stream, an empty origin', STREAM, { origin: '' }, false],
  ['a stream, the same host over HTTPS', STREAM, { origin: 'https://board' }, false],
  ['a form, the same host over HTTPS by Referer', FORM, { referer: 'https://board/page' }, false],
  ['a form, a user in the Referer', FORM, { referer: 'http://board@evil/' }, false],
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

test('decideOrigin: the log says what to write', () => {
  const because = (origin: string): string =>
    decideOrigin(asking('GET', { origin }), true, { cors: NOBODY, crossSite: 'open', unsafe: 'allow' })?.because ?? '';
  assert.match(because('file://'), /set cors = \{ origins = \["file:\/\/"\] \} for this route/);
  assert.match(because('https://board'), /over plain HTTP; .*connections\.trusted_proxies and send X-Forwarded-Proto/);
  assert.match(because('x'), /the Origin field is not an origin \(x\)/);
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
