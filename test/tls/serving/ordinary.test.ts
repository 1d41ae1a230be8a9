/** Which certificates OpenSSL need not be asked about. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { parseIdentity } from '../../../src/tls/identity.ts';
import { isOrdinary } from '../../../src/tls/serving/ordinary.ts';
import { Authority } from '../../support/certificates.ts';

test('usual keys with usual signatures, and nothing else', () => {
  const { certificate, pem } = new Authority().server(['board.test']);
  const files = { certificate: 'board.pem', key: 'board.key', passphrase: undefined };
  const identity = parseIdentity(certificate, pem, files, {});
  assert.ok(isOrdinary(identity));

  const { leaf } = identity;
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
  const stranger = generateKeyPairSync('ed25519').publicKey;
  for (const publicKey of [small, stranger]) {
    const other = Object.defineProperty(new X509Certificate(leaf.raw), 'publicKey', { value: publicKey });
    assert.ok(!isOrdinary({ ...identity, chain: [other] }));
    assert.ok(!isOrdinary({ ...identity, chain: [leaf, other] }));
  }

  // ecdsa-with-SHA256 becomes ecdsa-with-SHA224, in both places.
  const raw = Buffer.from(leaf.raw);
  const oid = Buffer.from('06082a8648ce3d040302', 'hex');
  for (let at = raw.indexOf(oid); at >= 0; at = raw.indexOf(oid, at)) raw[at + oid.length - 1] = 1;
  assert.ok(!isOrdinary({ ...identity, chain: [new X509Certificate(raw)] }));
});
