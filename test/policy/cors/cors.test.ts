import assert from 'node:assert/strict';
import { METHODS as KNOWN } from 'node:http';
import { describe, test } from 'node:test';
import type { CorsConfig } from '../../../src/config/keys/policies.ts';
import { METHODS } from '../../../src/config/values/names.ts';
import type { HeaderList, Request } from '../../../src/engine/engine.ts';
import { type Origin, parseOrigin } from '../../../src/net/origin.ts';
import { Cors, varyByOrigin } from '../../../src/policy/cors.ts';
import { configOf } from '../../support/config.ts';

function cors(changes: { readonly [key: string]: unknown }): Cors {
  return new Cors(configOf({ defaults: { cors: changes } }).defaults.cors satisfies CorsConfig);
}

function originOf(text: string): Origin {
  const origin = parseOrigin(text);
  assert(origin !== undefined);
  return origin;
}

function request(headers: { readonly [name: string]: string }, method = 'GET'): Request {
  return {
    method,
    path: '/',
    query: undefined,
    version: '1.1',
    headers: Object.entries(headers),
    remoteAddress: '192.0.2.7',
    remotePort: undefined,
    listener: { name: 'test', secure: false, port: 80 },
  };
}

const NAMED = { origins: ['https://app.example.org', 'https://*.example.net', 'http://board:8080', 'null', 'file://'] };
const ORIGINS: readonly [origin: string, listed: boolean][] = [
  ['https://app.example.org', true],
  ['http://app.example.org', false],
  ['https://app.example.org:8443', false],
  ['https://app.example.org.evil', false],
  ['https://evil-app.example.org', false],
  ['https://a.example.net', true],
  ['https://a.b.example.net', true],
  ['HTTPS://App.Example.org.:443', true],
  ['https://a.example.net:443', true],
  ['http://a.example.net', false],
  ['https://example.net', false],
  ['https://.example.net', false],
  ['https://evil.com/.example.net', false],
  ['https://evil.com#.example.net', false],
  ['https://user@a.example.net', false],
  ['https://a.example.net:444', false],
  ['https://aexample.net', false],
  ['http://board:8080', true],
  ['http://board', false],
  ['null', true],
  ['file://', true],
  ['', false],
  ['*', false],
];

describe('which origins are listed', () => {
  for (const [origin, listed] of ORIGINS)
    test(JSON.stringify(origin), () => assert.equal(cors(NAMED).answers(request({ origin })), listed));
  test('"null" and "file://" only when named', () => {
    for (const origin of ['null', 'file://']) {
      assert.equal(cors({ origins: ['https://a.org'] }).welcomes(originOf(origin)), false);
      assert.equal(cors({ origins: ['*'] }).welcomes(originOf(origin)), false);
    }
  });
  test('"*" welcomes every page that has a name', () =>
    assert.equal(cors({ origins: ['*'] }).welcomes(originOf('https://any.example')), true));
  test('every method that may be listed is one that Node lets through', () => {
    for (const method of METHODS) assert(KNOWN.includes(method), method);
  });
});

const ALLOWED = { origin: 'https://app.example.org' };
const REFUSED = { origin: 'https://evil.example' };
const ONE = { origins: ['https://app.example.org'] };

const REPLIES: readonly [
  name: string,
  config: { readonly [key: string]: unknown },
  request: Request,
  printed: HeaderList,
  sent: HeaderList,
][] = [
  [
    'not configured: what a program says stays',
    {},
    request(ALLOWED),
    [['access-control-allow-origin', '*']],
    [['access-control-allow-origin', '*']],
  ],
  [
    'a listed origin',
    ONE,
    request(ALLOWED),
    [],
    [
      ['vary', 'Origin'],
      ['access-control-allow-origin', 'https://app.example.org'],
    ],
  ],
  ['no Origin: the answer would still depend on it', ONE, request({}), [], [['vary', 'Origin']]],
  ['another origin', ONE, request(REFUSED), [], [['vary', 'Origin']]],
  [
    'what a program prints is taken off, in every spelling',
    ONE,
    request(REFUSED),
    [
      ['access-control-allow-origin', 'https://evil.example'],
      ['access-control-allow-credentials', 'true'],
      ['x-other', '1'],
    ],
    [
      ['x-other', '1'],
      ['vary', 'Origin'],
    ],
  ],
  [
    'an existing Vary',
    ONE,
    request({}),
    [
      ['vary', 'Accept-Encoding'],
      ['vary', 'Cookie'],
    ],
    [['vary', 'Accept-Encoding, Cookie, Origin']],
  ],
  ['everybody', { origins: ['*'] }, request(REFUSED), [], [['access-control-allow-origin', '*']]],
  [
    'everybody, and no Origin: the same answer',
    { origins: ['*'] },
    request({}),
    [],
    [['access-control-allow-origin', '*']],
  ],
  [
    'credentials',
    { ...ONE, credentials: true },
    request(ALLOWED),
    [],
    [
      ['vary', 'Origin'],
      ['access-control-allow-origin', 'https://app.example.org'],
      ['access-control-allow-credentials', 'true'],
    ],
  ],
  ['credentials are not offered to others', { ...ONE, credentials: true }, request(REFUSED), [], [['vary', 'Origin']]],
  [
    'exposed fields',
    { ...ONE, expose: ['ETag', 'X-Id'] },
    request(ALLOWED),
    [],
    [
      ['vary', 'Origin'],
      ['access-control-allow-origin', 'https://app.example.org'],
      ['access-control-expose-headers', 'ETag, X-Id'],
    ],
  ],
  [
    'null, when named',
    { origins: ['null'] },
    request({ origin: 'null' }),
    [],
    [
      ['vary', 'Origin'],
      ['access-control-allow-origin', 'null'],
    ],
  ],
];

describe('what a reply says', () => {
  for (const [name, config, asked, printed, sent] of REPLIES)
    test(name, () => assert.deepEqual(cors(config).apply(printed, asked), sent));
});

describe('preflights', () => {
  const asks = { ...ALLOWED, 'access-control-request-method': 'PUT' };
  test('only OPTIONS with both fields, and only where cors is configured', () => {
    assert.equal(cors(ONE).isPreflight(request(asks, 'OPTIONS')), true);
    assert.equal(cors(ONE).isPreflight(request(asks, 'GET')), false);
    assert.equal(cors(ONE).isPreflight(request(ALLOWED, 'OPTIONS')), false);
    assert.equal(cors({}).isPreflight(request(asks, 'OPTIONS')), false);
  });
  test('lists, age and Vary come from the configuration', () => {
    const config = {
      ...ONE,
      methods: ['GET', 'PUT'],
      headers: ['Content-Type', 'X-A'],
      max_age: '90s',
      expose: ['ETag'],
    };
    assert.deepEqual(cors(config).preflight(request(asks, 'OPTIONS')), [
      ['access-control-allow-methods', 'GET, PUT'],
      ['access-control-max-age', '90'],
      ['vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
      ['access-control-allow-headers', 'Content-Type, X-A, Last-Event-ID'],
    ]);
  });
  test('who reads an event stream by fetch() may say where it was, whatever is listed', () => {
    const allowed = (headers: readonly string[]): string | undefined =>
      cors({ ...ONE, headers })
        .preflight(request(ALLOWED, 'OPTIONS'))
        .find(([name]) => name === 'access-control-allow-headers')?.[1];
    assert.equal(allowed([]), 'Last-Event-ID');
    assert.equal(allowed(['X-A', 'last-event-id']), 'X-A, last-event-id');
    assert.equal(allowed(['*']), '*');
  });
  for (const [configured, asked, told] of [
    [true, 'true', true],
    [false, 'true', false],
    [true, undefined, false],
  ] as const)
    test(`private network: configured ${configured}, asked ${asked}`, () => {
      const fields = cors({ ...ONE, private_network: configured }).preflight(
        request(
          { ...asks, ...(asked === undefined ? {} : { 'access-control-request-private-network': asked }) },
          'OPTIONS',
        ),
      );
      assert.equal(
        fields.some(([name]) => name === 'access-control-allow-private-network'),
        told,
      );
    });
});

test('Vary: * already says everything', () => assert.deepEqual(varyByOrigin([['vary', '*']]), [['vary', '*']]));
