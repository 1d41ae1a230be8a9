/** Through HTTP proxies: squid and tinyproxy of Debian, with and without a password, and TLS to the proxy. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync } from 'node:fs';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, type ConnectOptions, connect } from 'runnel/client';
import { environmentProxy } from '../../src/client/dialing/proxy.ts';
import { Authority } from '../support/certificates.ts';
import { folderWith, startGateway } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { soon, startProxy } from '../support/proxy.ts';
import { until } from '../support/until.ts';
import { failureOf, read, write, wsServer } from './support.ts';

const SQUID = '/usr/sbin/squid';
const TINYPROXY = '/usr/bin/tinyproxy';
const authority = new Authority();
const identity = authority.server(['127.0.0.1']);

const CONFIG = `[[listen]]
address = "127.0.0.1:0"
[[listen]]
address = "127.0.0.1:0"
tls = { certificate = "board.pem", key = "board.key" }
[stream."/echo"]
command = ["cat"]
share = "all"
history = 10
`;

async function echoThrough(url: string, options: ConnectOptions): Promise<Connection> {
  const connection = await connect(url, { ...options, tls: { ca: authority.certificate } });
  await write(connection, 'through');
  assert.deepEqual(await read(connection, 1), ['through']);
  return connection;
}

async function listens(port: number): Promise<void> {
  const socket = connectTcp(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
}

interface Setup {
  readonly program: string;
  readonly start: (t: TestContext, port: number, auth: 'none' | 'basic') => () => string;
}

const PROXIES: { readonly [name: string]: Setup } = {
  squid: {
    program: SQUID,
    start: (t, port, auth) => startSquid(t, port, auth),
  },
  tinyproxy: {
    program: TINYPROXY,
    start: (t, port, auth) => startTinyproxy(t, port, auth === 'none' ? '' : 'BasicAuth ann secret'),
  },
};

function startSquid(t: TestContext, port: number, auth: 'none' | 'basic' | 'digest'): () => string {
  const helper = auth === 'basic' ? 'basic_ncsa_auth' : 'digest_file_auth';
  const hash = spawnSync('openssl', ['passwd', '-apr1', 'secret'], { encoding: 'utf8' }).stdout.trim();
  const folder = folderWith(t, { users: auth === 'basic' ? `ann:${hash}\n` : 'ann:secret\n' });
  chmodSync(folder, 0o777);
  const lines = [
    `http_port 127.0.0.1:${port}`,
    // It refuses to stay root.
    ...(process.getuid?.() === 0 ? ['cache_effective_user proxy'] : []),
    'pid_filename none',
    'cache deny all',
    'netdb_filename none',
    'access_log none',
    `cache_log ${folder}/cache.log`,
    `coredump_dir ${folder}`,
    'shutdown_lifetime 0 seconds',
    ...(auth === 'none'
      ? ['http_access allow all']
      : [
          `auth_param ${auth} program /usr/lib/squid/${helper} ${folder}/users`,
          `auth_param ${auth} realm squid`,
          'acl known proxy_auth REQUIRED',
          'http_access allow known',
          'http_access deny all',
        ]),
  ];
  const file = join(folderWith(t, { 'squid.conf': `${lines.join('\n')}\n` }), 'squid.conf');
  return startProxy(t, SQUID, ['-N', '-d', '1', '-n', `test${port}`, '-f', file]);
}

function startTinyproxy(t: TestContext, port: number, more: string): () => string {
  const lines = `Port ${port}\nListen 127.0.0.1\nTimeout 600\nAllow 127.0.0.1\nLogLevel Error\nMaxClients 20\n${more}\n`;
  const file = join(folderWith(t, { 'tinyproxy.conf': lines }), 'tinyproxy.conf');
  return startProxy(t, TINYPROXY, ['-d', '-c', file]);
}

async function gatewayBehind(t: TestContext) {
  const gateway = await startGateway(t, {
    config: CONFIG,
    files: { 'board.pem': identity.certificate, 'board.key': identity.pem },
  });
  return { plain: gateway.port, secure: gateway.ports[1] ?? 0 };
}

for (const [name, { program, start }] of Object.entries(PROXIES))
  describe(name, { skip: existsSync(program) ? false : `${name} is not installed` }, () => {
    test('without a password', async (t) => {
      const { plain, secure } = await gatewayBehind(t);
      const port = await freePort();
      const noise = start(t, port, 'none');
      await soon(() => listens(port), noise);
      const proxy = `http://127.0.0.1:${port}`;
      for (const [url, transports] of [
        [`ws://127.0.0.1:${plain}/echo`, ['websocket']],
        [`wss://127.0.0.1:${secure}/echo`, ['websocket']],
        [`https://127.0.0.1:${secure}/echo`, ['events']],
        [`https://127.0.0.1:${secure}/echo`, ['poll']],
      ] as const) {
        const connection = await connect(url, { proxy, transports, tls: { ca: authority.certificate } });
        await write(connection, 'through');
        await read(connection, 1);
        await connection.close();
      }
    });

    test('with a password, a wrong one, and none', async (t) => {
      const { secure } = await gatewayBehind(t);
      const port = await freePort();
      const noise = start(t, port, 'basic');
      await soon(() => listens(port), noise);
      const url = `wss://127.0.0.1:${secure}/echo`;
      await (await echoThrough(url, { proxy: `http://ann:secret@127.0.0.1:${port}` })).close();
      const wrong = await failureOf(connect(url, { proxy: `http://ann:wrong@127.0.0.1:${port}` }));
      assert.deepEqual([wrong.failure, wrong.status], ['proxy', name === 'tinyproxy' ? 401 : 407]);
      assert.doesNotMatch(wrong.message, /wrong/);
      const none = await failureOf(connect(url, { proxy: `http://127.0.0.1:${port}` }));
      assert.deepEqual([none.failure, none.status], ['proxy', 407]);
      assert.match(none.message, /wants a user and a password/);
    });

    test('a server that is not there is told as such', async (t) => {
      const port = await freePort();
      const noise = start(t, port, 'none');
      await soon(() => listens(port), noise);
      const error = await failureOf(connect('ws://127.0.0.1:1/', { proxy: `http://127.0.0.1:${port}` }));
      assert.equal(error.failure, 'proxy');
      assert.match(error.message, /does not connect to 127\.0\.0\.1:1: 5\d\d/);
    });
  });

test('a proxy that wants another scheme is told by its name', {
  skip: existsSync(SQUID) ? false : 'squid is not installed',
}, async (t) => {
  const port = await freePort();
  const noise = startSquid(t, port, 'digest');
  await soon(() => listens(port), noise);
  const error = await failureOf(connect('wss://127.0.0.1:1/', { proxy: `http://ann:secret@127.0.0.1:${port}` }));
  assert.deepEqual([error.failure, error.status], ['proxy', 407]);
  assert.match(error.message, /wants Digest; only Basic is supported/);
});

test('a proxy that cuts idle connections: pings keep one open, and one that was cut is resumed', {
  skip: existsSync(TINYPROXY) ? false : 'tinyproxy is not installed',
}, async (t) => {
  const { secure } = await gatewayBehind(t);
  const quiet = await wsServer(t, (socket) => socket.on('message', (data) => socket.send(String(data))));
  const port = await freePort();
  const noise = startTinyproxy(t, port, 'Timeout 2');
  await soon(() => listens(port), noise);
  const proxy = `http://127.0.0.1:${port}`;
  const pinged = await connect(`ws://127.0.0.1:${quiet}/`, { proxy, times: { ping: 300 } });
  let opened = 0;
  const resumed = await connect(`ws://127.0.0.1:${quiet}/`, {
    proxy,
    reconnect: true,
    maxDelay: 50,
    onEvent: ({ type }) => {
      if (type === 'open') opened++;
    },
  });
  await until(() => opened === 2, 'the idle one to be cut and to come again');
  await write(resumed, 'again');
  assert.deepEqual(await read(resumed, 1), ['again']);
  await write(pinged, 'still');
  assert.deepEqual(await read(pinged, 1), ['still']);
  await Promise.all([pinged.close(), resumed.close()]);
  assert.ok(secure > 0);
});

test('TLS to the proxy, and TLS within it', async (t) => {
  const { plain, secure } = await gatewayBehind(t);
  const stranger = new Authority('Somebody else');
  let tunnels = 0;
  const server = createSecureServer({ cert: identity.certificate, key: identity.pem });
  const open = new Set<Socket>();
  server.on('connect', (request, client: Socket) => {
    tunnels++;
    const upstream = connectTcp(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(client).pipe(upstream);
    });
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => undefined).on('close', () => upstream.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const proxy = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const url of [`ws://127.0.0.1:${plain}/echo`, `wss://127.0.0.1:${secure}/echo`])
    await (await echoThrough(url, { proxy, proxyTls: { ca: authority.certificate } })).close();
  assert.equal(tunnels, 2);
  const error = await failureOf(
    connect(`ws://127.0.0.1:${plain}/echo`, { proxy, proxyTls: { ca: stranger.certificate } }),
  );
  assert.equal(error.failure, 'untrusted');
  assert.equal(tunnels, 2);
});

test('a proxy that is silent, or closes, or says something else', async (t) => {
  const rows: [answer: string | undefined, failure: string][] = [
    [undefined, 'timeout'],
    ['', 'proxy'],
    ['SSH-2.0-OpenSSH_9.2\r\n', 'proxy'],
    ['HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n', 'proxy'],
  ];
  for (const [answer, failure] of rows) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        if (answer !== undefined) socket.end(answer);
      });
      t.after(() => socket.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const proxy = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const error = await failureOf(connect('ws://board.test/', { proxy, times: { answer: 300 } }));
    assert.equal(error.failure, failure, error.message);
    await sleep(0);
  }
});

test('the environment says which proxy, as curl reads it', () => {
  const env = {
    HTTPS_PROXY: 'http://secure:1',
    http_proxy: 'plain:2',
    NO_PROXY: 'exempt.test, .below.test ,10.0.0.0/8,192.168.1.7,board.test:8443,[fd00::1],fd01::/16',
  };
  const rows: [url: string, env: { readonly [name: string]: string }, proxy: string | undefined][] = [
    ['https://board.test/', env, 'http://secure:1'],
    ['http://board.test/', env, 'http://plain:2'],
    ['https://board.test:8443/', env, undefined],
    ['https://exempt.test/', env, undefined],
    ['https://a.exempt.test/', env, undefined],
    ['https://notexempt.test/', env, 'http://secure:1'],
    ['https://a.below.test/', env, undefined],
    ['https://10.1.2.3/', env, undefined],
    ['https://11.1.2.3/', env, 'http://secure:1'],
    ['https://192.168.1.7/', env, undefined],
    ['https://[fd00::1]/', env, undefined],
    ['https://[fd01:2::1]/', env, undefined],
    ['https://[fd02::1]/', env, 'http://secure:1'],
    ['https://board.test/', { ...env, no_proxy: '*' }, undefined],
    ['http://board.test/', { HTTP_PROXY: 'http://upper:3' }, 'http://upper:3'],
    ['http://board.test/', { HTTP_PROXY: 'http://upper:3', REQUEST_METHOD: 'GET' }, undefined],
    ['http://board.test/', { ALL_PROXY: 'http://all:4' }, 'http://all:4'],
    ['http://board.test/', {}, undefined],
  ];
  for (const [url, variables, name] of rows)
    assert.equal(environmentProxy(new URL(url), variables)?.name, name, `${url} ${JSON.stringify(variables)}`);
});
