/** `runnel connect` before servers, ports and programs that are not as they should be. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { wsServer } from '../../client/support.ts';
import { folderWith, runnel } from '../../support/gateway.ts';

/** Answers whatever comes with `bytes`. */
async function saying(t: TestContext, bytes: string): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('data', () => socket.write(bytes));
  });
  return await listening(t, server, sockets);
}

async function listening(t: TestContext, server: Server, sockets: ReadonlySet<Socket> = new Set()): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

test('a proxy, or a server of TLS, that answers garbage is called so', async (t) => {
  const ssh = await saying(t, 'SSH-2.0-OpenSSH_9\r\n');
  const proxied = await runnel(['connect', '--proxy', `http://${ssh}`, 'ws://10.1.1.1/'], '/');
  assert.equal(proxied.code, 69);
  assert.match(proxied.stderr, /the proxy http:\S+ gave an answer that is not HTTP/);
  const secure = await runnel(['connect', `wss://${ssh}/`], '/');
  assert.equal(secure.code, 76);
  assert.match(secure.stderr, /^runnel connect: the TLS handshake with \S+ failed: its answer is not TLS\n$/);
});

test('--listen takes the place of a dead Unix socket, and of nothing else', async (t) => {
  const folder = folderWith(t, { file: 'kept' });
  const place = join(folder, 's');
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', script, place]), 'exit');
  assert.ok(existsSync(place));
  const listen = (at: string) => runnel(['connect', '--timeout', '100ms', '--listen', at, 'ws://127.0.0.1:1/'], '/');
  const dead = await listen(`unix:${place}`);
  assert.deepEqual([dead.code, dead.stderr], [124, `runnel connect: listening at unix:${place}\n`]);
  const live = createServer().listen(place);
  await once(live, 'listening');
  t.after(() => live.close());
  const taken = await listen(`unix:${place}`);
  assert.equal(taken.code, 71);
  assert.match(taken.stderr, /it is in use: another program listens there/);
  assert.ok(existsSync(place));
  assert.match((await listen(`unix:${join(folder, 'file')}`)).stderr, /the path is another file, not a socket/);
  assert.match((await listen(`unix:${join(folder, 'no', 's')}`)).stderr, /there is no folder/);
  const port = await listening(t, createServer());
  assert.match((await listen(port)).stderr, /cannot listen at \S+: it is in use/);
});

test('a program that has gone, and has left something behind, is over', async (t) => {
  const got: string[] = [];
  const port = await wsServer(t, (socket) => {
    socket.on('message', (data) => got.push(String(data)));
  });
  const marker = `sleep 1000 2>/dev/null & echo $! >pid; echo last; exit 7`;
  const folder = folderWith(t, {});
  const left = await runnel(['connect', `ws://127.0.0.1:${port}/`, '--', 'sh', '-c', marker], folder);
  process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8')), 'SIGKILL');
  assert.equal(left.code, 7);
  assert.deepEqual(got, ['last']);
});
