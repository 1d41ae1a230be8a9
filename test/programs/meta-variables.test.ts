/** RFC 3875 section 4.1, by its sections. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HeaderList, Request } from '../../src/engine/engine.ts';
import { metaVariables, type RequestFacts, type ServerFacts } from '../../src/programs/meta-variables.ts';
import type { ScriptPath } from '../../src/programs/script-path.ts';

const REQUEST: Request = {
  method: 'GET',
  path: '/cgi-bin/env/a%20b',
  query: undefined,
  version: '1.1',
  headers: [['host', 'board.local:8080']],
  remoteAddress: '192.0.2.7',
  remotePort: 40000,
  listener: { name: ':8080', secure: false, port: 8080 },
};
const SCRIPT: ScriptPath = { file: '/usr/lib/cgi-bin/env', scriptName: '/cgi-bin/env', pathInfo: '/a b' };
const FACTS: RequestFacts = { id: 'q1', script: SCRIPT, bodyLength: 0, passAuthorization: false };
const SERVER: ServerFacts = { version: '1.2.3', documentRoot: '/srv/www' };

interface Case {
  readonly section: string;
  readonly what: string;
  readonly request?: Partial<Request>;
  readonly headers?: HeaderList;
  readonly facts?: Partial<RequestFacts>;
  /** Undefined: not there at all. */
  readonly expected: { readonly [name: string]: string | undefined };
}

const secure = { name: ':443', secure: true, port: 443 };
const unix = { name: 'unix:/run/x', secure: false, port: undefined };

const CASES: readonly Case[] = [
  {
    section: '4.1.1',
    what: 'AUTH_TYPE',
    facts: { user: { name: 'ann', type: 'Basic' } },
    expected: { AUTH_TYPE: 'Basic' },
  },
  { section: '4.1.1', what: 'no authentication', expected: { AUTH_TYPE: undefined, REMOTE_USER: undefined } },
  { section: '4.1.2', what: 'CONTENT_LENGTH of a body', facts: { bodyLength: 5 }, expected: { CONTENT_LENGTH: '5' } },
  { section: '4.1.2', what: 'not without a body', expected: { CONTENT_LENGTH: undefined } },
  {
    section: '4.1.2',
    what: 'of an empty body that was announced',
    headers: [['content-length', '0']],
    expected: { CONTENT_LENGTH: '0' },
  },
  {
    section: '4.1.2',
    what: 'of a chunked body: what was counted',
    headers: [['transfer-encoding', 'chunked']],
    facts: { bodyLength: 9 },
    expected: { CONTENT_LENGTH: '9', HTTP_TRANSFER_ENCODING: undefined },
  },
  {
    section: '4.1.3',
    what: 'CONTENT_TYPE, and not a second time as HTTP_*',
    headers: [
      ['content-type', 'text/plain'],
      ['content-length', '5'],
    ],
    facts: { bodyLength: 5 },
    expected: { CONTENT_TYPE: 'text/plain', HTTP_CONTENT_TYPE: undefined, HTTP_CONTENT_LENGTH: undefined },
  },
  { section: '4.1.4', what: 'GATEWAY_INTERFACE', expected: { GATEWAY_INTERFACE: 'CGI/1.1' } },
  { section: '4.1.5', what: 'PATH_INFO, decoded', expected: { PATH_INFO: '/a b' } },
  {
    section: '4.1.6',
    what: 'PATH_TRANSLATED only with PATH_INFO',
    facts: { script: { ...SCRIPT, pathInfo: '' } },
    expected: { PATH_INFO: '', PATH_TRANSLATED: undefined },
  },
  { section: '4.1.6', what: 'PATH_TRANSLATED', expected: { PATH_TRANSLATED: '/srv/www/a b' } },
  {
    section: '4.1.7',
    what: 'QUERY_STRING, raw',
    request: { query: 'a=%41+b&&' },
    expected: { QUERY_STRING: 'a=%41+b&&' },
  },
  { section: '4.1.7', what: 'QUERY_STRING is there without a query', expected: { QUERY_STRING: '' } },
  { section: '4.1.8', what: 'REMOTE_ADDR', expected: { REMOTE_ADDR: '192.0.2.7' } },
  { section: '4.1.9', what: 'REMOTE_HOST is the address', expected: { REMOTE_HOST: '192.0.2.7' } },
  {
    section: '4.1.11',
    what: 'REMOTE_USER',
    facts: { user: { name: 'ann', type: 'Basic' } },
    expected: { REMOTE_USER: 'ann' },
  },
  { section: '4.1.12', what: 'REQUEST_METHOD', request: { method: 'post' }, expected: { REQUEST_METHOD: 'post' } },
  { section: '4.1.13', what: 'SCRIPT_NAME', expected: { SCRIPT_NAME: '/cgi-bin/env' } },
  { section: '4.1.14', what: 'SERVER_NAME without the port', expected: { SERVER_NAME: 'board.local' } },
  {
    section: '4.1.14',
    what: 'an IPv6 address',
    headers: [['host', '[2001:DB8::1]:80']],
    expected: { SERVER_NAME: '[2001:db8::1]' },
  },
  { section: '4.1.14', what: 'no Host', headers: [], expected: { SERVER_NAME: 'localhost' } },
  { section: '4.1.14', what: 'a port left out', headers: [['host', 'Board.:']], expected: { SERVER_NAME: 'board' } },
  {
    section: '4.1.8',
    what: 'no address over a Unix socket',
    request: { remoteAddress: 'unix' },
    expected: { REMOTE_ADDR: '', REMOTE_HOST: '' },
  },
  {
    section: '4.1.14',
    what: 'a Host to inject with',
    headers: [['host', '$(reboot)']],
    expected: { SERVER_NAME: 'localhost' },
  },
  { section: '4.1.14', what: 'a Host with a path', headers: [['host', 'a/b']], expected: { SERVER_NAME: 'localhost' } },
  {
    section: '4.1.15',
    what: 'SERVER_PORT is the bound one',
    request: { listener: secure },
    expected: { SERVER_PORT: '443' },
  },
  {
    section: '4.1.15',
    what: 'over a Unix socket the one in Host',
    request: { listener: unix },
    expected: { SERVER_PORT: '8080' },
  },
  {
    section: '4.1.15',
    what: 'or the usual one',
    request: { listener: unix },
    headers: [],
    expected: { SERVER_PORT: '80' },
  },
  {
    section: '4.1.16',
    what: 'SERVER_PROTOCOL',
    request: { version: '1.0' },
    expected: { SERVER_PROTOCOL: 'HTTP/1.0' },
  },
  { section: '4.1.17', what: 'SERVER_SOFTWARE', expected: { SERVER_SOFTWARE: 'runnel/1.2.3' } },
  {
    section: '4.1.18',
    what: 'HTTP_*: upper case, "-" becomes "_"',
    headers: [['x-Forwarded-for', '192.0.2.1']],
    expected: { HTTP_X_FORWARDED_FOR: '192.0.2.1' },
  },
  {
    section: '4.1.18',
    what: 'repeated fields are joined; cookies with "; "',
    headers: [
      ['accept', 'a'],
      ['cookie', 'x=1'],
      ['accept', 'b'],
      ['cookie', 'y=2'],
    ],
    expected: { HTTP_ACCEPT: 'a, b', HTTP_COOKIE: 'x=1; y=2' },
  },
  {
    section: '4.1.18',
    what: 'names that would collide are dropped',
    headers: [
      ['x_user', 'evil'],
      ['x.user', 'evil'],
      ["x'user", 'evil'],
    ],
    expected: { HTTP_X_USER: undefined, "HTTP_X'USER": undefined, 'HTTP_X.USER': undefined },
  },
  {
    section: '4.1.18',
    what: 'Proxy never becomes HTTP_PROXY (CVE-2016-5385)',
    headers: [
      ['proxy', 'http://evil'],
      ['Proxy', 'http://evil'],
      ['PROXY', 'http://evil'],
    ],
    expected: { HTTP_PROXY: undefined },
  },
  {
    section: '4.1.18',
    what: 'credentials are hidden',
    headers: [
      ['authorization', 'Basic eA=='],
      ['proxy-authorization', 'Basic eA=='],
    ],
    expected: { HTTP_AUTHORIZATION: undefined, HTTP_PROXY_AUTHORIZATION: undefined },
  },
  {
    section: '4.1.18',
    what: 'unless the route passes them',
    headers: [['authorization', 'Basic eA==']],
    facts: { passAuthorization: true },
    expected: { HTTP_AUTHORIZATION: 'Basic eA==' },
  },
  {
    section: 'Apache',
    what: 'HTTPS and the scheme',
    request: { listener: secure },
    expected: { HTTPS: 'on', REQUEST_SCHEME: 'https' },
  },
  { section: 'Apache', what: 'no HTTPS', expected: { HTTPS: undefined, REQUEST_SCHEME: 'http' } },
  {
    section: 'Apache',
    what: 'REQUEST_URI, raw',
    request: { query: '' },
    expected: { REQUEST_URI: '/cgi-bin/env/a%20b?' },
  },
  { section: 'Apache', what: 'REMOTE_PORT', expected: { REMOTE_PORT: '40000' } },
  {
    section: 'Apache',
    what: 'REMOTE_PORT unknown',
    request: { remotePort: undefined },
    expected: { REMOTE_PORT: undefined },
  },
  {
    section: 'Apache',
    what: 'files',
    expected: {
      DOCUMENT_ROOT: '/srv/www',
      SCRIPT_FILENAME: '/usr/lib/cgi-bin/env',
      REDIRECT_STATUS: '200',
      SERVER_ADDR: undefined,
      UNIQUE_ID: 'q1',
    },
  },
];

describe('metaVariables', () => {
  for (const { section, what, request, headers, facts, expected } of CASES) {
    test(`${section} ${what}`, () => {
      const given = { ...REQUEST, ...request, headers: headers ?? REQUEST.headers };
      const variables = metaVariables(given, { ...FACTS, ...facts }, SERVER);
      const actual = Object.fromEntries(Object.keys(expected).map((name) => [name, variables.get(name)]));
      assert.deepEqual(actual, expected);
    });
  }
});
