import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { type ClientHello, readClientHello } from '../../../src/engine/door/client-hello.ts';
import { uwsCanServe } from '../../../src/engine/door/tls-choice.ts';
import { HELLO_NAMES, type RecordedHello, recordedHello } from './hellos.ts';

const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const RSA_PSS = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey;
const P256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const P384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
const ED25519 = generateKeyPairSync('ed25519').privateKey;

function canServe(hello: ClientHello, key: KeyObject, only13 = false): boolean {
  return uwsCanServe(hello, { digest: '', title: '', chain: '', key, only13 });
}

function hello(name: RecordedHello): ClientHello {
  const bytes = recordedHello(name);
  const read = readClientHello(bytes, bytes.length);
  assert(typeof read === 'object');
  return read;
}

test('which real clients meet uWebSockets.js', () => {
  const table = HELLO_NAMES.map((name) => {
    const offered = hello(name);
    const served = Object.entries({ RSA, P256, P384, ED25519, RSA_PSS }).filter(([, key]) => canServe(offered, key));
    return `${name}: ${served.map(([kind]) => kind).join(' ')}`;
  });
  assert.deepEqual(table, [
    'openssl: RSA P256 P384 ED25519',
    'openssl12: RSA P256 P384 ED25519',
    'openssl13: RSA P256 P384 ED25519',
    'tls10: ',
    'dhe: ',
    'cbc: ',
    'onlyHttp2: ',
    'smallFragments: ',
    'fallback: ',
    'x448: ',
    'curl: RSA P256 P384 ED25519',
    'node: RSA P256 P384 ED25519',
    'python: RSA P256 P384 ED25519',
    'chromium: RSA P256 P384',
  ]);
});

test('with TLS 1.3 only, a client of TLS 1.2 is refused by Node', () => {
  const served = HELLO_NAMES.filter((name) => canServe(hello(name), P256, true));
  assert.deepEqual(served, ['openssl', 'openssl13', 'curl', 'node', 'python', 'chromium']);
});

test('each condition by itself', () => {
  const [tls13, tls12] = [hello('openssl13'), hello('openssl12')];
  const cases: readonly (readonly [what: string, hello: ClientHello, key: KeyObject, served: boolean])[] = [
    ['1.3 with one suite', { ...tls13, suites: [0x1303] }, P256, true],
    ['1.3 with suites of 1.2 only', { ...tls13, suites: [0xc02b] }, P256, false],
    ['both versions, suites of 1.2 only', { ...tls13, versions: [0x0304, 0x0303], suites: [0xc02b] }, P256, false],
    ['1.3 with a compression', { ...tls13, compressions: [1, 0] }, P256, false],
    ['1.3 on P-384', { ...tls13, groups: [24] }, P256, true],
    ['1.3 on no group that it has', { ...tls13, groups: [30, 25] }, P256, false],
    ['1.3 with PKCS #1 signatures only', { ...tls13, signatures: [0x0401] }, RSA, false],
    ['1.3 with PSS', { ...tls13, signatures: [0x0804] }, RSA, true],
    ['1.3 with a signature of another curve', { ...tls13, signatures: [0x0503] }, P256, false],
    ['1.2 with PKCS #1 signatures', { ...tls12, signatures: [0x0401] }, RSA, true],
    ['1.2 with SHA-1 only', { ...tls12, signatures: [0x0201, 0x0203] }, RSA, false],
    ['1.2 with suites for another key', { ...tls12, suites: [0xc02f] }, P256, false],
    ['1.2 without the curve of the certificate', { ...tls12, groups: [24] }, P256, false],
    ['1.2 without the curve, RSA', { ...tls12, groups: [24] }, RSA, true],
    ['1.2 with a compression', { ...tls12, compressions: [1, 0] }, P256, true],
    ['1.2 with compression only', { ...tls12, compressions: [1] }, P256, false],
    ['1.2 with compressed points only', { ...tls12, pointFormats: [1] }, P256, false],
    ['1.2 without tickets', { ...tls12, extensions: new Set() }, P256, false],
    ['1.1', { ...tls12, versions: [0x0302] }, P256, false],
    ['http/1.1 by ALPN', { ...tls13, protocols: ['http/1.1'] }, P256, true],
    ['something else by ALPN', { ...tls13, protocols: ['mqtt'] }, P256, false],
  ];
  for (const [what, offered, key, served] of cases) assert.equal(canServe(offered, key), served, what);
});
