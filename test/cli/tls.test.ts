import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Authority } from '../support/certificates.ts';
import { folderWith, runnel, startGateway } from '../support/gateway.ts';
import { askSecurely } from '../support/https.ts';

test('self-signed: a gateway serves what it makes, and the authority stays', async (t) => {
  const folder = folderWith(t, {});
  const made = await runnel(['tls', 'self-signed', 'board.local', '192.168.1.5', '--out', 'tls'], folder);
  assert.equal(made.code, 0, made.stderr);
  const read = (name: string) => readFileSync(join(folder, 'tls', name), 'utf8');
  assert.match(made.stdout, /DNS:board\.local, IP Address:192\.168\.1\.5/);
  assert(made.stdout.includes(new X509Certificate(read('ca.pem')).fingerprint256));
  for (const name of ['ca.key', 'server.key']) assert.equal(statSync(join(folder, 'tls', name)).mode & 0o777, 0o600);

  const running = await startGateway(t, {
    config:
      '[[listen]]\naddress = "127.0.0.1:0"\ntls = { certificate = "s.pem", key = "s.key" }\n[static."/"]\nroot = "www"\n',
    files: { 's.pem': read('server.pem'), 's.key': read('server.key'), 'www/index.html': 'hello' },
  });
  const trusting = { ca: read('ca.pem'), servername: 'board.local', rejectUnauthorized: true };
  assert.equal((await askSecurely(running.port, '/', trusting)).body, 'hello');
  assert.equal(await running.stop(), 0);

  const authority = read('ca.pem');
  const before = read('server.pem');
  const again = await runnel(['tls', 'self-signed', '--days', '30', '-o', 'tls', 'other.local'], folder);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout, /^used {2}tls\/ca\.pem/);
  assert.equal(read('ca.pem'), authority);
  const renewed = new X509Certificate(read('server.pem'));
  assert.notEqual(read('server.pem'), before);
  assert(renewed.verify(new X509Certificate(authority).publicKey));
  assert.equal((Date.parse(renewed.validTo) - Date.parse(renewed.validFrom)) / 86_400_000, 30);
});

test('check: a file and a live server', async (t) => {
  const authority = new Authority('Nobody');
  const board = authority.server(['board.test']);
  const running = await startGateway(t, {
    config:
      '[[listen]]\naddress = "127.0.0.1:0"\ntls = { certificate = "b.pem", key = "b.key", ciphers = "modern" }\n[static."/"]\nroot = "."\n',
    files: { 'b.pem': board.certificate, 'b.key': board.pem },
  });
  writeFileSync(join(running.folder, 'chain.pem'), board.certificate);
  const file = await runnel(['tls', 'check', 'chain.pem'], running.folder);
  assert.equal(file.code, 1);
  assert.match(file.stdout, /^chain:\n0 {2}board\.test\n {3}ec prime256v1, .*, issued by Nobody\n/);
  assert.match(file.stdout, /refused by every device: it leads to "Nobody", which is in no public list/);
  const live = await runnel(['tls', 'check', `127.0.0.1:${running.port}`], running.folder);
  assert.equal(live.code, 1);
  assert.match(live.stdout, /^127\.0\.0\.1 speaks TLS 1\.3 only\n/);
  assert.equal(await running.stop(), 0);
});

test('what cannot be done', async (t) => {
  const folder = folderWith(t, { 'empty.pem': '' });
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [['check', './nowhere.pem'], 1, /nowhere\.pem does not exist/],
    [['check', 'empty.pem'], 1, /there is no certificate in empty\.pem/],
    [['check', '127.0.0.1:1'], 1, /^127\.0\.0\.1:1: connect ECONNREFUSED/],
    [['check'], 2, /needs one HOST\[:PORT\] or FILE/],
    [['check', 'a b'], 2, /is neither a file nor HOST/],
    [['self-signed'], 2, /needs names or addresses/],
    [['self-signed', 'not a host'], 2, /"not a host" is neither a host name nor an IP address/],
    [['self-signed', 'a.test', '--days', '500'], 2, /--days must be 1 to 397/],
    [['self-signed', 'a.test', '--colour', 'red'], 2, /has no flag --colour/],
    [['sing'], 2, /needs to be told what/],
  ];
  for (const [args, code, pattern] of cases) {
    const result = await runnel(['tls', ...args], folder);
    assert.equal(result.code, code, `${args.join(' ')}: ${result.stderr}`);
    assert.match(result.stderr, pattern);
  }
});
