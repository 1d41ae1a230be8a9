import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { serviceGroup } from '../../src/cli/service-unit.ts';
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

test('self-signed: half of an authority is not replaced, and a wrong one is told in a sentence', async (t) => {
  const folder = folderWith(t, {});
  const make = () => runnel(['tls', 'self-signed', 'board.local', '--out', 'tls'], folder);
  const at = (name: string) => join(folder, 'tls', name);
  assert.equal((await make()).code, 0);
  const before = readFileSync(at('server.pem'), 'utf8');
  renameSync(at('ca.key'), at('elsewhere'));
  const without = await make();
  assert.equal(without.code, 1);
  assert.match(
    without.stderr,
    /^tls\/ca\.pem exists, but its key tls\/ca\.key is missing, .*copy server\.pem and server\.key/,
  );
  renameSync(at('elsewhere'), at('ca.key'));
  writeFileSync(at('ca.pem'), new Authority('Another').certificate);
  const wrong = await make();
  assert.equal(wrong.code, 1);
  assert.match(
    wrong.stderr,
    /^the key in tls\/ca\.key does not belong to the certificate in tls\/ca\.pem \(Another\)\n$/,
  );
  assert.equal(readFileSync(at('server.pem'), 'utf8'), before, 'nothing was touched');
});

test('self-signed: a folder that it makes can be entered, whatever the umask', async (t) => {
  const folder = folderWith(t, {});
  const before = process.umask(0o077);
  t.after(() => process.umask(before));
  const made = await runnel(['tls', 'self-signed', 'board.local', '--out', 'a/b'], folder);
  assert.equal(made.code, 0, made.stderr);
  assert.deepEqual(
    ['a', 'a/b', 'a/b/server.pem', 'a/b/server.key'].map((path) => statSync(join(folder, path)).mode & 0o777),
    [0o755, 0o755, 0o644, 0o600],
  );
  assert.match(
    made.stdout,
    /Only the user \S+ may read a\/b\/server\.key\. If the gateway runs as another user: chgrp GROUP/,
  );
});

test('the group that the service runs as, for a folder below its configuration', (t) => {
  const root = folderWith(t, {
    'lib/systemd/system/runnel.service':
      '[Service]\nExecStart=/usr/bin/runnel serve -c /etc/runnel/runnel.toml\nUser=runnel\n',
    'etc/passwd':
      'root:x:0:0::/root:/bin/sh\nrunnel:x:110:111::/var/lib/runnel:/bin/false\npi:x:1000:1000::/:/bin/sh\n',
    'etc/group': 'root:x:0:\nrunnel:x:111:\npi:x:1000:\nweb:x:33:\n',
  });
  const dropIn = (text: string) => {
    mkdirSync(join(root, 'etc/systemd/system/runnel.service.d'), { recursive: true });
    writeFileSync(join(root, 'etc/systemd/system/runnel.service.d/x.conf'), `[Service]\n${text}\n`);
  };
  assert.deepEqual(serviceGroup('/etc/runnel/tls', root), { name: 'runnel', id: 111 });
  assert.deepEqual(serviceGroup('/etc/runnel', root), { name: 'runnel', id: 111 });
  assert.equal(serviceGroup('/etc/runnels', root), undefined);
  assert.equal(serviceGroup('/home/pi', root), undefined);
  dropIn('User=pi');
  assert.deepEqual(serviceGroup('/etc/runnel/tls', root), { name: 'pi', id: 1000 });
  dropIn('Group=web');
  assert.deepEqual(serviceGroup('/etc/runnel/tls', root), { name: 'web', id: 33 });
  dropIn('User=root');
  assert.equal(serviceGroup('/etc/runnel/tls', root), undefined);
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
  assert.match(file.stdout, /refused by every device: its root is "Nobody", which is in no public list/);
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
    [['check', '127.0.0.1:1'], 1, /^127\.0\.0\.1:1: nothing listens on this port of the host \(ECONNREFUSED\)/],
    [['check'], 2, /needs one HOST\[:PORT\] or FILE/],
    [['check', 'a b'], 2, /is neither a file nor HOST/],
    [['self-signed'], 2, /needs names or addresses/],
    [['self-signed', 'not a host'], 2, /"not a host" is neither a host name nor an IP address/],
    [['self-signed', 'a.test', '--days', '500'], 2, /--days must be from 1 to 397/],
    [['self-signed', 'a.test', '--colour', 'red'], 2, /has no flag --colour/],
    [['self-signed', 'a.test', '--out', 'empty.pem/x'], 73, /^ENOTDIR: .*empty\.pem\/x'\n$/],
    [['sing'], 2, /runnel tls needs "check HOST\|FILE" or "self-signed NAME"; it has no "sing"/],
  ];
  for (const [args, code, pattern] of cases) {
    const result = await runnel(['tls', ...args], folder);
    assert.equal(result.code, code, `${args.join(' ')}: ${result.stderr}`);
    assert.match(result.stderr, pattern);
  }
});
