/**
 * The Engine.IO protocol, versions 4 and 3, spoken word for word with a stock server behind a proxy route: what a client that was written from
 * the specification expects of handshakes, payloads, heartbeats, upgrades and ends must not be different for the gateway in between.
 */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { startBoth } from '../../support/both-engines.ts';
import { ask, TestSocket } from '../../support/client.ts';
import { until } from '../../support/processes.ts';

interface EngineSocket {
  readonly transport: { readonly writable: boolean };
  on(event: 'message', listener: (data: string | Buffer) => void): void;
  send(data: string | Buffer): void;
}
interface EngineServer {
  readonly clients: { readonly [sid: string]: EngineSocket | undefined };
  attach(server: Server): void;
  on(event: 'connection', listener: (socket: EngineSocket) => void): void;
  close(): void;
}
interface EngineModule {
  readonly Server: new (options: {
    readonly pingInterval: number;
    readonly pingTimeout: number;
    readonly maxHttpBufferSize: number;
  }) => EngineServer;
}

const require = createRequire(import.meta.url);
/** Each Socket.IO brings the one that it is made for. */
const engineOf = (name: string): EngineModule => createRequire(require.resolve(name))('engine.io') as EngineModule;
const NEW = engineOf('socket.io');
const OLD = engineOf('socket.io-2');

/** Long enough to miss nothing on a slow machine. */
const PATIENT = { pingInterval: 60_000, pingTimeout: 60_000 };
const MAX_PAYLOAD = 1_000_000;

class Client {
  constructor(
    readonly engine: string,
    readonly port: number,
    private readonly version: 3 | 4,
  ) {}

  target(transport: string, sid?: string): string {
    return `/engine.io/?EIO=${this.version}&transport=${transport}${sid === undefined ? '' : `&sid=${sid}`}`;
  }

  async poll(sid: string): Promise<string> {
    const { status, body } = await ask(this.port, this.target('polling', sid));
    return status === 200 ? body : String(status);
  }

  async post(sid: string, payload: string): Promise<string> {
    const { status, body } = await ask(this.port, this.target('polling', sid), {
      method: 'POST',
      body: payload,
      headers: { 'content-type': 'text/plain;charset=UTF-8', 'content-length': String(Buffer.byteLength(payload)) },
    });
    return status === 200 ? body : String(status);
  }

  /** A session by long-polling; its handshake. */
  async open(): Promise<{ readonly sid: string; readonly [key: string]: unknown }> {
    const { status, body } = await ask(this.port, this.target('polling'));
    assert.equal(status, 200, this.engine);
    return JSON.parse(body.slice(body.indexOf('{'))) as { sid: string };
  }

  socket(sid?: string): Promise<TestSocket> {
    return TestSocket.open(`ws://127.0.0.1:${this.port}${this.target('websocket', sid)}`);
  }

  /** What becomes of a handshake that the server does not want: it refuses it, or closes what it has just opened. */
  async refusal(target: string): Promise<number | 'closed'> {
    const ws = new WebSocket(`ws://127.0.0.1:${this.port}${target}`);
    return await new Promise((resolve) => {
      ws.on('unexpected-response', (_, { statusCode }) => {
        resolve(statusCode ?? 0);
        ws.terminate();
      });
      ws.on('error', () => undefined).on('close', () => resolve('closed'));
    });
  }
}

/** A server that sends each message back, and clients of it through either engine. */
async function behind(
  t: TestContext,
  module: EngineModule,
  times: { readonly pingInterval: number; readonly pingTimeout: number },
  version: 3 | 4 = 4,
): Promise<{ readonly server: EngineServer; readonly clients: readonly Client[] }> {
  const http = createServer((_, response) => response.writeHead(404).end());
  const server = new module.Server({ ...times, maxHttpBufferSize: MAX_PAYLOAD });
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
  server.attach(http);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    http.closeAllConnections();
    http.close();
  });
  const { port } = http.address() as AddressInfo;
  const gateway = await startBoth(t, { config: `[proxy."/engine.io/"]\nupstream = "http://127.0.0.1:${port}"\n` });
  return { server, clients: gateway.engines.map(([engine, own]) => new Client(engine, own, version)) };
}

test('handshakes, and what is none', async (t) => {
  const { clients } = await behind(t, NEW, PATIENT);
  for (const client of clients) {
    const { engine, port } = client;
    const { sid, ...said } = await client.open();
    const told = { ...PATIENT, maxPayload: MAX_PAYLOAD };
    assert.ok(sid.length > 0);
    assert.deepEqual(said, { upgrades: ['websocket'], ...told }, engine);
    const socket = await client.socket();
    const [first = ''] = await socket.first(1);
    assert.equal(first[0], '0');
    assert.deepEqual({ ...JSON.parse(first.slice(1)), sid: '' }, { sid: '', upgrades: [], ...told }, engine);
    socket.ws.terminate();

    for (const query of ['transport=polling', 'EIO=abc&transport=polling', 'EIO=4', 'EIO=4&transport=abc'])
      assert.equal((await ask(port, `/engine.io/?${query}`)).status, 400, `${engine} ${query}`);
    for (const method of ['POST', 'PUT'])
      assert.equal((await ask(port, client.target('polling'), { method })).status, 400, `${engine} ${method}`);
    for (const [query, refusal] of [
      // It looks at the version behind its 101.
      ['transport=websocket', 'closed'],
      ['EIO=abc&transport=websocket', 'closed'],
      ['EIO=4', 400],
      ['EIO=4&transport=abc', 400],
    ] as const)
      assert.equal(await client.refusal(`/engine.io/?${query}`), refusal, `${engine} ${query}`);
    assert.equal(await client.poll('nobody'), '400');
    assert.equal(await client.refusal(client.target('websocket', 'nobody')), 400);
  }
});

test('messages by long-polling', async (t) => {
  const { server, clients } = await behind(t, NEW, PATIENT);
  for (const client of clients) {
    const { engine } = client;
    const { sid } = await client.open();
    for (const payload of [
      '4hello',
      '4one\x1e4two\x1e4three',
      '4hello\x1ebAQIDBA==',
      '4caf\u00e9 \u{1f600}',
      `4${'x'.repeat(300_000)}`,
    ]) {
      assert.equal(await client.post(sid, payload), 'ok', engine);
      assert.equal(await client.poll(sid), payload, engine);
    }
    // One that waits has it as soon as it comes.
    const waiting = client.poll(sid);
    await until('the poll is there', () => server.clients[sid]?.transport.writable === true);
    assert.equal(await client.post(sid, '4late'), 'ok');
    assert.equal(await waiting, '4late', engine);

    await client.post(sid, 'abc');
    assert.equal(await client.poll(sid), '400', `${engine}: what is no packet ends a session`);

    const twice = await client.open();
    const first = client.poll(twice.sid);
    await until('the poll is there', () => server.clients[twice.sid]?.transport.writable === true);
    assert.match(await client.poll(twice.sid), /^(?:400|500)$/);
    assert.equal(await first, '1', `${engine}: two polls at once end a session`);
    assert.equal(await client.poll(twice.sid), '400', engine);

    const large = await client.open();
    assert.match(await client.post(large.sid, `4${'x'.repeat(MAX_PAYLOAD)}`), /^4\d\d$/, `${engine}: too much`);
  }
});

test('messages by WebSocket', async (t) => {
  const { clients } = await behind(t, NEW, PATIENT);
  for (const client of clients) {
    const { engine } = client;
    const socket = await client.socket();
    await socket.first(1);
    socket.ws.send('4hello');
    socket.ws.send(Buffer.from([1, 2, 3, 4]));
    assert.deepEqual((await socket.first(3)).slice(1), ['4hello', '\x01\x02\x03\x04'], engine);
    assert.deepEqual(socket.binary, [false, false, true], engine);
    socket.ws.send('abc');
    await socket.closed;
  }
});

test('heartbeats, and what becomes of a client without', async (t) => {
  const { server, clients } = await behind(t, NEW, { pingInterval: 100, pingTimeout: 60_000 });
  for (const client of clients) {
    const { engine } = client;
    const { sid } = await client.open();
    const socket = await client.socket();
    for (let count = 1; count <= 3; count++) {
      assert.equal(await client.poll(sid), '2', engine);
      assert.equal(await client.post(sid, '3'), 'ok', engine);
      assert.equal((await socket.first(1 + count)).at(-1), '2', engine);
      socket.ws.send('3');
    }
    socket.ws.close();
  }
  await until('whoever has closed is gone', () => Object.keys(server.clients).length <= clients.length);

  const strict = await behind(t, NEW, { pingInterval: 50, pingTimeout: 50 });
  for (const client of strict.clients) {
    const { sid } = await client.open();
    await until('the session is over', () => strict.server.clients[sid] === undefined);
    assert.equal(await client.poll(sid), '400', client.engine);
    await (await client.socket()).closed;
  }
});

test('ends', async (t) => {
  const { server, clients } = await behind(t, NEW, PATIENT);
  for (const client of clients) {
    const { engine } = client;
    const { sid } = await client.open();
    const waiting = client.poll(sid);
    await until('the poll is there', () => server.clients[sid]?.transport.writable === true);
    assert.equal(await client.post(sid, '1'), 'ok', engine);
    assert.equal(await waiting, '6', engine);
    assert.equal(await client.poll(sid), '400', engine);

    // A connection that is cut ends the session behind it.
    const cut = await client.socket();
    await cut.first(1);
    assert.equal(Object.keys(server.clients).length, 1, engine);
    cut.ws.terminate();
    await until('nobody is left', () => Object.keys(server.clients).length === 0);
  }
});

for (const [version, module] of [
  [4, NEW],
  [3, OLD],
] as const)
  test(`version ${version}: the upgrade, and what comes too late for it`, async (t) => {
    const { clients } = await behind(t, module, PATIENT, version);
    /** A packet in a payload: with its length before it in the old version. */
    const payload = (packet: string): string => (version === 4 ? packet : `${packet.length}:${packet}`);
    for (const client of clients) {
      const { engine } = client;
      const { sid } = await client.open();
      assert.equal(await client.post(sid, payload('4first')), 'ok', engine);
      assert.equal(await client.poll(sid), payload('4first'), engine);
      const waiting = client.poll(sid);
      const socket = await client.socket(sid);
      socket.ws.send('2probe');
      assert.deepEqual(await socket.first(1), ['3probe'], engine);
      // The server ends the poll, so that nothing is on its way over it.
      assert.equal(await waiting, payload('6'), engine);
      socket.ws.send('5');
      socket.ws.send('4hello');
      assert.deepEqual((await socket.first(2)).slice(1), ['4hello'], engine);

      assert.equal(await client.poll(sid), '400', engine);
      const second = await client.socket(sid).catch(() => undefined);
      await second?.closed;
      socket.ws.send('4still');
      assert.deepEqual((await socket.first(3)).slice(2), ['4still'], engine);
      socket.ws.terminate();
    }
  });
