/** Client certificates over HTTP/2, through the whole gateway: the same as over HTTP/1.1, for each request of a connection. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import type { SecureClientSessionOptions } from 'node:http2';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Authority, type Made, revocationList } from '../../../support/certificates.ts';
import { type Running, startGateway } from '../../../support/gateway.ts';
import { type Answer2, ask2, openSession } from '../../../support/http2.ts';
import { Http2Socket } from '../../../support/http2-socket.ts';
import { until } from '../../../support/processes.ts';

const people = new Authority('People');
const alice = people.client('Alice');
const revoked = people.client('Revoked');
const late = people.client('Late', { from: -9, to: -1 });
const mallory = new Authority('Others').client('Mallory');
const board = new Authority().server(['board.test']);
const ENVIRONMENT = '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; env\n';

async function start(t: TestContext): Promise<Running> {
  const listen = (client: string): string =>
    `[[listen]]\naddress = "127.0.0.1:0"\nhttp2 = true\ntls = { certificate = "board.pem", key = "board.key"${client} }\n`;
  return await startGateway(t, {
    config: [
      listen(', client = { ca = "people.pem", crl = "people.crl" }'),
      listen(', client = { mode = "optional", ca = "people.pem" }'),
      listen(', client = { mode = "off", ca = "people.pem" }'),
      listen(''),
      '[cgi."/env"]\ncommand = ["./env.cgi"]\n',
      '[cgi."/members"]\ncommand = ["./env.cgi"]\nauth = { client_certificate = true }\n',
      '[stream."/cat"]\ncommand = ["cat"]\n',
    ].join(''),
    files: {
      'board.pem': board.certificate,
      'board.key': board.pem,
      'people.pem': people.certificate,
      'people.crl': revocationList(people, [revoked]),
      'env.cgi': ENVIRONMENT,
    },
  });
}

function identityOf(who: Made | undefined): SecureClientSessionOptions {
  return who === undefined ? {} : { cert: who.certificate, key: who.pem };
}

/** Two requests on one connection, which are answered alike. */
async function askAs(port: number, who: Made | undefined, path = '/env'): Promise<Answer2> {
  const session = await openSession(port, identityOf(who));
  const [first, second] = [await ask2(session, { ':path': path }), await ask2(session, { ':path': path })];
  session.close();
  assert.equal(first.status, second.status);
  return first;
}

/** The variables that the program has of the connection's TLS. */
function variables({ status, body }: Answer2): { readonly [name: string]: string } {
  assert.equal(status, 200, body.toString());
  const lines = body
    .toString()
    .split('\n')
    .filter((line) => /^(SSL_|HTTPS|REMOTE_USER|SERVER_PROTOCOL)/.test(line));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

test('required: who shows one is let in and known; nobody else is', async (t) => {
  const running = await start(t);
  const [required = 0] = running.ports;
  const known = variables(await askAs(required, alice));
  assert.deepEqual([known['SERVER_PROTOCOL'], known['HTTPS']], ['HTTP/2.0', 'on']);
  assert.deepEqual([known['SSL_PROTOCOL'], known['SSL_TLS_SNI']], ['TLSv1.3', 'board.test']);
  assert.match(known['SSL_CIPHER'] ?? '', /^TLS_/);
  assert.equal(known['SSL_CLIENT_VERIFY'], 'SUCCESS');
  assert.deepEqual([known['SSL_CLIENT_S_DN'], known['SSL_CLIENT_S_DN_CN']], ['CN=Alice', 'Alice']);
  assert.equal(known['SSL_CLIENT_I_DN'], 'CN=People');
  assert.match(known['SSL_CLIENT_M_SERIAL'] ?? '', /^[0-9A-F]+$/);
  assert.match(known['SSL_CLIENT_FINGERPRINT_SHA256'] ?? '', /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  assert.match(known['SSL_CLIENT_V_END'] ?? '', / GMT$/);

  for (const [who, reason] of [
    [undefined, /the client sent no certificate/],
    [mallory, /is not accepted \(/],
    [revoked, /is not accepted \(CERT_REVOKED\)/],
    [late, /is not accepted \(CERT_HAS_EXPIRED\)/],
  ] as const) {
    const lines = running.log.length;
    const refused = await askAs(required, who);
    assert.equal(refused.status, 403);
    assert.match(refused.body.toString(), reason);
    // Each of them is logged.
    const told = () =>
      running.log.slice(lines).filter(({ message }) => /^refused: /.test(message) && reason.test(message));
    await until('two lines', () => told().length === 2);
  }
  const stranger = await openSession(required);
  assert.equal((await Http2Socket.open(stranger, '/cat')).status, 403);
  stranger.close();
  const session = await openSession(required, identityOf(alice));
  const socket = await Http2Socket.open(session, '/cat');
  assert.equal(socket.status, 200);
  socket.send('hello');
  assert.deepEqual(await socket.first(1), ['hello']);
  session.destroy();
  assert.equal(await running.stop(), 0);
});

test('optional, off, and a listener that does not ask', async (t) => {
  const running = await start(t);
  const [, optional = 0, off = 0, none = 0] = running.ports;
  assert.equal(variables(await askAs(optional, undefined))['SSL_CLIENT_VERIFY'], 'NONE');
  assert.equal(variables(await askAs(optional, alice))['SSL_CLIENT_S_DN_CN'], 'Alice');
  for (const who of [mallory, late]) {
    const unknown = variables(await askAs(optional, who));
    assert.match(unknown['SSL_CLIENT_VERIFY'] ?? '', /^FAILED:[A-Z_]+$/);
    assert.deepEqual(
      Object.keys(unknown).filter((name) => name.startsWith('SSL_CLIENT_')),
      ['SSL_CLIENT_VERIFY'],
    );
  }
  assert.equal(variables(await askAs(optional, alice, '/members'))['REMOTE_USER'], 'Alice');
  for (const who of [undefined, mallory, late]) assert.equal((await askAs(optional, who, '/members')).status, 403);
  for (const port of [off, none]) {
    const unasked = variables(await askAs(port, alice));
    assert.equal(unasked['SSL_CLIENT_VERIFY'], 'NONE');
    assert.equal((await askAs(port, alice, '/members')).status, 403);
  }
  assert.equal(await running.stop(), 0);
});

test('one who is revoked meanwhile: the next connection is refused', async (t) => {
  const running = await start(t);
  const [required = 0] = running.ports;
  const open = await openSession(required, identityOf(alice));
  assert.equal((await ask2(open, { ':path': '/env' })).status, 200);
  writeFileSync(join(running.folder, 'next'), revocationList(people, [revoked, alice]));
  renameSync(join(running.folder, 'next'), join(running.folder, 'people.crl'));
  running.process.kill('SIGHUP');
  await until('the list is read', async () => (await askAs(required, alice)).status === 403);
  // As over HTTP/1.1: what was verified is asked for once, in the handshake.
  assert.equal((await ask2(open, { ':path': '/env' })).status, 200);
  open.close();
  assert.equal(await running.stop(), 0);
});
