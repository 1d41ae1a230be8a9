/** Who the server is: wrong ones get no byte of the stream. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { createServer, type ServerOptions } from 'node:https';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { type ConnectOptions, connect, type Tls } from 'runnel/client';
import { pinOf } from '../../src/client/dialing/trust.ts';
import { Authority } from '../support/certificates.ts';
import { failureOf, read, wsServer } from './support.ts';

const authority = new Authority();
const stranger = new Authority('Somebody else');
const board = authority.server(['board.test', '127.0.0.1']);
const pin = pinOf(new X509Certificate(board.certificate));
const otherPin = pinOf(new X509Certificate(authority.server(['other.test']).certificate));

interface Board {
  readonly port: number;
  /** Bytes that were decrypted. */
  readonly bytes: () => number;
  readonly names: (string | undefined)[];
  readonly connections: () => number;
}

async function start(t: TestContext, identity = board, options: ServerOptions = {}): Promise<Board> {
  let bytes = 0;
  let connections = 0;
  const names: (string | undefined)[] = [];
  const server = createServer({ cert: identity.certificate, key: identity.pem, ...options });
  server.on('connection', () => connections++);
  server.prependListener('secureConnection', (socket: TLSSocket & { readonly servername?: string | false }) => {
    names.push(typeof socket.servername === 'string' ? socket.servername : undefined);
    const push = socket.push.bind(socket);
    socket.push = (chunk, encoding) => {
      bytes += chunk?.length ?? 0;
      return push(chunk, encoding);
    };
    socket.on('error', () => undefined);
  });
  const port = await wsServer(
    t,
    (socket, request) => {
      const peer = (request.socket as TLSSocket).getPeerCertificate();
      socket.send(peer.subject?.CN ?? 'nobody');
    },
    { server },
  );
  return { port, bytes: () => bytes, names, connections: () => connections };
}

const at = (port: number, tls: Tls, more: ConnectOptions = {}) => connect(`wss://127.0.0.1:${port}/`, { ...more, tls });

test('an authority, a pin, one pin of several, or a function lets the server in', async (t) => {
  const { port, names, bytes } = await start(t);
  const seen: string[][] = [];
  const ways: Tls[] = [
    { ca: authority.certificate },
    { ca: [stranger.certificate, authority.certificate] },
    { pin },
    { pin: [otherPin, pin] },
    { ca: authority.certificate, pin },
    { ca: authority.certificate, serverName: 'board.test' },
    { pin, serverName: 'whatever.test' },
    {
      trust: async ({ chain, problem }) => {
        seen.push([...chain.map(({ subject }) => subject), problem?.message ?? 'nothing wrong']);
        return true;
      },
    },
  ];
  for (const tls of ways) {
    const connection = await at(port, tls);
    assert.deepEqual(await read(connection, 1), ['nobody']);
    await connection.close();
  }
  assert.deepEqual(
    names.filter((name) => name !== undefined),
    ['board.test', 'whatever.test'],
  );
  assert.ok(bytes() > 0, 'what is read would have been seen');
  assert.equal(seen.length, 1);
  assert.match(seen[0]?.[0] ?? '', /board\.test/);
});

test('a wrong server is refused before a byte of the stream is sent', async (t) => {
  const expired = authority.server(['127.0.0.1'], { from: -20, to: -10 });
  const rows: [name: string, identity: typeof board, tls: Tls, message: RegExp][] = [
    ['nobody known', board, {}, /not trusted here|self-signed/],
    ['another authority', board, { ca: stranger.certificate }, /not trusted here/],
    ['another name', board, { ca: authority.certificate, serverName: 'other.test' }, /another name/],
    ['expired', expired, { ca: authority.certificate }, /has expired/],
    ['another key', board, { pin: otherPin }, /not one of the pinned keys/],
    ['the key, but not the authority', board, { pin, ca: stranger.certificate }, /not trusted here/],
    ['the authority, but not the key', board, { pin: otherPin, ca: authority.certificate }, /pinned/],
    ['a function that says no', board, { ca: authority.certificate, trust: () => false }, /refuses it/],
  ];
  for (const [name, identity, tls, message] of rows) {
    const server = await start(t, identity);
    const error = await failureOf(at(server.port, tls));
    assert.equal(error.failure, 'untrusted', name);
    assert.match(error.message, message, name);
    assert.match(error.message, /sha256\/\//, name);
    assert.equal(server.bytes(), 0, name);
  }
});

test('a server that is not trusted is not tried again, nor by another transport', async (t) => {
  const server = await start(t);
  const error = await failureOf(connect(`https://127.0.0.1:${server.port}/`, { reconnect: true }));
  assert.equal(error.failure, 'untrusted');
  assert.equal(server.connections(), 1);
});

test('a client shows its own certificate', async (t) => {
  const ann = authority.client('ann');
  const server = await start(t, board, { ca: authority.certificate, requestCert: true, rejectUnauthorized: true });
  const connection = await at(server.port, { ca: authority.certificate, cert: ann.certificate, key: ann.pem });
  assert.deepEqual(await read(connection, 1), ['ann']);
  await connection.close();
  const error = await failureOf(at(server.port, { ca: authority.certificate }));
  assert.ok(['lost', 'protocol'].includes(error.failure ?? ''), error.message);
});

test('a pin that no key can have is said at once', async () => {
  await assert.rejects(at(1, { pin: 'sha256//short' }), TypeError);
});
