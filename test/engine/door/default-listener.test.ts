/** A listener without an engine of its own, in a real gateway: who is served by it who would not be by uWebSockets.js alone, and what is told of those who are not. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ask } from '../../support/client.ts';
import { type Running, startGateway } from '../../support/gateway.ts';
import { NGINX, nginx } from '../../support/nginx.ts';
import { RawClient, rawRequest } from '../../support/raw.ts';
import { until } from '../../support/until.ts';

const FILES = {
  'www/a.txt': 'a page',
  'bin/client': '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n$REMOTE_ADDR $REMOTE_PORT $SERVER_PROTOCOL"\n',
};
const ROUTES = `
[static."/"]
root = "www"
[cgi."/bin/"]
root = "bin"
`;

async function start(t: TestContext, more = ''): Promise<Running> {
  return await startGateway(t, {
    config: `[[listen]]\naddress = "127.0.0.1:0"\n[[listen]]\naddress = "unix:s"\n[admin]\nlisten = "127.0.0.1:0"\n${ROUTES}${more}`,
    files: FILES,
  });
}

/** Over TCP and over a Unix socket. */
function addressesOf({ port, folder }: Running) {
  return [port, { path: join(folder, 's') }] as const;
}

/** The sum of a metric's members. */
async function metric(running: Running, name: string): Promise<number> {
  const { body } = await ask(running.ports.at(-1) ?? 0, '/metrics');
  return body
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

test('HTTP/1.0, with and without Host, kept alive as it has it', async (t) => {
  const running = await start(t);
  for (const address of addressesOf(running)) {
    for (const host of ['', 'Host: board\r\n']) {
      const reply = await rawRequest(address, `GET /a.txt HTTP/1.0\r\n${host}\r\n`);
      assert.equal(reply.status, 200);
      assert.equal(reply.body.toString(), 'a page');
      assert.equal(reply.header('transfer-encoding'), undefined);
    }
    const closing = await RawClient.connect(address);
    closing.send('GET /a.txt HTTP/1.0\r\n\r\n');
    assert.equal((await closing.reply()).status, 200);
    await closing.ended();
    const kept = await RawClient.connect(address);
    for (let times = 0; times < 3; times++) {
      kept.send('GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
      const reply = await kept.reply();
      assert.equal(reply.status, 200);
      assert.match(reply.header('connection') ?? '', /keep-alive/i);
    }
    kept.destroy();
    const program = await rawRequest(address, 'GET /bin/client HTTP/1.0\r\n\r\n');
    assert.match(program.body.toString(), / HTTP\/1\.0$/);
  }
});

test('ab, with and without kept connections', {
  skip: spawnSync('ab', ['-V']).error ? 'needs ab (apache2-utils)' : false,
}, async (t) => {
  const running = await start(t);
  for (const more of [[], ['-k']]) {
    const { stdout } = spawnSync('ab', [...more, '-n', '500', '-c', '10', running.url('/a.txt')], { encoding: 'utf8' });
    assert.match(stdout, /Complete requests: +500\nFailed requests: +0\n/);
    assert.doesNotMatch(stdout, /Non-2xx/);
    if (more.length > 0) assert.match(stdout, /Keep-Alive requests: +500\n/);
  }
});

test('nginx as it is when nobody tells it anything', { skip: existsSync(NGINX) ? false : 'needs nginx' }, async (t) => {
  const running = await start(t);
  const port = await nginx(t, running.port, '');
  for (let times = 0; times < 3; times++) {
    const page = await ask(port, '/a.txt');
    assert.deepEqual([page.status, page.body], [200, 'a page']);
  }
  assert.match((await ask(port, '/bin/client')).body, / HTTP\/1\.0$/);
});

test('an absolute target, OPTIONS *, and others that only one engine knows', async (t) => {
  const running = await start(t);
  for (const address of addressesOf(running)) {
    const reply = (bytes: string) => rawRequest(address, bytes);
    const absolute = await reply('GET http://board/a.txt HTTP/1.1\r\nHost: board\r\n\r\n');
    assert.deepEqual([absolute.status, absolute.body.toString()], [200, 'a page']);
    assert.equal((await reply('GET http://other/a.txt HTTP/1.1\r\nHost: board\r\n\r\n')).status, 421);
    const options = await reply('OPTIONS * HTTP/1.1\r\nHost: board\r\n\r\n');
    assert(options.status >= 200 && options.status < 300, String(options.status));
    const chunked = 'POST /bin/client HTTP/1.1\r\nHost: board\r\nTransfer-Encoding: chunked\r\n\r\n';
    assert.equal((await reply(`${chunked}2;ext=1\r\nhi\r\n0\r\nTrailer: x\r\n\r\n`)).status, 200);
    assert.equal((await reply('POST /bin/client HTTP/1.1\r\nHost: board\r\n\r\n')).status, 200);
    const pipelined = await RawClient.connect(address);
    pipelined.send('GET /bin/client HTTP/1.1\r\nHost: board\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: board\r\n\r\n');
    assert.match((await pipelined.reply()).body.toString(), / HTTP\/1\.1$/);
    assert.equal((await pipelined.reply()).body.toString(), 'a page');
    pipelined.destroy();
  }
});

test("a program knows the client's port, whoever serves it", async (t) => {
  const running = await start(t);
  // The second on one connection, which an answer of unknown length in HTTP/1.0 ends.
  for (const versions of [['1.1', '1.1'], ['1.0']]) {
    const client = await RawClient.connect(running.port);
    const port = client.socket.localPort;
    for (const version of versions) {
      client.send(`GET /bin/client HTTP/${version}\r\nHost: board\r\n\r\n`);
      assert.equal((await client.reply()).body.toString(), `127.0.0.1 ${port} HTTP/${version}`);
    }
    client.destroy();
  }
});

test('what is refused first has a sentence, is counted and logged', async (t) => {
  const running = await start(t);
  for (const address of addressesOf(running))
    for (const [bytes, status] of [
      ['GET / HTTP/1.1\r\n\r\n', 400],
      ['FROB / HTTP/1.1\r\nHost: board\r\n\r\n', 400],
      [`GET / HTTP/1.1\r\nHost: board\r\nA: ${'b'.repeat(40_000)}\r\n\r\n`, 431],
      ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    ] as const) {
      const [before, lines] = [await metric(running, 'runnel_http_refused_total'), running.log.length];
      const reply = await rawRequest(address, bytes);
      assert.equal(reply.status, status);
      assert.match(reply.body.toString(), /^refused: .+\n$/);
      await until(() => running.log.slice(lines).some(({ message }) => message.startsWith('refused: ')), 'its line');
      assert.equal(await metric(running, 'runnel_http_refused_total'), before + 1);
    }
});

test('one connection too many gets 503 and when to come again', async (t) => {
  const running = await start(t, '[connections]\nmax = 5\n');
  for (const address of addressesOf(running)) {
    const others = await Promise.all(Array.from({ length: 5 }, () => RawClient.connect(address)));
    for (const other of others) {
      other.send('GET /a.txt HTTP/1.1\r\nHost: board\r\n\r\n');
      assert.equal((await other.reply()).status, 200);
    }
    const before = await metric(running, 'runnel_connections_refused_total');
    const reply = await rawRequest(address, 'GET /a.txt HTTP/1.1\r\nHost: board\r\n\r\n');
    assert.equal(reply.status, 503);
    assert.equal(reply.header('retry-after'), '5');
    assert((await metric(running, 'runnel_connections_refused_total')) > before);
    for (const other of others) other.destroy();
    await until(() => others.every(({ closed }) => closed), 'room');
    let status = 503;
    while (status === 503) status = (await rawRequest(address, 'GET /a.txt HTTP/1.1\r\nHost: board\r\n\r\n')).status;
    assert.equal(status, 200);
  }
});

test('one log line where a client says nothing, and it is counted', async (t) => {
  const running = await start(t, '[connections]\nheader_time = "1s"\n');
  for (const address of addressesOf(running)) {
    const before = await metric(running, 'runnel_http_refused_total');
    const client = await RawClient.connect(address);
    await client.ended();
    assert.match(client.received.toString(), /^HTTP\/1\.1 408 /);
    assert.equal(await metric(running, 'runnel_http_refused_total'), before + 1);
  }
});
