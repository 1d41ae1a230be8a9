import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import * as der from '../../../src/tls/der.ts';
import { addressBytes } from '../../../src/tls/making/issue.ts';
import { makeAuthority, makeServer, openAuthority } from '../../../src/tls/making/lan.ts';
import { TlsError } from '../../../src/tls/tls-file.ts';
import { Authority } from '../../support/certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'runnel-issue-'));
after(() => rmSync(folder, { recursive: true }));

const FILES = { certificate: 'ca.pem', key: 'ca.key' };

function openssl(...args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync('openssl', args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr + stdout);
  return stdout;
}

function put(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

describe('DER', () => {
  const cases: readonly (readonly [string, Buffer, string])[] = [
    ['an empty sequence', der.sequence(), '3000'],
    ['a length of 127', der.octets(Buffer.alloc(127)), `047f${'00'.repeat(127)}`],
    ['a length of 128', der.octets(Buffer.alloc(128)), `048180${'00'.repeat(128)}`],
    ['a length of 256', der.octets(Buffer.alloc(256)), `04820100${'00'.repeat(256)}`],
    ['zero', der.positive(Buffer.from([0])), '020100'],
    ['127', der.positive(Buffer.from([127])), '02017f'],
    ['128 needs a zero for the sign', der.positive(Buffer.from([128])), '02020080'],
    ['leading zeros go', der.positive(Buffer.from([0, 0, 1])), '020101'],
    ['an identifier', der.oid('1.2.840.113549.1.1.11'), '06092a864886f70d01010b'],
    ['keyCertSign and cRLSign', der.flags(5, 6), '03020106'],
    ['digitalSignature', der.flags(0), '03020780'],
    [
      '2049 is UTCTime',
      der.time(new Date('2049-12-31T23:59:59Z')),
      `170d${Buffer.from('491231235959Z').toString('hex')}`,
    ],
    [
      '2050 is GeneralizedTime',
      der.time(new Date('2050-01-01T00:00:00Z')),
      `180f${Buffer.from('20500101000000Z').toString('hex')}`,
    ],
  ];
  for (const [what, bytes, hex] of cases) test(what, () => assert.equal(bytes.toString('hex'), hex));

  test('reading what was written', () => {
    const [outer] = der.elements(der.sequence(der.oid('2.5.29.17'), der.octets(Buffer.alloc(300))));
    const [id, content] = der.elements(outer?.content ?? Buffer.alloc(0));
    assert.equal(id?.tag, 6);
    assert.equal(der.oidText(id?.content ?? Buffer.alloc(0)), '2.5.29.17');
    assert.equal(content?.content.length, 300);
  });

  for (const hex of ['30', '3080', '3005', '3081', '308500000000ff', '30ff'])
    test(`what is not DER is refused: ${hex}`, () =>
      assert.throws(() => der.elements(Buffer.from(hex, 'hex')), RangeError));
});

describe('addresses', () => {
  const cases: { readonly [address: string]: string } = {
    '192.168.1.5': 'c0a80105',
    '::': '0'.repeat(32),
    '::1': `${'0'.repeat(31)}1`,
    'fe80::1:2': 'fe800000000000000000000000010002',
    '2001:db8::': `20010db8${'0'.repeat(24)}`,
    '::ffff:10.0.0.1': '00000000000000000000ffff0a000001',
    '1:2:3:4:5:6:7:8': '00010002000300040005000600070008',
  };
  for (const [address, hex] of Object.entries(cases))
    test(address, () => assert.equal(addressBytes(address).toString('hex'), hex));
});

describe('OpenSSL accepts what we issue', () => {
  for (const type of ['ec', 'rsa'] as const)
    test(`an authority with ${type}, an intermediate, a server, a client`, () => {
      const key =
        type === 'rsa'
          ? generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
          : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
      const authority = new Authority('Grüße, "Root" \\ +=', undefined, { key });
      const server = authority.server(['board.local', '*.board.local', '192.168.1.5', 'fe80::1']);
      const client = authority.client('alice');
      const ca = put(`${type}-ca.pem`, authority.certificate);
      for (const [name, { certificate }, purpose] of [
        ['server', server, 'sslserver'],
        ['client', client, 'sslclient'],
      ] as const)
        openssl('verify', '-x509_strict', '-purpose', purpose, '-CAfile', ca, put(`${type}-${name}.pem`, certificate));
      const text = openssl('x509', '-in', put('s.pem', server.certificate), '-noout', '-text');
      assert.match(
        text,
        /DNS:board\.local, DNS:\*\.board\.local, IP Address:192\.168\.1\.5, IP Address:FE80:0:0:0:0:0:0:1/,
      );
      assert.match(text, /X509v3 Basic Constraints: critical\s+CA:FALSE/);
      assert.match(text, /X509v3 Extended Key Usage: \s*TLS Web Server Authentication/);
      assert.match(
        openssl('x509', '-in', ca, '-noout', '-text'),
        /CA:TRUE, pathlen:0[\s\S]*Certificate Sign, CRL Sign/,
      );
    });

  test('for a LAN: short enough for browsers, never longer than its authority', () => {
    const now = Date.now();
    const authority = makeAuthority('Home, sweet home', now);
    const issuer = openAuthority(authority, FILES, now);
    const server = makeServer(['board.local', '10.0.0.2'], issuer, 397, now);
    const ca = put('lan-ca.pem', authority.certificate);
    openssl(
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-verify_hostname',
      'board.local',
      '-CAfile',
      ca,
      put('lan.pem', server.certificate),
    );
    const { validFrom, validTo } = new X509Certificate(server.certificate);
    assert((Date.parse(validTo) - Date.parse(validFrom)) / 86_400_000 <= 397);
    const later = Date.parse(new X509Certificate(authority.certificate).validTo) - 5 * 86_400_000;
    const last = new X509Certificate(makeServer(['a'], issuer, 397, later).certificate);
    assert.equal(last.validTo, new X509Certificate(authority.certificate).validTo);
  });
});

describe('an authority that something else has made', () => {
  const config = put(
    'ca.cnf',
    '[req]\ndistinguished_name = dn\n[dn]\n[own]\nbasicConstraints = critical, CA:true\nsubjectKeyIdentifier = 01:02:03:04:05\n[none]\nbasicConstraints = critical, CA:true\nsubjectKeyIdentifier = none\nauthorityKeyIdentifier = none\n',
  );
  const cases: readonly (readonly [name: string, key: readonly string[], extensions: string])[] = [
    ['with a key identifier of its own', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], 'own'],
    ['without a key identifier', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], 'none'],
    ['with an RSA key', ['rsa:2048'], 'own'],
    ['with an Ed25519 key', ['ed25519'], 'own'],
  ];
  for (const [name, key, extensions] of cases)
    test(name, () => {
      const [certificate, keyFile] = ['its.pem', 'its.key'].map((file) => join(folder, file));
      assert(certificate !== undefined && keyFile !== undefined);
      openssl(
        ...[
          'req',
          '-x509',
          '-nodes',
          '-days',
          '9',
          '-subj',
          `/O=Home/CN=${name}`,
          '-config',
          config,
          '-newkey',
          ...key,
        ],
        ...['-extensions', extensions, '-keyout', keyFile, '-out', certificate],
      );
      const pair = { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(keyFile, 'utf8') };
      const server = makeServer(['board.local'], openAuthority(pair, FILES, Date.now()), 5, Date.now());
      const leaf = put('leaf.pem', server.certificate);
      openssl('verify', '-purpose', 'sslserver', '-CAfile', certificate, leaf);
      const text = openssl('x509', '-in', leaf, '-noout', '-ext', 'authorityKeyIdentifier');
      assert.equal(text.includes('01:02:03:04:05'), extensions === 'own', text);
    });

  const root = new Authority('Root');
  const other = new Authority('Other');
  const encrypted = root.key
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
    .toString();
  const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey;
  const late = Date.now() + 400 * 86_400_000;
  const wrong: readonly (readonly [what: string, certificate: string, key: string, now: number, sentence: RegExp])[] = [
    ['another key', root.certificate, other.pem, 0, /the key in ca\.key does not belong to the certificate in ca\.pem/],
    ['an encrypted key', root.certificate, encrypted, 0, /the key in ca\.key is encrypted: decrypt it .*openssl pkey/],
    ['no authority', root.server(['x.test']).certificate, '', 0, /ca\.pem is not that of an authority/],
    ['one that has expired', root.certificate, root.pem, late, /the authority in ca\.pem expired on .* every device/],
    ['no certificate', 'text', root.pem, 0, /there is no certificate in ca\.pem/],
    ['no key', root.certificate, 'text', 0, /there is no private key in ca\.key/],
    [
      'RSA-PSS',
      new Authority('X', root, { key: pss }).certificate,
      pss.export({ type: 'pkcs8', format: 'pem' }).toString(),
      0,
      /RSA-PSS only/,
    ],
  ];
  for (const [what, certificate, key, now, sentence] of wrong)
    test(what, () => {
      const leaf = what === 'no authority' ? root.server(['x.test']) : undefined;
      const pair = leaf === undefined ? { certificate, key } : { certificate: leaf.certificate, key: leaf.pem };
      assert.throws(
        () => openAuthority(pair, FILES, now === 0 ? Date.now() : now),
        (error) => error instanceof TlsError && sentence.test(error.message),
      );
    });
});
