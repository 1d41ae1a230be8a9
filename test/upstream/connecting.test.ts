/** Connecting: one deadline, one owner, and what each failure is called. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Remote } from '../../src/config/values/remote.ts';
import { ConnectError, Connector } from '../../src/upstream/connecting.ts';
import { folderWith } from '../support/gateway.ts';
import { startPeer } from '../support/peer.ts';
import { freePort } from '../support/ports.ts';
import { until } from '../support/processes.ts';

const NEVER = new AbortController().signal;

function tcp(port: number, host = '127.0.0.1'): Remote {
  return { kind: 'tcp', host, port, text: `tcp://${host}:${port}` };
}

test('a connection is paused, and whoever takes it has it alone', async (t) => {
  const peer = await startPeer(t, (socket) => socket.end('hello'));
  const leaving = new AbortController();
  const held = await new Connector({ remote: tcp(peer.port) }).connect(leaving.signal);
  await until('the server has ended its side', () => peer.sockets[0]?.writableFinished === true);
  const socket = held.take();
  assert.ok(socket !== undefined);
  assert.equal(socket.bytesRead, 0);
  leaving.abort();
  held.giveBack();
  assert.equal(socket.destroyed, false);
  let said = '';
  socket.on('data', (chunk: Buffer) => (said += chunk)).resume();
  await once(socket, 'end');
  assert.equal(said, 'hello');
});

test('an error between two owners ends nothing but the connection', async (t) => {
  const peer = await startPeer(t, (socket) => socket.on('error', () => undefined));
  const socket = (await new Connector({ remote: tcp(peer.port) }).connect(NEVER)).take();
  socket?.destroy(new Error('broken'));
  await until('it is closed', () => socket?.closed === true);
});

test('the signal: before, while the connection is made, and until it is taken', async (t) => {
  const peer = await startPeer(t, (socket) => socket.resume().on('end', () => socket.end()));
  const opened: unknown[] = [];
  const connector = new Connector({ remote: tcp(peer.port), opened: (socket) => opened.push(socket) });
  await assert.rejects(connector.connect(AbortSignal.abort(new Error('before'))), /before/);
  assert.equal(opened.length, 0);
  const during = new AbortController();
  const connecting = connector.connect(during.signal);
  during.abort(new Error('during'));
  await assert.rejects(connecting, /during/);
  const after = new AbortController();
  const held = await connector.connect(after.signal);
  after.abort();
  assert.equal(held.take(), undefined);
  assert.equal(opened.length, 2);
  await until('nobody is connected', () => peer.sockets.every(({ closed }) => closed));
});

const NO_NAME = `${'x'.repeat(64)}.invalid`;

test('failures', async (t) => {
  const socket = join(folderWith(t, {}), 'nobody.sock');
  const port = await freePort();
  const cases: readonly (readonly [Remote, string, RegExp])[] = [
    [tcp(port), 'refused', /^cannot connect to tcp:\/\/127\.0\.0\.1:\d+: nothing listens there \(ECONNREFUSED\)/],
    [tcp(port, 'localhost'), 'refused', /nothing listens there/],
    [tcp(port, NO_NAME), 'unresolved', /ENOTFOUND|EAI_/],
    [{ kind: 'unix', path: socket, text: 'unix:x' }, 'refused', /^cannot connect to unix:x: there is no such socket/],
  ];
  for (const [remote, failure, message] of cases)
    await assert.rejects(new Connector({ remote }).connect(NEVER), (error) => {
      assert.ok(error instanceof ConnectError);
      assert.equal(error.failure, failure);
      assert.equal(error.passing, false);
      assert.match(error.message, message);
      return true;
    });
});

test('what passes in a moment', () => {
  for (const code of ['EMFILE', 'EAGAIN', 'EADDRNOTAVAIL']) {
    const { failure, passing } = new ConnectError(tcp(1), code);
    assert.deepEqual({ failure, passing }, { failure: 'failed', passing: true });
  }
});

test('the deadline is for the whole: the name, the connection, the handshake', async (t) => {
  const silent = await listening(t, createServer());
  const tls = { ALPNProtocols: ['http/1.1'] };
  const connector = new Connector({ remote: tcp(silent, 'localhost'), timeout: 200, tls });
  await assert.rejects(connector.connect(NEVER), (error) => {
    assert.ok(error instanceof ConnectError);
    assert.equal(error.failure, 'timeout');
    return true;
  });
});

async function listening(t: TestContext, server: Server): Promise<number> {
  server.on('connection', (socket) => socket.on('error', () => undefined));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}
