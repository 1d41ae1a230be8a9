/** TLS from the outside: the real gateway, real clients. */
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { type ConnectionOptions, connect as connectSecurely } from 'node:tls';
import type { ClientOptions } from 'ws';
import { Authority, type Made, revocationList } from '../../support/certificates.ts';
import { ask, refused, TestSocket } from '../../support/client.ts';
import { type LogLine, startGateway } from '../../support/gateway.ts';
import { askSecurely, handshake, sessionOf, shownTo } from '../../support/https.ts';
import { until } from '../../support/processes.ts';
import { rawRequest } from '../../support/raw.ts';

const authority = new Authority();
const board = authority.server(['board.test', '127.0.0.1']);
const LISTEN = '[[listen]]\naddress = "127.0.0.1:0"\n';
/** `auto` brings to `uws` whom it can serve. Its TLS does not answer ALPN, so that tells whose a connection is. */
const ENGINES = ['auto', 'node'] as const;
const ENVIRONMENT = '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; env\n';

function pair(name: string, made: Made): { readonly [path: string]: string } {
  return { [`${name}.pem`]: made.certificate, [`${name}.key`]: made.pem };
}

async function resumes(port: number, options: ConnectionOptions): Promise<boolean> {
  const socket = await handshake(port, options);
  const reused = socket.isSessionReused();
  socket.destroy();
  return reused;
}

test('a page that came over plain HTTP is of another origin', async (t) => {
  const running = await startGateway(t, {
    config: `
${LISTEN}tls = { certificate = "board.pem", key = "board.key" }
${LISTEN}
[cgi."/form"]
command = ["./env.cgi"]
cross_site = "refuse"
[stream."/cat"]
command = ["cat"]
[connections]
trusted_proxies = ["127.0.0.2"]
`,
    files: { 'env.cgi': ENVIRONMENT, ...pair('board', board) },
  });
  const [secure = 0, plain = 0] = running.ports;
  const page = (scheme: string, port: number): string => `${scheme}://127.0.0.1:${port}`;
  const opens = async (url: string, options: ClientOptions): Promise<boolean> => {
    const socket = await TestSocket.open(url, { ca: authority.certificate, ...options });
    socket.ws.close();
    await socket.closed;
    return true;
  };
  const status = async (url: string, options: ClientOptions): Promise<number> =>
    (await refused(url, { ca: authority.certificate, ...options })).status;

  assert(await opens(`${page('wss', secure)}/cat`, { origin: page('https', secure) }));
  assert.equal(await status(`${page('wss', secure)}/cat`, { origin: page('http', secure) }), 403);
  for (const [scheme, expected] of [
    ['https', 200],
    ['http', 403],
  ] as const)
    for (const field of ['Origin', 'Referer'])
      assert.equal(
        (
          await askSecurely(secure, '/form', {
            method: 'POST',
            headers: { [field]: page(scheme, secure), Host: `127.0.0.1:${secure}` },
          })
        ).status,
        expected,
        `${field} ${scheme}`,
      );

  const from = (localAddress: string, scheme: string, proto?: string) => {
    const said = proto === undefined ? {} : { 'X-Forwarded-Proto': proto };
    return { localAddress, origin: page(scheme, plain), headers: { 'X-Forwarded-For': '203.0.113.7', ...said } };
  };
  const url = `${page('ws', plain)}/cat`;
  assert.equal(await status(url, from('127.0.0.1', 'https', 'https')), 403, 'no proxy of ours');
  assert(await opens(url, from('127.0.0.2', 'https', 'https')));
  assert.equal(await status(url, from('127.0.0.2', 'http', 'https')), 403);
  assert.equal(await status(url, from('127.0.0.2', 'https', 'http')), 403);
  assert(await opens(url, from('127.0.0.2', 'https')));
  assert(await opens(url, from('127.0.0.2', 'http')));
  await running.logged((line) => /send X-Forwarded-Proto/.test(String(line['because'])));
});

for (const engine of ENGINES)
  test(`${engine}: pages, programs and WebSockets over TLS; plain HTTP is sent there`, async (t) => {
    const running = await startGateway(t, {
      config: `
${LISTEN}engine = "${engine}"
tls = { certificate = "board.pem", key = "board.key", hsts = "180d" }
${LISTEN}redirect = "https"
${LISTEN}redirect = "https:443"
[static."/"]
root = "www"
[cgi."/env"]
command = ["./env.cgi"]
[stream."/cat"]
command = ["cat"]
[admin]
listen = "127.0.0.1:0"
`,
      files: { 'www/index.html': 'hello', 'env.cgi': ENVIRONMENT, ...pair('board', board) },
    });
    const [secure = 0, plain = 0, mapped = 0, admin = 0] = running.ports;
    const page = await askSecurely(secure, '/', { ca: authority.certificate, rejectUnauthorized: true });
    assert.deepEqual([page.status, page.body, page.shown], [200, 'hello', 'board.test']);
    assert.equal(page.headers['strict-transport-security'], 'max-age=15552000');
    const missing = await askSecurely(secure, '/nothing');
    assert.deepEqual([missing.status, missing.headers['strict-transport-security']], [404, 'max-age=15552000']);

    const { body: environment } = await askSecurely(secure, '/env');
    for (const line of [
      'HTTPS=on',
      'REQUEST_SCHEME=https',
      'SSL_CLIENT_VERIFY=NONE',
      ...(engine === 'node' ? ['SSL_PROTOCOL=TLSv1.3', 'SSL_CIPHER=TLS_[A-Z0-9_]+', 'SSL_TLS_SNI=board.test'] : []),
    ])
      assert.match(environment, new RegExp(`^${line}$`, 'm'));
    if (engine === 'auto') assert.doesNotMatch(environment, /^SSL_(PROTOCOL|CIPHER|TLS_SNI)=/m);

    const socket = await TestSocket.open(`wss://127.0.0.1:${secure}/cat`, { ca: authority.certificate });
    socket.ws.send('hello');
    assert.deepEqual(await socket.first(1), ['hello']);
    socket.ws.close();
    await socket.closed;

    const get = await ask(plain, '/a/b%20c?d=e&f', { headers: { host: 'board.test:8080' } });
    assert.equal(get.status, 301);
    assert.equal(get.headers['location'], `https://board.test:${secure}/a/b%20c?d=e&f`);
    assert.equal(get.headers['strict-transport-security'], undefined);
    const post = await ask(mapped, '/form', { method: 'POST', body: 'x=1', headers: { host: '[::1]:80' } });
    assert.deepEqual([post.status, post.headers['location']], [308, 'https://[::1]/form']);
    assert.equal((await rawRequest(plain, 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n')).status, 400);
    assert.equal(
      (await ask(plain, '//evil.test/', { headers: { host: 'board.test' } })).headers['location'],
      `https://board.test:${secure}/evil.test/`,
    );

    const wrong = await rawRequest(secure, 'GET / HTTP/1.1\r\nHost: board.test\r\n\r\n');
    assert.equal(wrong.status, 400);
    assert.match(wrong.body.toString(), /This port accepts HTTPS only/);
    await running.logged(({ message }) => message === 'refused: plain HTTP on a TLS port');

    const ready = await ask(admin, '/readyz');
    assert.equal(ready.status, 200);
    assert.match(
      ready.body,
      /^ready\ncertificate board\.test on 127\.0\.0\.1:0: valid until \d{4}-\d\d-\d\d \(89 days\)\n$/,
    );
    const metrics = (await ask(admin, '/metrics')).body;
    const expiry = Number(
      /^runnel_tls_certificate_expiry_timestamp_seconds\{listener="127\.0\.0\.1:0",name="board\.test"\} (\d+)$/m.exec(
        metrics,
      )?.[1],
    );
    assert(Math.abs(expiry - (Date.now() / 1000 + 90 * 86_400)) < 3600);
    assert.match(metrics, /^runnel_http_refused_total\{listener="127\.0\.0\.1:0"\} 1$/m);
    assert.equal(await running.stop(), 0);
  });

for (const engine of ENGINES)
  test(`${engine}: several certificates: by name, by wildcard, and a default`, async (t) => {
    const names = ['default.test', 'a.test', '*.b.test'] as const;
    const [first, ...others] = names.map((name, at) => ({ file: `c${at}`, made: authority.server([name]) }));
    assert(first !== undefined);
    const further = others.map(({ file }) => `{ certificate = "${file}.pem", key = "${file}.key" }`).join(', ');
    const running = await startGateway(t, {
      config: `${LISTEN}engine = "${engine}"\ntls = { certificate = "${first.file}.pem", key = "${first.file}.key", certificates = [${further}] }\n[static."/"]\nroot = "."\n`,
      files: Object.assign({}, ...[first, ...others].map(({ file, made }) => pair(file, made))),
    });
    const cases: readonly (readonly [string | undefined, string])[] = [
      ['a.test', 'a.test'],
      ['A.TEST', 'a.test'],
      ['x.b.test', '*.b.test'],
      ['b.test', 'default.test'],
      ['x.y.b.test', 'default.test'],
      ['other.test', 'default.test'],
      [undefined, 'default.test'],
    ];
    for (const [asked, expected] of cases)
      assert.equal(await shownTo(running.port, asked), expected, `asked for ${asked}`);
    assert.equal(await running.stop(), 0);
  });

for (const engine of ENGINES)
  test(`${engine}: versions, suites, ALPN and resumption`, async (t) => {
    const listen = `${LISTEN}engine = "${engine}"\n`;
    const tls = 'certificate = "board.pem", key = "board.key"';
    const running = await startGateway(t, {
      config: `${listen}tls = { ${tls} }\n${listen}tls = { ${tls}, ciphers = "modern" }\n${listen}tls = { ${tls}, minimum_version = "1.3" }\n[static."/"]\nroot = "."\n`,
      files: pair('board', board),
    });
    const [intermediate = 0, modern = 0, only13 = 0] = running.ports;
    const version = async (port: number, wanted: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3') => {
      const ciphers = wanted === 'TLSv1.1' ? { ciphers: 'DEFAULT@SECLEVEL=0' } : {};
      const socket = await handshake(port, { minVersion: wanted, maxVersion: wanted, ...ciphers }).catch(
        () => undefined,
      );
      socket?.destroy();
      return socket !== undefined;
    };
    for (const [port, ...expected] of [
      [intermediate, false, true, true],
      [modern, false, false, true],
      [only13, false, false, true],
    ] as const)
      for (const [at, wanted] of (['TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const).entries())
        assert.equal(await version(port, wanted), expected[at], `${wanted} on listener ${port}`);

    for (const [ciphers, works] of [
      ['ECDHE-ECDSA-AES128-GCM-SHA256', true],
      ['ECDHE-ECDSA-CHACHA20-POLY1305', true],
      ['ECDHE-ECDSA-AES128-SHA', false],
      ['ECDHE-ECDSA-AES256-SHA384', false],
    ] as const) {
      const socket = await handshake(intermediate, { maxVersion: 'TLSv1.2', ciphers }).catch(() => undefined);
      assert.equal(socket !== undefined, works, ciphers);
      socket?.destroy();
    }
    const prefers = await handshake(intermediate, {
      maxVersion: 'TLSv1.2',
      ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256',
    });
    assert.equal(prefers.getCipher().name, 'ECDHE-ECDSA-CHACHA20-POLY1305', 'who prefers ChaCha20 gets it');
    prefers.destroy();

    const alpn = await handshake(intermediate, { ALPNProtocols: ['h2', 'http/1.1'] });
    assert.equal(alpn.alpnProtocol, engine === 'node' ? 'http/1.1' : false);
    alpn.destroy();
    await assert.rejects(handshake(intermediate, { ALPNProtocols: ['h2'] }), /no application protocol/);
    // As `curl --http1.0` does.
    const old = await handshake(intermediate, { ALPNProtocols: ['http/1.0'] });
    assert.equal(old.alpnProtocol, 'http/1.0');
    old.destroy();

    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const session = await sessionOf(intermediate, { maxVersion });
      assert.equal(await resumes(intermediate, { maxVersion, session }), true, maxVersion);
    }
    assert.equal(await running.stop(), 0);
  });

for (const engine of ENGINES)
  test(`${engine}: HUP: new connections get the new certificate, open ones go on, a broken one changes nothing`, async (t) => {
    const old = authority.server(['old.test']);
    const running = await startGateway(t, {
      config: `${LISTEN}engine = "${engine}"\ntls = { certificate = "board.pem", key = "board.key" }\n[static."/"]\nroot = "."\n[stream."/cat"]\ncommand = ["cat"]\n[admin]\nlisten = "127.0.0.1:0"\n`,
      files: pair('board', old),
    });
    const [port = 0, admin = 0] = running.ports;
    const socket = await TestSocket.open(`wss://127.0.0.1:${port}/cat`, { rejectUnauthorized: false });
    const put = (content: string, name: string) => {
      writeFileSync(join(running.folder, 'next'), content);
      renameSync(join(running.folder, 'next'), join(running.folder, name));
    };
    const before = await sessionOf(port, {});
    assert.equal(await resumes(port, { session: before }), true);
    const next = authority.server(['new.test']);
    put(next.pem, 'board.key');
    put(next.certificate, 'board.pem');
    running.process.kill('SIGHUP');
    await running.logged(({ message }) => message === 'new certificates are served: new.test');
    assert.equal(await shownTo(port, 'old.test'), 'new.test');
    socket.ws.send('still here');
    assert.deepEqual(await socket.first(1), ['still here']);
    // Only sessions that began with the new certificate are resumed.
    assert.equal(await resumes(port, { session: before }), false);
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
      assert.equal(await resumes(port, { maxVersion, session: await sessionOf(port, { maxVersion }) }), true);

    put('nonsense', 'board.pem');
    running.process.kill('SIGHUP');
    const line = await running.logged(({ message }) => message.startsWith('the new certificate files cannot be used'));
    assert.match(line.message, /the old certificates stay in use: there is no certificate in .*board\.pem/);
    assert.equal(line.level, 'error');
    assert.equal(await shownTo(port, 'old.test'), 'new.test');
    const metrics = (await ask(admin, '/metrics')).body;
    assert.match(metrics, /^runnel_tls_certificate_reloads_total\{listener="127\.0\.0\.1:0",result="failed"\} 1$/m);
    assert.match(
      metrics,
      /runnel_tls_certificate_expiry_timestamp_seconds\{listener="127\.0\.0\.1:0",name="new\.test"\}/,
    );
    assert(!metrics.includes('name="old.test"'));
    socket.ws.send('and still');
    assert.deepEqual(await socket.first(2), ['still here', 'and still']);

    put(old.pem, 'board.key');
    put(old.certificate, 'board.pem');
    running.process.kill('SIGHUP');
    await running.logged(({ message }) => message === 'new certificates are served: old.test');
    assert.equal(await shownTo(port, 'old.test'), 'old.test');
    socket.ws.send('all the time');
    assert.deepEqual((await socket.first(3))[2], 'all the time');
    assert.equal(await running.stop(), 0);
  });

test('a reload with other certificate files drops nobody, and can be refused', async (t) => {
  const config = (tls: string, more = '') =>
    `stop_timeout = "1s"\n${LISTEN}tls = { ${tls} }\n[static."/"]\nroot = "."\n[stream."/cat"]\ncommand = ["cat"]\n[admin]\nlisten = "127.0.0.1:0"\n${more}`;
  const people = new Authority('People');
  const alice = people.client('Alice');
  const running = await startGateway(t, {
    config: config('certificate = "one.pem", key = "one.key"'),
    files: {
      ...pair('one', authority.server(['one.test'])),
      ...pair('two', authority.server(['two.test'])),
      'people.pem': people.certificate,
    },
  });
  const [port = 0, admin = 0] = running.ports;
  const socket = await TestSocket.open(`wss://127.0.0.1:${port}/cat`, { rejectUnauthorized: false });
  const reload = async (text: string): Promise<LogLine> => {
    const results = () => running.log.filter(({ message }) => /^the configuration is (not )?reloaded/.test(message));
    const before = results().length;
    writeFileSync(join(running.folder, 'runnel.toml'), text);
    running.process.kill('SIGHUP');
    await until('the reload', () => results().length > before);
    const line = results().at(-1);
    assert(line !== undefined);
    return line;
  };
  const two = 'certificate = "two.pem", key = "two.key"';
  assert.equal((await reload(config(two)))['changed'], 'listen "127.0.0.1:0"');
  assert.equal(await shownTo(port, undefined), 'two.test');
  const metrics = (await ask(admin, '/metrics')).body;
  assert.match(
    metrics,
    /runnel_tls_certificate_expiry_timestamp_seconds\{listener="127\.0\.0\.1:0",name="two\.test"\}/,
  );
  assert(!metrics.includes('name="one.test"'));
  socket.ws.send('still here');
  assert.deepEqual(await socket.first(1), ['still here']);

  // What does not fit together is an error of the configuration.
  const refused = await reload(config('certificate = "two.pem", key = "one.key"', '[cgi."/x"]\ncommand = ["true"]\n'));
  assert.match(refused.message, /1 problem$/);
  assert.equal(await shownTo(port, undefined), 'two.test');
  assert.equal((await askSecurely(port, '/x', {})).status, 404);
  // The files that are watched are the new ones.
  writeFileSync(join(running.folder, 'one.pem'), 'nonsense');
  assert.equal((await reload(config(two, '# again\n')))['kept'], 4);

  // Whether clients are asked at all: another listener in its place.
  const place = `127.0.0.1:${port}`;
  const strict = config(`${two}, client = { ca = "people.pem" }`).replace('127.0.0.1:0', place);
  assert.equal((await reload(strict))['changed'], `listen "${place}"`);
  assert.equal((await askSecurely(port, '/one.key', {})).status, 403);
  assert.equal((await askSecurely(port, '/one.key', { cert: alice.certificate, key: alice.pem })).status, 200);
  assert.equal((await socket.closed).code, 1006);
  const milder = await reload(strict.replace('client = {', 'client = { mode = "optional",'));
  assert.equal(milder['changed'], `listen "${place}"`);
  assert.equal((await askSecurely(port, '/one.key', {})).status, 200);
  assert.equal(await running.stop(), 0);
});

test('a change of the files is noticed without a signal', async (t) => {
  const running = await startGateway(t, {
    config: `${LISTEN}tls = { certificate = "board.pem", key = "board.key" }\n[static."/"]\nroot = "."\n`,
    files: pair('board', authority.server(['old.test'])),
  });
  const next = authority.server(['new.test']);
  writeFileSync(join(running.folder, 'board.key'), next.pem);
  writeFileSync(join(running.folder, 'board.pem'), next.certificate);
  await running.logged(({ message }) => message === 'new certificates are served: new.test');
  assert.equal(await shownTo(running.port, undefined), 'new.test');
  assert.equal(await running.stop(), 0);
});

test('an expired certificate is served, and everybody is told', async (t) => {
  const running = await startGateway(t, {
    config: `${LISTEN}tls = { certificate = "board.pem", key = "board.key" }\n[static."/"]\nroot = "."\n[admin]\nlisten = "127.0.0.1:0"\n`,
    files: pair('board', authority.server(['board.test'], { from: -9, to: -1 })),
  });
  const [port = 0, admin = 0] = running.ports;
  assert.equal(await shownTo(port, undefined), 'board.test');
  await running.logged(
    ({ message, level }) => level === 'error' && /^the certificate for board\.test expired on /.test(message),
  );
  const ready = await ask(admin, '/readyz');
  assert.deepEqual([ready.status, ready.body.split('\n')[0]], [503, 'not ready']);
  assert.match(ready.body, /certificate board\.test on .*: expired on /);
  assert.equal(await running.stop(), 0);
});

test('client certificates: required, optional, of another authority, revoked', async (t) => {
  const people = new Authority('People');
  const alice = people.client('Alice, "A" = Ärztin');
  const mallory = new Authority('Others').client('Mallory');
  const revoked = people.client('Revoked');
  const late = people.client('Late', { from: -9, to: -1 });
  const tls = (client: string) => `tls = { certificate = "board.pem", key = "board.key", client = { ${client} } }`;
  const running = await startGateway(t, {
    config: `${LISTEN}${tls('ca = "people.pem", crl = "people.crl"')}\n${LISTEN}${tls('mode = "optional", ca = "people.pem"')}\n${LISTEN}${tls('mode = "off", ca = "people.pem"')}\n[cgi."/env"]\ncommand = ["./env.cgi"]\n[cgi."/members"]\ncommand = ["./env.cgi"]\nauth = { client_certificate = true }\n`,
    files: {
      ...pair('board', board),
      'people.pem': people.certificate,
      'people.crl': revocationList(people, [revoked]),
      'env.cgi': ENVIRONMENT,
    },
  });
  const [required = 0, optional = 0, off = 0] = running.ports;
  const as = (port: number, who: Made | undefined) =>
    askSecurely(port, '/env', who === undefined ? {} : { cert: who.certificate, key: who.pem });

  const welcome = await as(required, alice);
  assert.equal(welcome.status, 200);
  assert.match(welcome.body, /^SSL_CLIENT_VERIFY=SUCCESS$/m);
  assert.match(welcome.body, /^SSL_CLIENT_S_DN_CN=Alice, "A" = Ärztin$/m);
  assert.match(welcome.body, /^SSL_CLIENT_S_DN=CN=Alice\\, .*Ärztin$/m);
  assert.match(welcome.body, /^SSL_CLIENT_I_DN=CN=People$/m);
  assert.match(welcome.body, /^SSL_CLIENT_M_SERIAL=[0-9A-F]+$/m);
  assert.match(welcome.body, /^SSL_CLIENT_FINGERPRINT_SHA256=([0-9A-F]{2}:){31}[0-9A-F]{2}$/m);

  for (const [who, reason] of [
    [undefined, /the client sent no certificate/],
    [mallory, /is not accepted \(/],
    [revoked, /is not accepted \(CERT_REVOKED\)/],
    [late, /is not accepted \(CERT_HAS_EXPIRED\)/],
  ] as const) {
    const refused = await as(required, who);
    assert.equal(refused.status, 403);
    assert.match(refused.body, reason);
  }
  await assert.rejects(TestSocket.open(`wss://127.0.0.1:${required}/env`, { rejectUnauthorized: false }), /403/);

  assert.match((await as(optional, undefined)).body, /^SSL_CLIENT_VERIFY=NONE$/m);
  assert.match((await as(optional, alice)).body, /^SSL_CLIENT_VERIFY=SUCCESS$/m);
  const stranger = (await as(optional, mallory)).body;
  assert.match(stranger, /^SSL_CLIENT_VERIFY=FAILED:[A-Z_]+$/m);
  assert(!stranger.includes('SSL_CLIENT_S_DN'), 'who is not verified has no name');
  const members = (who: Made | undefined) =>
    askSecurely(optional, '/members', who === undefined ? {} : { cert: who.certificate, key: who.pem });
  assert.match((await members(alice)).body, /^REMOTE_USER=Alice, "A" = Ärztin$/m);
  for (const who of [undefined, mallory, late]) assert.equal((await members(who)).status, 403);
  assert.match((await as(off, alice)).body, /^SSL_CLIENT_VERIFY=NONE$/m);

  // Revoked while it runs; and no resumed session gets around it.
  const session = await sessionOf(required, { cert: alice.certificate, key: alice.pem });
  writeFileSync(join(running.folder, 'people.crl'), revocationList(people, [revoked, alice]));
  running.process.kill('SIGHUP');
  await until('the list is read', async () => (await as(required, alice)).status === 403);
  if (session !== undefined) {
    const again = await handshake(required, { cert: alice.certificate, key: alice.pem, session });
    assert.equal(again.isSessionReused(), false);
    again.destroy();
  }
  assert.equal(await running.stop(), 0);
});

test('keys of every kind and form, decrypted and given to each engine', async (t) => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
  const ed25519 = generateKeyPairSync('ed25519').privateKey;
  const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey;
  const locked = { format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' } as const;
  const plain = { format: 'pem' } as const;
  // Whose TLS the client meets: OpenSSL answers ALPN.
  const cases: readonly (readonly [name: string, key: KeyObject, pem: string | Buffer, served: false | 'http/1.1'])[] =
    [
      ['pkcs1', rsa, rsa.export({ type: 'pkcs1', ...plain }), false],
      ['pkcs1-locked', rsa, rsa.export({ type: 'pkcs1', ...locked }), false],
      [
        'rsa-4096',
        rsa,
        generateKeyPairSync('rsa', { modulusLength: 4096 }).privateKey.export({ type: 'pkcs8', ...plain }),
        false,
      ],
      ['rsa-locked', rsa, rsa.export({ type: 'pkcs8', ...locked }), false],
      ['sec1', board.key, board.key.export({ type: 'sec1', ...plain }), false],
      ['sec1-locked', board.key, board.key.export({ type: 'sec1', ...locked }), false],
      ['p384', p384, p384.export({ type: 'sec1', ...plain }), false],
      ['p384-locked', p384, p384.export({ type: 'pkcs8', ...locked }), false],
      ['ed25519', ed25519, ed25519.export({ type: 'pkcs8', ...plain }), false],
      ['ed25519-locked', ed25519, ed25519.export({ type: 'pkcs8', ...locked }), false],
      ['rsa-pss', pss, pss.export({ type: 'pkcs8', ...plain }), 'http/1.1'],
    ];
  const files: Record<string, string> = { secret: 'secret' };
  const listeners = cases.map(([name, key, pem]) => {
    const text = String(pem);
    const made = authority.server([`${name}.test`], { key: name === 'rsa-4096' ? createPrivateKey(text) : key });
    files[`${name}.pem`] = made.certificate + text;
    const passphrase = text.includes('ENCRYPTED') ? ', passphrase_file = "secret"' : '';
    return `${LISTEN}tls = { certificate = "${name}.pem"${passphrase} }\n`;
  });
  const running = await startGateway(t, { config: `${listeners.join('')}[static."/"]\nroot = "."\n`, files });
  for (const [at, [name, , , served]] of cases.entries())
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const port = running.ports[at] ?? 0;
      const socket = await handshake(port, { maxVersion, ALPNProtocols: ['http/1.1'] });
      const facts = [socket.getPeerCertificate().subject.CN, socket.alpnProtocol, socket.getProtocol()];
      assert.deepEqual(facts, [`${name}.test`, served, maxVersion]);
      socket.destroy();
      assert.equal((await askSecurely(port, '/secret', { maxVersion })).body, 'secret');
    }
  // Only OpenSSL has finite fields, and heeds a client's small buffers.
  const ciphers = 'DHE-RSA-AES128-GCM-SHA256';
  const fields = await handshake(running.port, { maxVersion: 'TLSv1.2', ciphers });
  assert.equal(fields.getCipher().name, ciphers);
  fields.destroy();
  assert.equal(await running.stop(), 0);
});

test('a hello in pieces, and a client that speaks no TLS, are served all the same', async (t) => {
  const running = await startGateway(t, {
    config: `${LISTEN}tls = { certificate = "board.pem", key = "board.key" }\n[static."/"]\nroot = "www"\n`,
    files: { 'www/index.html': 'hello', ...pair('board', board) },
  });
  for (const size of [1, 5, 6, 100, 200]) {
    const raw = connect({ host: '127.0.0.1', port: running.port });
    await once(raw, 'connect');
    // What TLS writes goes out in pieces of this size, each in a packet of its own.
    const slow = new Duplex({
      read() {},
      write(bytes: Buffer, _, done) {
        void (async () => {
          for (let at = 0; at < bytes.length; at += size) {
            raw.write(bytes.subarray(at, at + size));
            if (at < 4 * size) await new Promise((resolve) => setTimeout(resolve, 5));
          }
        })().then(() => done(), done);
      },
    });
    raw.setNoDelay(true);
    raw.on('data', (bytes: Buffer) => slow.push(bytes));
    const secure = connectSecurely({ socket: slow, servername: 'board.test', ca: authority.certificate });
    await once(secure, 'secureConnect');
    secure.write('GET / HTTP/1.1\r\nHost: board.test\r\n\r\n');
    const [answer] = (await once(secure, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 200 /, `pieces of ${size}`);
    secure.destroy();
    raw.destroy();
  }
  for (const method of ['GET', 'HEAD', 'POST', 'PUT']) {
    const wrong = await rawRequest(running.port, `${method} / HTTP/1.1\r\nHost: board.test\r\n\r\n`, method);
    assert.equal(wrong.status, 400, method);
  }
  assert.equal(await running.stop(), 0);
});

test('an encrypted key is never written down decrypted, and its passphrase never logged', async (t) => {
  const secret = 'a passphrase that nobody else has';
  const encrypted = board.key
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: secret })
    .toString();
  const running = await startGateway(t, {
    config: `${LISTEN}tls = { certificate = "board.pem", key = "board.key", passphrase_env = "BOARD_PASS" }\n[cgi."/env"]\ncommand = ["./env.cgi"]\n`,
    files: { 'board.pem': board.certificate, 'board.key': encrypted, 'env.cgi': ENVIRONMENT },
    env: { BOARD_PASS: secret },
  });
  const { body } = await askSecurely(running.port, '/env');
  assert(!body.includes(secret), 'programs do not inherit it');
  assert(!JSON.stringify(running.log).includes(secret));
  assert.equal(readFileSync(join(running.folder, 'board.key'), 'utf8'), encrypted);
  assert.equal(await running.stop(), 0);
});
