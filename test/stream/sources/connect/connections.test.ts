import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { HttpError } from '../../../../src/http/errors.ts';
import { framing } from '../../../../src/stream/framing.ts';
import type { Ending } from '../../../../src/stream/message.ts';
import { ConnectionSource } from '../../../../src/stream/sources/connect/connection.ts';
import { Connections, type ConnectOutcome } from '../../../../src/stream/sources/connect/connections.ts';
import { startPeer } from '../../../support/peer.ts';
import { freePort } from '../../../support/ports.ts';
import { until } from '../../../support/processes.ts';

const NOW = (): AbortSignal => new AbortController().signal;

interface Opened {
  readonly connections: Connections;
  /** Of every attempt, as it is counted. */
  readonly outcomes: ConnectOutcome[];
  open(signal?: AbortSignal): Promise<Socket>;
}

function to(port: number, changes: { max?: number; timeout?: number; host?: string } = {}): Opened {
  const { max = 10, timeout = 10_000, host = '127.0.0.1' } = changes;
  const outcomes: ConnectOutcome[] = [];
  const connections = new Connections({
    target: { kind: 'tcp', host, port, text: `tcp://${host}:${port}` },
    timeout,
    max,
    counted: (outcome) => outcomes.push(outcome),
  });
  const open = async (signal = NOW()): Promise<Socket> => {
    const socket = (await connections.open(signal)).take();
    assert.ok(socket !== undefined);
    return socket;
  };
  return { connections, outcomes, open };
}

function status(expected: number): (error: unknown) => boolean {
  return (error) => error instanceof HttpError && error.status === expected;
}

describe('connections', () => {
  test('nothing is read before somebody listens', async (t) => {
    const peer = await startPeer(t, (socket) => socket.end('hello'));
    const { connections, open } = to(peer.port);
    const socket = await open();
    await until('the server has ended its side', () => peer.sockets[0]?.writableFinished === true);
    assert.equal(socket.bytesRead, 0);
    const { source, seen } = sourceOf(socket);
    await until('it ends', () => seen.ending !== undefined);
    assert.deepEqual(seen, { text: 'hello', ending: { code: 1000, reason: 'connection closed' } });
    source.release();
    await until('it is gone', () => connections.size === 0);
  });

  test('a name is looked up, also for several that ask together', async (t) => {
    const peer = await startPeer(t, () => undefined);
    const { connections, open } = to(peer.port, { host: 'localhost' });
    const sockets = await Promise.all([1, 2, 3, 4].map(() => open()));
    assert.equal(connections.size, 4);
    for (const socket of sockets) socket.destroy();
    await until('all are gone', () => connections.size === 0);
  });

  test('the bound holds for those that are still being made', async (t) => {
    const peer = await startPeer(t, () => undefined);
    const { connections, outcomes, open } = to(peer.port, { max: 2 });
    const first = [open(), open()];
    await assert.rejects(open(), status(503));
    for (const socket of await Promise.all(first)) socket.destroy();
    assert.deepEqual(outcomes, ['max', 'connected', 'connected']);
    await until('all are gone', () => connections.size === 0);
    (await open()).destroy();
  });

  test('a refused connection leaves nothing', async () => {
    const { connections, outcomes, open } = to(await freePort());
    await assert.rejects(open(), status(502));
    assert.deepEqual(outcomes, ['refused']);
    await until('it is gone', () => connections.size === 0);
  });

  test('nobody waits any more', async (t) => {
    const peer = await startPeer(t, () => undefined);
    const { connections, outcomes, open } = to(peer.port);
    await assert.rejects(open(AbortSignal.abort()), status(499));
    const leaving = new AbortController();
    const attempt = open(leaving.signal);
    leaving.abort();
    await assert.rejects(attempt, status(499));
    assert.deepEqual(outcomes, ['left', 'left']);
    await until('it is gone', () => connections.size === 0);
  });

  test('closing ends what is left and makes no more', async (t) => {
    const peer = await startPeer(t, (socket) => socket.pause());
    const { connections, outcomes, open } = to(peer.port);
    await open();
    await connections.close();
    assert.equal(connections.size, 0);
    await assert.rejects(open(), status(503));
    assert.deepEqual(outcomes, ['connected', 'failed']);
  });
});

describe('a connection as a source', () => {
  test('what was written is flushed behind a release, while the server talks', async (t) => {
    const { socket, peer } = await pair(t, (far) => {
      far.pause();
      far.write(Buffer.alloc(200_000));
    });
    const { source } = sourceOf(socket);
    // More than the kernel takes at once.
    const data = Buffer.alloc(12 << 20, 'x');
    source.write(data);
    assert.ok(source.waiting > 0);
    source.release();
    peer.resume();
    await once(peer, 'end');
    assert.equal(peer.bytesRead, data.length);
  });

  test('a server that never reads is left after a while', async (t) => {
    const { socket } = await pair(t, (far) => far.pause());
    const { source } = sourceOf(socket);
    source.write(Buffer.alloc(12 << 20));
    source.release();
    await until('it is closed', () => socket.closed);
  });

  test('a server that never ends is left after a while', async (t) => {
    const { socket } = await pair(t, (far) => {
      const more = (): void => {
        if (far.writable) far.write('x'.repeat(10_000), more);
      };
      more();
    });
    const { source, seen } = sourceOf(socket);
    await until('it talks', () => seen.text !== '');
    const length = seen.text.length;
    source.release();
    await until('it is closed', () => socket.closed);
    assert.equal(seen.text.length, length, 'nothing is told after the release');
    assert.equal(seen.ending, undefined);
  });

  test('lost before anybody listened', async (t) => {
    const { socket } = await pair(t, () => undefined);
    socket.destroy();
    await once(socket, 'close');
    const { seen } = sourceOf(socket);
    assert.equal(seen.ending, undefined, 'not from inside of the constructor');
    await until('it is told', () => seen.ending !== undefined);
    assert.deepEqual(seen.ending, { code: 1011, reason: 'connection lost' });
  });

  test('pausing holds the server back', async (t) => {
    let written = 0;
    const { socket } = await pair(t, (far) => {
      const more = (): void => {
        written += 100_000;
        if (written <= 20_000_000) far.write(Buffer.alloc(100_000), more);
        else far.end();
      };
      more();
    });
    const { source, seen } = sourceOf(socket);
    source.pause();
    await until('the buffers are full', () => socket.readableLength > 0 || socket.bytesRead > 0 || written > 1_000_000);
    assert.ok(written < 20_000_000);
    assert.equal(seen.text, '');
    source.resume();
    await until('everything is there', () => seen.ending !== undefined);
    assert.equal(seen.text.length, 20_000_000);
  });
});

interface Seen {
  text: string;
  ending: Ending | undefined;
}

function sourceOf(socket: Socket): { readonly source: ConnectionSource; readonly seen: Seen } {
  const seen: Seen = { text: '', ending: undefined };
  const source = new ConnectionSource(
    socket,
    { framing: framing('raw'), maxMessage: 1 << 20 },
    {
      messages(batch) {
        for (const message of batch) seen.text += message.toString('latin1');
      },
      stderr: () => undefined,
      drain: () => undefined,
      ended(ending) {
        seen.ending = ending;
      },
    },
  );
  return { source, seen };
}

/** Both ends of a connection. */
async function pair(t: TestContext, speak: (far: Socket) => void): Promise<{ socket: Socket; peer: Socket }> {
  const server = await startPeer(t, speak);
  const socket = await to(server.port).open();
  t.after(() => socket.destroy());
  await until('the server has it', () => server.sockets.length === 1);
  const [peer] = server.sockets;
  assert.ok(peer !== undefined);
  return { socket, peer };
}
