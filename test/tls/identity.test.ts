import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { doubtsAbout, loadIdentity } from '../../src/tls/identity.ts';
import type { PassphraseSource } from '../../src/tls/passphrase.ts';
import { TlsError, type TlsSetting } from '../../src/tls/tls-file.ts';
import { Authority, pemOf } from '../support/certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'runnel-identity-'));
after(() => rmSync(folder, { recursive: true }));

const root = new Authority('Root');
const middle = new Authority('Middle', root);
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const board = middle.server(['board.local', '*.board.local', '192.168.1.5']);
const stranger = middle.server(['other.local']);

let count = 0;
function file(content: string): string {
  const path = join(folder, `${++count}.pem`);
  writeFileSync(path, content);
  return path;
}

function load(certificate: string, key: string, passphrase?: PassphraseSource, env = {}) {
  const path = file(certificate);
  return loadIdentity({ certificate: path, key: key === certificate ? path : file(key), passphrase }, env);
}

const SECRET = 'correct horse';
const withFile = (): PassphraseSource => ({ from: 'file', path: file(`${SECRET}\n`) });

describe('chains are sorted', () => {
  const cases: { readonly [what: string]: readonly string[] } = {
    'in order': [board.certificate, middle.certificate],
    'the other way round': [middle.certificate, board.certificate],
    'with the root': [board.certificate, middle.certificate, root.certificate],
    'the root first': [root.certificate, middle.certificate, board.certificate],
    'with the key between': [board.certificate, board.pem, middle.certificate],
    'with certificates that do not belong to it': [stranger.certificate, middle.certificate, board.certificate],
    'with text around, and CRLF': [
      `Certificate:\r\n    Data:\r\n${board.certificate.replaceAll('\n', '\r\n')}`,
      middle.certificate,
    ],
  };
  for (const [what, parts] of Object.entries(cases))
    test(what, () => {
      const { chain, names, title } = load(parts.join(''), board.pem);
      assert.deepEqual(
        chain.map(({ subject }) => subject),
        ['CN=board.local', 'CN=Middle'],
      );
      assert.deepEqual(names, ['board.local', '*.board.local', '192.168.1.5']);
      assert.equal(title, 'board.local');
    });
});

describe('keys', () => {
  const keys: { readonly [what: string]: KeyObject } = {
    'RSA 2048': rsa,
    'ECDSA P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    'ECDSA P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    Ed25519: generateKeyPairSync('ed25519').privateKey,
  };
  for (const [what, key] of Object.entries(keys)) {
    const { certificate } = root.server(['board.local'], { key });
    const type = key.asymmetricKeyType;
    const forms: { [form: string]: string } = {
      'PKCS#8': pemOf(key),
      'PKCS#8, PBES2 with AES-256': key
        .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: SECRET })
        .toString(),
    };
    if (type === 'rsa') forms['PKCS#1'] = key.export({ type: 'pkcs1', format: 'pem' }).toString();
    if (type === 'ec') forms['SEC 1'] = key.export({ type: 'sec1', format: 'pem' }).toString();
    if (type === 'rsa' || type === 'ec')
      forms['traditional, AES-128'] = key
        .export({ type: type === 'rsa' ? 'pkcs1' : 'sec1', format: 'pem', cipher: 'aes-128-cbc', passphrase: SECRET })
        .toString();
    for (const [form, pem] of Object.entries(forms))
      test(`${what}, ${form}, in a file of its own and in the certificate's`, () => {
        assert.equal(load(certificate, pem, withFile()).key.asymmetricKeyType, type);
        const both = certificate + pem;
        const { leaf, key: read } = load(both, both, withFile());
        assert(leaf.checkPrivateKey(read));
        createSecureContext({ cert: String(leaf), key: read.export({ type: 'pkcs8', format: 'pem' }) });
      });
  }

  test('the passphrase from a file, the environment, a systemd credential', () => {
    const pem = rsa.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: SECRET }).toString();
    const { certificate } = root.server(['board.local'], { key: rsa });
    writeFileSync(join(folder, 'credential'), SECRET);
    const sources: readonly (readonly [PassphraseSource, { [name: string]: string }])[] = [
      [{ from: 'file', path: file(`${SECRET}\r\n`) }, {}],
      [{ from: 'environment', name: 'KEY_PASS' }, { KEY_PASS: SECRET }],
      [{ from: 'credential', name: 'credential' }, { CREDENTIALS_DIRECTORY: folder }],
    ];
    for (const [source, env] of sources) assert(load(certificate, pem, source, env).key);
  });
});

describe('what cannot be used, each in its own words', () => {
  const encrypted = rsa.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: SECRET }).toString();
  const traditional = rsa
    .export({ type: 'pkcs1', format: 'pem', cipher: 'aes-128-cbc', passphrase: SECRET })
    .toString();
  const own = root.server(['board.local'], { key: rsa }).certificate;
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const odd = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey;
  const wrong = (): PassphraseSource => ({ from: 'file', path: file('wrong\n') });
  const cases: readonly (readonly [string, () => unknown, TlsSetting, RegExp])[] = [
    [
      'no such file',
      () => loadIdentity({ certificate: join(folder, 'no'), key: file(''), passphrase: undefined }, {}),
      'certificate',
      /no does not exist$/,
    ],
    [
      'a folder',
      () => loadIdentity({ certificate: folder, key: file(''), passphrase: undefined }, {}),
      'certificate',
      /is not a regular file$/,
    ],
    ['no certificate', () => load('hello', board.pem), 'certificate', /^there is no certificate in /],
    [
      'a damaged certificate',
      () => load(board.certificate.replace(/\n.{20}/, '\nAAAA'), board.pem),
      'certificate',
      /^certificate 1 in .* is damaged$/,
    ],
    ['no key', () => load(board.certificate, 'hello'), 'key', /^there is no private key in /],
    ['two keys', () => load(board.certificate, board.pem + stranger.pem), 'key', /^there are 2 private keys in /],
    [
      'a damaged key',
      () => load(board.certificate, board.pem.replace(/\n.{20}/, '\nAAAA')),
      'key',
      /^the key in .* is damaged/,
    ],
    [
      'another key',
      () => load(board.certificate, stranger.pem),
      'key',
      /^the key in .* does not belong to the certificate in .* \(board\.local\)$/,
    ],
    ['encrypted, no passphrase', () => load(own, encrypted), 'key', /is encrypted: set passphrase_file/],
    ['traditional, no passphrase', () => load(own, traditional), 'key', /is encrypted: set passphrase_file/],
    [
      'a wrong passphrase',
      () => load(own, encrypted, wrong()),
      'passphrase',
      /^the passphrase does not open the key in /,
    ],
    [
      'traditional, a wrong passphrase',
      () => load(own, traditional, wrong()),
      'passphrase',
      /^the passphrase does not open the key in /,
    ],
    [
      'an empty passphrase',
      () => load(own, encrypted, { from: 'file', path: file('\n') }),
      'passphrase',
      / is empty: there is no passphrase in it$/,
    ],
    [
      'no variable',
      () => load(own, encrypted, { from: 'environment', name: 'NOPE' }),
      'passphrase',
      /variable NOPE is not set$/,
    ],
    [
      'no credentials',
      () => load(own, encrypted, { from: 'credential', name: 'key' }),
      'passphrase',
      /needs LoadCredential=key:/,
    ],
    [
      'a short key',
      () => load(root.server(['a'], { key: short }).certificate, pemOf(short)),
      'key',
      /has 1024 bits: at least 2048/,
    ],
    [
      'an odd curve',
      () => load(root.server(['a'], { key: odd }).certificate, pemOf(odd)),
      'key',
      /on the curve secp256k1/,
    ],
  ];
  for (const [what, act, about, pattern] of cases)
    test(what, () => {
      assert.throws(act, (error) => {
        assert(error instanceof TlsError, String(error));
        assert.equal(error.about, about);
        assert.match(error.message, pattern);
        assert(!error.message.includes(SECRET));
        return true;
      });
    });
});

describe('doubts', () => {
  const cases: readonly (readonly [string, () => ReturnType<typeof load>, readonly RegExp[]])[] = [
    ['none', () => load(board.certificate + middle.certificate, board.pem), []],
    [
      'expired',
      () => {
        const { certificate, pem } = root.server(['board.local'], { from: -20, to: -2 });
        return load(certificate, pem);
      },
      [/^the certificate for board\.local expired on \d{4}-\d\d-\d\d: clients will refuse it$/],
    ],
    [
      'not yet valid',
      () => {
        const { certificate, pem } = root.server(['board.local'], { from: 2, to: 20 });
        return load(certificate, pem);
      },
      [/^the certificate for board\.local is not valid before .* clock/],
    ],
    [
      'an expired intermediate',
      () => {
        const old = new Authority('Old', root, { from: -20, to: -2 });
        const { certificate, pem } = old.server(['board.local']);
        return load(certificate + old.certificate, pem);
      },
      [/^the intermediate certificate Old expired on /],
    ],
    [
      'Ed25519',
      () => {
        const { certificate, pem } = root.server(['board.local'], { key: generateKeyPairSync('ed25519').privateKey });
        return load(certificate, pem);
      },
      [/^browsers do not accept/],
    ],
    [
      'no names',
      () => {
        const { certificate, pem } = root.client('board.local');
        return load(certificate, pem);
      },
      [/has no subject alternative names/],
    ],
    [
      'a missing intermediate',
      () => {
        const { certificate, pem } = middle.server(['board.local'], { issuerAddress: 'http://ca.test/middle.der' });
        return load(certificate, pem);
      },
      [/^an intermediate certificate is missing: "board\.local" was issued by "Middle", which is not in the file/],
    ],
  ];
  for (const [what, make, patterns] of cases)
    test(what, () => {
      const doubts = doubtsAbout(make(), Date.now());
      assert.equal(doubts.length, patterns.length, doubts.join('\n'));
      for (const [at, pattern] of patterns.entries()) assert.match(doubts[at] ?? '', pattern);
    });
});
