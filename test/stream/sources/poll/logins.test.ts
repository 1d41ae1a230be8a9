/** A polled server that wants a password, fields or a certificate of its own: the same keys as with `subscribe`. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Authority } from '../../../support/certificates.ts';
import { ask } from '../../../support/client.ts';
import { EventClient } from '../../../support/event-stream.ts';
import { folderWith, startGateway } from '../../../support/gateway.ts';
import { failing, LISTEN } from '../../../support/subscribed.ts';
import { httpUpstream } from '../../../support/upstream.ts';

const QUICK = 'interval = "100ms"\nidle_stop = "0ms"\nrestart_delay = "10ms"\nrestart_delay_max = "100ms"\n';
const polled = (path: string, url: string, keys = ''): string =>
  `[stream."${path}"]\npoll = "${url}"\n${QUICK}${keys}\n`;

test('a name and a password by Digest, for polls and for what viewers send, and nothing before it has asked', async (t) => {
  const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
  const asked: string[] = [];
  const upstream = await httpUpstream(t, (request, response) => {
    const sent = request.headers.authorization ?? '';
    asked.push(`${request.method} ${sent.slice(0, 6)}`);
    const of = (name: string): string => new RegExp(`[ ,]${name}="?([^",]*)`).exec(sent)?.[1] ?? '';
    const secret = [hash('ann:plug:pass word'), hash(`${request.method}:${request.url}`)];
    if (of('response') === hash(`${secret[0]}:1:${of('nc')}:${of('cnonce')}:auth:${secret[1]}`)) {
      response.end(`${request.method} ${of('nc')}`);
      return;
    }
    response.writeHead(401, {
      'www-authenticate': 'Digest realm="plug", qop="auth", algorithm=SHA-256, nonce="1", stale=false',
    });
    response.end('no');
  });
  const url = `http://127.0.0.1:${upstream.port}/status?x=1`;
  const running = await startGateway(t, {
    config:
      LISTEN + polled('/x', url, 'login = "login"') + polled('/wrong', url, 'login = "wrong"') + polled('/none', url),
    files: { login: 'ann:pass word\n', wrong: 'ann:guess' },
  });
  const viewer = await EventClient.open(running.port, '/x');
  assert.deepEqual(await viewer.first(3), ['GET 00000001', 'GET 00000002', 'GET 00000003']);
  const posted = await ask(running.port, '/x', { method: 'POST', body: 'on' });
  assert.deepEqual([posted.status, posted.body], [200, 'POST 00000001']);
  viewer.close();
  // It is asked for once for each of both, and then known.
  assert.deepEqual(asked.slice(0, 3), ['GET ', 'GET Digest', 'GET Digest']);
  assert.deepEqual(
    asked.filter((line) => line.startsWith('POST')),
    ['POST ', 'POST Digest'],
  );
  for (const [path, why] of [
    ['/wrong', 'it refuses the name or the password (401)'],
    ['/none', 'it asks for a password (401)'],
  ] as const) {
    const other = await EventClient.open(running.port, path);
    assert.deepEqual(await other.first(1, 'notice'), [failing(why)]);
    other.close();
  }
  // Who sends sees for itself what it is answered, where no password is the gateway's.
  const refused = await ask(running.port, '/none', { method: 'POST', body: 'on' });
  assert.deepEqual([refused.status, refused.body], [401, 'no']);
  assert.equal(await running.stop(), 0);
  assert.ok(!JSON.stringify(running.log).includes('pass word'), 'no secret is in the log');
});

test('fields of requests, from files too, beside those of a conditional request', async (t) => {
  const upstream = await httpUpstream(t, (request, response) => {
    const { headers } = request;
    response.writeHead(200, { etag: '"1"' });
    response.end(`${headers['x-api-key']} ${headers.accept} ${headers['if-none-match'] ?? ''}`);
  });
  const keys = 'request_headers = { X-Api-Key = { file = "key" }, Accept = "application/json" }';
  const running = await startGateway(t, {
    config: LISTEN + polled('/x', `http://127.0.0.1:${upstream.port}/`, keys),
    files: { key: 'one\n' },
  });
  const viewer = await EventClient.open(running.port, '/x');
  assert.deepEqual(await viewer.first(2), ['one application/json ', 'one application/json "1"']);
  writeFileSync(join(running.folder, 'key'), 'two\n');
  assert.equal((await viewer.first(3)).at(-1), 'two application/json "1"');
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('an own authority, a pin, another name, and the certificate of somebody else', async (t) => {
  const authority = new Authority();
  const made = authority.server(['board.lan', '127.0.0.1']);
  const folder = folderWith(t, { 'ca.crt': authority.certificate, 'other.crt': new Authority('Other').certificate });
  const key = new X509Certificate(made.certificate).publicKey.export({ type: 'spki', format: 'der' });
  const pin = `sha256//${createHash('sha256').update(key).digest('base64')}`;
  const server = createServer({ cert: made.certificate, key: made.pem }, (_request, response) => {
    response.end('secure');
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const ca = `ca = "${join(folder, 'ca.crt')}"`;
  const running = await startGateway(t, {
    config:
      LISTEN +
      polled('/ca', url, ca) +
      polled('/pin', url, `pin = ["${pin}"]`) +
      polled('/named', url, `${ca}\nserver_name = "board.lan"`) +
      polled('/unnamed', url, `${ca}\nserver_name = "other.lan"`) +
      polled('/stranger', url, `ca = "${join(folder, 'other.crt')}"`) +
      polled('/pinned', url, `pin = ["sha256//${'A'.repeat(43)}="]`) +
      polled('/system', url),
  });
  for (const path of ['/ca', '/pin', '/named']) {
    const viewer = await EventClient.open(running.port, path);
    assert.deepEqual(await viewer.first(1), ['secure'], path);
    viewer.close();
  }
  for (const path of ['/unnamed', '/stranger', '/pinned', '/system']) {
    const viewer = await EventClient.open(running.port, path);
    assert.deepEqual(await viewer.first(1, 'notice'), [failing('its certificate is not accepted')], path);
    viewer.close();
  }
  assert.equal(await running.stop(), 0);
});
