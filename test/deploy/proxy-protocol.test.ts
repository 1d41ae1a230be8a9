/** HAProxy in front, with the PROXY protocol: the client is who connects to HAProxy, for programs, logs and limits. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Authority } from '../support/certificates.ts';
import { ask, TestSocket } from '../support/client.ts';
import { folderWith, type Running, startGateway } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { binary, line } from '../support/preface.ts';
import { until } from '../support/processes.ts';
import { soon, startProxy } from '../support/proxy.ts';
import { RawClient } from '../support/raw.ts';

const example = fileURLToPath(new URL('../../../deploy/proxy/haproxy-tcp.cfg', import.meta.url));
const skip = spawnSync('haproxy', ['-v']).status === 0 ? false : 'needs haproxy';
const authority = new Authority();
const board = authority.server(['board.test', '127.0.0.1']);

const LISTEN = '[[listen]]\naddress = "127.0.0.1:0"\nproxy_protocol = true\n';
const FILES = {
  'board.pem': board.certificate + board.pem,
  'www/a.txt': 'a',
  'who.cgi':
    '#!/bin/sh\n[ -n "$HTTPS" ] || HTTPS=off\nprintf "Content-Type: text/plain\\n\\n$REMOTE_ADDR $REMOTE_PORT $HTTPS"\n',
};
const ROUTES = `
[static."/"]
root = "www"
[cgi."/who"]
command = ["./who.cgi"]
[stream."/echo"]
command = ["cat"]
[admin]
listen = "127.0.0.1:0"
[connections]
exempt = []
trusted_proxies = ["127.0.0.1"]
`;

/** One request over a connection of its own, from an address of 127.0.0.0/8. */
async function from(localAddress: string, port: number, path: string, tls = false) {
  const options: RequestOptions = { host: '127.0.0.1', port, path, localAddress, agent: false };
  const outgoing = tls ? secureRequest({ ...options, ca: authority.certificate }) : request(options);
  let localPort = 0;
  outgoing.on('socket', (socket) => socket.once('connect', () => (localPort = socket.localPort ?? 0)));
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, body, localPort };
}

/** HAProxy with these lines for the server behind it, and for itself; gives its port. */
async function haproxy(t: TestContext, server: string, bind = ''): Promise<{ port: number; noise: () => string }> {
  const port = await freePort();
  const text = `defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen web
    bind 127.0.0.1:${port} ${bind}
    server board ${server}
`;
  const folder = folderWith(t, { 'haproxy.cfg': text, 'both.pem': board.certificate + board.pem });
  return { port, noise: startProxy(t, 'haproxy', ['-db', '-C', folder, '-f', join(folder, 'haproxy.cfg')]) };
}

async function refusals(gateway: Running): Promise<number> {
  const { body } = await ask(gateway.ports.at(-1) ?? 0, '/metrics');
  return body
    .split('\n')
    .filter((text) => text.startsWith('runnel_http_refused_total{'))
    .reduce((sum, text) => sum + Number(text.slice(text.lastIndexOf(' '))), 0);
}

for (const send of ['send-proxy', 'send-proxy-v2', 'send-proxy-v2 check inter 50ms'])
  test(`${send}: programs, the log and WebSockets know the client`, { skip }, async (t) => {
    const gateway = await startGateway(t, { config: LISTEN + ROUTES, files: FILES });
    const { port, noise } = await haproxy(t, `127.0.0.1:${gateway.port} ${send}`);
    const who = await soon(() => from('127.0.0.2', port, '/who'), noise);
    assert.equal(who.body, `127.0.0.2 ${who.localPort} off`);
    await gateway.logged((entry) => entry.message === 'GET /who' && entry['client'] === '127.0.0.2');
    const socket = await TestSocket.open(`ws://127.0.0.1:${port}/echo`, { localAddress: '127.0.0.3' });
    socket.ws.send('through');
    assert.deepEqual(await socket.first(1), ['through']);
    socket.ws.close();
    await socket.closed;
    assert.equal(await refusals(gateway), 0);
  });

test('limits hold for each client behind the proxy', { skip }, async (t) => {
  const limits = 'requests_per_second = 1\nrequest_burst = 5\nmax_per_address = 4\n';
  const gateway = await startGateway(t, { config: LISTEN + ROUTES + limits, files: FILES });
  const { port, noise } = await haproxy(t, `127.0.0.1:${gateway.port} send-proxy-v2`);
  await soon(() => from('127.0.0.9', port, '/a.txt'), noise);
  const statuses: number[] = [];
  for (let count = 0; count < 12; count++) statuses.push((await from('127.0.0.2', port, '/a.txt')).status);
  assert(statuses.includes(429), String(statuses));
  assert.equal((await from('127.0.0.3', port, '/a.txt')).status, 200);

  const clients: RawClient[] = [];
  const opened = async (localAddress: string) => {
    const client = await RawClient.connect({ host: '127.0.0.1', port, localAddress });
    clients.push(client);
    return client;
  };
  const get = 'GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n';
  for (let count = 0; count < 4; count++) {
    const client = await opened('127.0.0.4');
    client.send(get);
    assert.equal((await client.reply()).status, 200);
  }
  const fifth = await opened('127.0.0.4');
  assert.equal((await fifth.reply()).status, 503);
  const other = await opened('127.0.0.5');
  other.send(get);
  assert.equal((await other.reply()).status, 200);
  clients[0]?.destroy();
  await until('room again', async () => {
    const again = await opened('127.0.0.4');
    again.send(get);
    const { status } = await again.reply();
    again.destroy();
    return status !== 503;
  });
  for (const client of clients) client.destroy();
});

test('who is no proxy of ours cannot say who it is, and cannot come in without', async (t) => {
  const gateway = await startGateway(t, { config: LISTEN + ROUTES, files: FILES });
  const get = 'GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n';
  for (const bytes of [line('127.0.0.1') + get, Buffer.concat([binary('127.0.0.1'), Buffer.from(get)]), get]) {
    const before = await refusals(gateway);
    const client = await RawClient.connect({ host: '127.0.0.1', port: gateway.port, localAddress: '127.0.0.8' });
    client.send(bytes);
    await client.ended();
    assert.equal(client.received.length, 0);
    await until('it to be counted', async () => (await refusals(gateway)) === before + 1);
  }
  await gateway.logged((entry) => /trusted_proxies/.test(entry.message) && entry['client'] === '127.0.0.8');
  // Of a proxy of ours it is the preface that is missing.
  const client = await RawClient.connect(gateway.port);
  client.send(get);
  await client.ended();
  await gateway.logged((entry) => /no PROXY preface/.test(entry.message));
  // A client that says more by itself says it behind the proxy's preface, where it is no header of ours.
  const behind = await RawClient.connect(gateway.port);
  behind.send(`${line('203.0.113.7')}GET /who HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n`);
  assert.equal((await behind.reply()).body.toString(), '203.0.113.7 50000 off');
  behind.destroy();
});

test('TLS goes through, with the example of deploy/proxy', { skip }, async (t) => {
  const config = `${LISTEN}tls = { certificate = "board.pem" }\n${ROUTES}`;
  const gateway = await startGateway(t, { config, files: FILES });
  const port = await freePort();
  const text = readFileSync(example, 'utf8')
    .replace('bind :443', `bind 127.0.0.1:${port}`)
    .replace(/server board 127\.0\.0\.1:8443/, `server board 127.0.0.1:${gateway.port}`);
  const file = join(folderWith(t, { 'haproxy.cfg': text }), 'haproxy.cfg');
  const checked = spawnSync('haproxy', ['-c', '-f', file], { encoding: 'utf8' });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  const noise = startProxy(t, 'haproxy', ['-db', '-f', file]);
  const who = await soon(() => from('127.0.0.2', port, '/who', true), noise);
  assert.equal(who.body, `127.0.0.2 ${who.localPort} on`);
  const socket = await TestSocket.open(`wss://127.0.0.1:${port}/echo`, {
    ca: authority.certificate,
    localAddress: '127.0.0.3',
  });
  socket.ws.send('through');
  assert.deepEqual(await socket.first(1), ['through']);
  socket.ws.close();
  await socket.closed;
  assert.equal(await refusals(gateway), 0);
});

test('TLS ends in HAProxy, which says so', { skip }, async (t) => {
  const gateway = await startGateway(t, { config: LISTEN + ROUTES, files: FILES });
  const { port, noise } = await haproxy(t, `127.0.0.1:${gateway.port} send-proxy-v2-ssl`, 'ssl crt both.pem');
  const who = await soon(() => from('127.0.0.2', port, '/who', true), noise);
  assert.equal(who.body, `127.0.0.2 ${who.localPort} on`);
});
