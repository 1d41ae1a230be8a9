/** WebSockets through a proxy route, on both engines: each end gets what the other says, at the pace of whoever is slower. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { type BothEngines, startBoth } from '../../support/both-engines.ts';
import { ask, refused, TestSocket } from '../../support/client.ts';
import { clientFrame } from '../../support/frames.ts';
import { folderWith } from '../../support/gateway.ts';
import { startPeer } from '../../support/peer.ts';
import { descriptorsOf, until } from '../../support/processes.ts';
import { RawClient } from '../../support/raw.ts';
import { httpUpstream } from '../../support/upstream.ts';

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n';
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

interface Server {
  readonly port: number;
  readonly sockets: WebSocket[];
  readonly asked: IncomingMessage[];
}

/** @param protocol which of the offered ones it chooses */
async function server(
  t: TestContext,
  connected: (socket: WebSocket, request: IncomingMessage) => void,
  protocol: (offered: Set<string>) => string | false = () => false,
): Promise<Server> {
  const sockets: WebSocket[] = [];
  const asked: IncomingMessage[] = [];
  const wss = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    handleProtocols: protocol,
    perMessageDeflate: true,
    maxPayload: 100 << 20,
  });
  await once(wss, 'listening');
  wss.on('connection', (socket, request) => {
    sockets.push(socket);
    asked.push(request);
    socket.on('error', () => undefined);
    connected(socket, request);
  });
  t.after(() => {
    for (const socket of sockets) socket.terminate();
    wss.close();
  });
  const address = wss.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, sockets, asked };
}

function routeTo(port: number, more = ''): string {
  return `[proxy."/app/"]\nupstream = "http://127.0.0.1:${port}"\n${more}\n`;
}

const echo = (socket: WebSocket): void =>
  void socket.on('message', (data, binary) => socket.send(data as Buffer, { binary }));

async function nothingLeft(gateway: BothEngines, before: number): Promise<void> {
  await until('nothing is left open', () => descriptorsOf(gateway.pid).length <= before + 2);
}

test('text, binary, fragments, empty ones and a thousand at once', async (t) => {
  const upstream = await server(t, echo);
  const gateway = await startBoth(t, { config: routeTo(upstream.port) });
  for (const [engine, port] of gateway.engines) {
    const client = await TestSocket.open(`ws://127.0.0.1:${port}/app/x?a=b`);
    const said: (string | Buffer)[] = ['hello', '', 'caf\u00e9 \u{1f600}', Buffer.from([0, 1, 0xff]), Buffer.alloc(0)];
    for (const message of said) client.ws.send(message);
    client.ws.send('frag', { fin: false });
    client.ws.send('ment', { fin: true });
    const many = Array.from({ length: 1000 }, (_, at) => `${at}`);
    for (const message of many) client.ws.send(message);
    const got = await client.first(said.length + 1 + many.length);
    assert.deepEqual(got, [...said.map(String), 'fragment', ...many], engine);
    assert.deepEqual(client.binary.slice(0, 6), [false, false, false, true, true, false]);
    // Fragments of the upstream come as one message, too.
    upstream.sockets.at(-1)?.send('a', { fin: false });
    upstream.sockets.at(-1)?.send('b', { fin: true });
    assert.equal((await client.first(got.length + 1)).at(-1), 'ab');
    assert.equal(upstream.asked.at(-1)?.url, '/app/x?a=b');
    assert.equal(upstream.asked.at(-1)?.headers['sec-websocket-extensions'], undefined);
    assert.equal(upstream.asked.at(-1)?.headers['x-forwarded-for'], '127.0.0.1');
    client.ws.close();
    await client.closed;
  }
});

test('close codes and reasons, both ways', async (t) => {
  const ends: string[] = [];
  const upstream = await server(t, (socket, request) => {
    const [, code, reason] = /close=(\d+)?,(.*)/.exec(request.url ?? '') ?? [];
    socket.on('close', (got, why) => ends.push(`${got} ${why}`));
    if (reason !== undefined) socket.close(code === undefined ? undefined : Number(code), decodeURIComponent(reason));
  });
  const gateway = await startBoth(t, { config: routeTo(upstream.port) });
  const before = descriptorsOf(gateway.pid).length;
  for (const [engine, port] of gateway.engines) {
    for (const [code, reason] of [
      [1000, ''],
      [1001, 'going'],
      [1008, 'caf\u00e9'],
      [1011, 'a'.repeat(123)],
      [1012, ''],
      [3000, 'x'],
      [4999, 'own'],
    ] as const) {
      const client = new WebSocket(`ws://127.0.0.1:${port}/app/?close=${code},${encodeURIComponent(reason)}`);
      const [got, why] = (await once(client, 'close')) as [number, Buffer];
      assert.deepEqual([got, String(why)], [code, reason], `${engine}: the upstream closes with ${code}`);
    }
    const without = new WebSocket(`ws://127.0.0.1:${port}/app/?close=,`);
    assert.equal((await once(without, 'close'))[0], 1005, engine);
    // Which of these codes uWebSockets.js understands is said in docs/engines.md.
    const codes = engine === 'uws' ? [1000, 1001, 1011, 4000] : [1000, 1001, 1008, 1011, 1012, 3000, 4000];
    for (const code of codes) {
      const client = await TestSocket.open(`ws://127.0.0.1:${port}/app/`);
      const count = ends.length;
      client.ws.close(code, 'bye');
      await until('the upstream is told', () => ends.length > count);
      assert.equal(ends.at(-1), `${code} bye`, `${engine}: the client closes with ${code}`);
      assert.equal((await client.closed).code, code);
    }
    const client = await TestSocket.open(`ws://127.0.0.1:${port}/app/`);
    const count = ends.length;
    client.ws.close();
    await until('the upstream is told', () => ends.length > count);
    assert.equal(ends.at(-1), '1005 ');
  }
  await nothingLeft(gateway, before);
});

test('only the subprotocol that the upstream has chosen', async (t) => {
  const upstream = await server(t, echo, (offered) => (offered.has('b') ? 'b' : false));
  const gateway = await startBoth(t, { config: routeTo(upstream.port) });
  for (const [, port] of gateway.engines) {
    const open = async (...offered: string[]) => {
      const client = new WebSocket(`ws://127.0.0.1:${port}/app/`, offered);
      await once(client, 'open');
      client.terminate();
      return client.protocol;
    };
    assert.equal(await open('a', 'b', 'c'), 'b');
    assert.equal(upstream.asked.at(-1)?.headers['sec-websocket-protocol'], 'a, b, c');
    assert.equal(await open(), '');
    await assert.rejects(open('a'), /Server sent no subprotocol/);
  }
});

test('an answer that is no 101 is the answer', async (t) => {
  const upstream = await httpUpstream(t, () => undefined);
  const status = { now: 401 };
  const peer = await startPeer(t, (socket) =>
    socket.once('data', () =>
      socket.end(`HTTP/1.1 ${status.now} No\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 4\r\n\r\nnope`),
    ),
  );
  assert.ok(upstream.port > 0);
  const gateway = await startBoth(t, { config: routeTo(peer.port) });
  for (const [, port] of gateway.engines)
    for (status.now of [200, 302, 400, 401, 403, 404, 426, 503]) {
      const reply = await refused(`ws://127.0.0.1:${port}/app/`);
      assert.deepEqual(
        [reply.status, reply.body, reply.headers['www-authenticate']],
        [status.now, 'nope', 'Basic realm="x"'],
      );
    }
});

/** An upstream that switches by hand, and then says and does what the test likes. */
async function rawSwitching(
  t: TestContext,
  then: (socket: Socket) => void,
  fields = '',
  wrong = false,
): Promise<number> {
  const peer = await startPeer(t, (socket) => {
    let head = '';
    const asked = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      const key = /^sec-websocket-key: (.*)\r$/im.exec(head)?.[1];
      if (key === undefined || !head.includes('\r\n\r\n')) return;
      socket.off('data', asked);
      const accept = createHash('sha1')
        .update(wrong ? 'x' : key + GUID)
        .digest('base64');
      socket.write(`${SWITCH}Sec-WebSocket-Accept: ${accept}\r\n${fields}\r\n`);
      then(socket);
    };
    socket.on('data', asked);
  });
  return peer.port;
}

test('handshakes that are none', async (t) => {
  const rows: { readonly [name: string]: number } = {
    'a wrong accept': await rawSwitching(t, () => undefined, '', true),
    'a protocol that was not offered': await rawSwitching(t, () => undefined, 'Sec-WebSocket-Protocol: z\r\n'),
    'an extension': await rawSwitching(t, () => undefined, 'Sec-WebSocket-Extensions: permessage-deflate\r\n'),
  };
  const config = Object.entries(rows).map(
    ([name, port]) => `[proxy."/${name}"]\nupstream = "http://127.0.0.1:${port}"\n`,
  );
  const gateway = await startBoth(t, { config: config.join('') });
  const before = descriptorsOf(gateway.pid).length;
  for (const [, port] of gateway.engines)
    for (const name of Object.keys(rows))
      assert.equal((await refused(`ws://127.0.0.1:${port}/${encodeURIComponent(name)}`)).status, 502, name);
  await nothingLeft(gateway, before);
});

test('frames in one piece with the 101, masks, pings; and what breaks the protocol', async (t) => {
  const received: Buffer[] = [];
  const port = await rawSwitching(t, (socket) => {
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    // Text "hi", a ping, and a pong that nobody asked for, unmasked as a server sends them.
    socket.write(Buffer.from([0x81, 2, 0x68, 0x69, 0x89, 1, 0x70, 0x8a, 0]));
  });
  const broken = await rawSwitching(t, (socket) => socket.write(clientFrame(1, Buffer.from('masked'))));
  const large = await rawSwitching(t, (socket) => socket.write(Buffer.from([0x82, 127, 0, 0, 0, 0, 1, 0, 0, 0])));
  const garbage = await rawSwitching(t, (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
  const gateway = await startBoth(t, {
    config: `${routeTo(port)}[proxy."/broken"]\nupstream = "http://127.0.0.1:${broken}"\n[proxy."/large"]\nupstream = "http://127.0.0.1:${large}"\nmax_message = "1MiB"\n[proxy."/garbage"]\nupstream = "http://127.0.0.1:${garbage}"\n`,
  });
  for (const [engine, own] of gateway.engines) {
    received.length = 0;
    const client = await TestSocket.open(`ws://127.0.0.1:${own}/app/`);
    assert.deepEqual(await client.first(1), ['hi']);
    client.ws.send('masked?');
    let pongs = 0;
    client.ws.on('pong', (data) => {
      if (String(data) === 'mine') pongs++;
    });
    client.ws.ping('mine');
    await until('the gateway has answered the ping of the client', () => pongs === 1);
    const bytes = () => Buffer.concat(received);
    await until('the gateway has answered the ping of the upstream', () => bytes().includes(0x8a));
    await until('the message has come', () => bytes().length >= 7 + 13);
    // A pong of one byte and a text of seven, both masked.
    assert.ok(bytes().includes(Buffer.from([0x8a, 0x81])) && bytes().includes(Buffer.from([0x81, 0x87])), engine);
    assert.equal(bytes().includes('masked?'), false);
    client.ws.terminate();
    const closing = async (path: string): Promise<number> =>
      (await (await TestSocket.open(`ws://127.0.0.1:${own}${path}`)).closed).code;
    assert.equal(await closing('/broken'), 1002, engine);
    assert.equal(await closing('/large'), 1009, engine);
    assert.equal(await closing('/garbage'), 1002, engine);
  }
});

test('messages of 64 MiB, where they are allowed', async (t) => {
  const upstream = await server(t, echo);
  const gateway = await startBoth(t, {
    config: `${routeTo(upstream.port, 'max_message = "64MiB"\nlimits = { message_bytes_per_second = "1GiB" }')}[proxy."/small"]\nupstream = "http://127.0.0.1:${upstream.port}"\nmax_message = "1KiB"\n`,
  });
  const message = randomBytes(64 << 20);
  for (const [engine, port] of gateway.engines) {
    const client = new WebSocket(`ws://127.0.0.1:${port}/app/`, { maxPayload: 0, perMessageDeflate: false });
    await once(client, 'open');
    client.send(message);
    const [data] = (await once(client, 'message')) as [Buffer];
    assert.ok(data.equals(message), engine);
    client.terminate();
    const small = await TestSocket.open(`ws://127.0.0.1:${port}/small`);
    small.ws.send(Buffer.alloc(1025));
    assert.equal((await small.closed).code, 1009, engine);
  }
});

test('a client that does not read holds the upstream back', async (t) => {
  const SIZE = 65_536;
  let sent = 0;
  const COUNT = 2000;
  const upstream = await server(t, (socket) => {
    const more = (): void => {
      if (socket.readyState !== WebSocket.OPEN || sent >= COUNT) return;
      if (socket.bufferedAmount > 1 << 20) setTimeout(more, 5);
      else {
        sent++;
        socket.send(Buffer.alloc(SIZE), more);
      }
    };
    more();
  });
  const gateway = await startBoth(t, { config: routeTo(upstream.port) });
  for (const [engine, port] of gateway.engines) {
    sent = 0;
    const client = await TestSocket.open(`ws://127.0.0.1:${port}/app/`);
    client.ws.pause();
    let last = -1;
    for (let rounds = 0; last !== sent && rounds < 100; rounds++) {
      last = sent;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.ok(sent < COUNT / 2, `${engine}: ${sent} of ${COUNT}`);
    client.ws.resume();
    await client.first(COUNT);
    client.ws.terminate();
  }
});

test('an upstream that does not read: the client is held back, or closed where it cannot be', async (t) => {
  const upstream = await server(t, (socket) => socket.pause());
  const gateway = await startBoth(t, {
    config: routeTo(
      upstream.port,
      'max_queue = "1MiB"\nlimits = { messages_per_second = 0, message_bytes_per_second = 0 }',
    ),
  });
  const COUNT = 1000;
  for (const [engine, port] of gateway.engines) {
    const client = await TestSocket.open(`ws://127.0.0.1:${port}/app/`);
    let taken = 0;
    for (let at = 0; at < COUNT; at++) client.ws.send(Buffer.alloc(65_536), () => taken++);
    if (engine === 'uws') {
      assert.deepEqual(await client.closed, { code: 1013, reason: 'the upstream reads too slowly' });
      assert.equal(await gateway.metric('runnel_dropped_total', 'reason="slow_upstream"'), 1);
      continue;
    }
    let last = -1;
    for (let rounds = 0; last !== taken && rounds < 100; rounds++) {
      last = taken;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.ok(taken < COUNT, `${taken}`);
    let got = 0;
    const held = upstream.sockets.at(-1);
    held?.on('message', () => got++);
    held?.resume();
    await until('all of it has come', () => got === COUNT);
    client.ws.terminate();
  }
});

test('either end that is killed takes the other with it', async (t) => {
  const program = `
    import { WebSocketServer } from ${JSON.stringify(import.meta.resolve('ws'))};
    const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    wss.on('listening', () => console.log(wss.address().port));
    wss.on('connection', (ws) => { console.log('open'); ws.on('close', (code) => console.log('close ' + code)); ws.send('hi'); });
  `;
  const folder = folderWith(t, { 'server.mjs': program });
  for (const kind of ['upstream', 'client'] as const) {
    const child = spawn(process.execPath, ['server.mjs'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    const lines: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
    await until('the upstream listens', () => lines.length > 0);
    const gateway = await startBoth(t, { config: routeTo(Number(lines[0])) });
    const before = descriptorsOf(gateway.pid).length;
    const clients = await Promise.all(
      gateway.engines.map(([, port]) => TestSocket.open(`ws://127.0.0.1:${port}/app/`)),
    );
    for (const client of clients) await client.first(1);
    if (kind === 'upstream') {
      child.kill('SIGKILL');
      for (const client of clients) assert.equal((await client.closed).code, 1006);
    } else {
      for (const client of clients) client.ws.terminate();
      await until(
        'the upstream is told',
        () => lines.filter((line) => line === 'close 1006').length === clients.length,
      );
    }
    await nothingLeft(gateway, before);
    child.kill('SIGKILL');
  }
});

test('a client that leaves while its handshake is under way ends that, too', async (t) => {
  const port = await rawSwitching(t, () => undefined);
  const slow = await startPeer(t, () => undefined);
  const gateway = await startBoth(t, {
    config: `${routeTo(port)}[proxy."/slow"]\nupstream = "http://127.0.0.1:${slow.port}"\n`,
  });
  const before = descriptorsOf(gateway.pid).length;
  for (const [, own] of gateway.engines)
    for (const path of ['/app/', '/slow'])
      for (let turns = 0; turns < 8; turns++) {
        const client = await RawClient.connect(own);
        client.send(
          `GET ${path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
        );
        await new Promise((resolve) => setTimeout(resolve, turns * 3));
        client.destroy();
      }
  await nothingLeft(gateway, before);
});

test("origins are the gateway's to refuse, and a client that does not answer pings is dropped", async (t) => {
  const ends: number[] = [];
  const upstream = await server(t, (socket) => socket.on('close', (code) => ends.push(code)));
  const gateway = await startBoth(t, { config: routeTo(upstream.port, 'ping_interval = "200ms"') });
  for (const [engine, port] of gateway.engines) {
    const foreign = await refused(`ws://127.0.0.1:${port}/app/`, { origin: 'http://evil.test' });
    assert.equal(foreign.status, 403);
    const own = await TestSocket.open(`ws://127.0.0.1:${port}/app/`, { origin: `http://127.0.0.1:${port}` });
    own.ws.terminate();
    await until('the upstream is told', () => ends.length % 2 === 1);
    const deaf = await TestSocket.open(`ws://127.0.0.1:${port}/app/`, { autoPong: false });
    assert.equal((await deaf.closed).code, 1006, engine);
    await until('the upstream is told', () => ends.length % 2 === 0);
  }
  assert.ok(ends.every((code) => code === 1006));
  assert.equal((await ask(gateway.port, '/app/')).status, 426);
});

test('a gateway that stops tells both ends', async (t) => {
  const ends: string[] = [];
  const upstream = await server(t, (socket) => socket.on('close', (code) => ends.push(`${code}`)));
  const gateway = await startBoth(t, { config: routeTo(upstream.port) });
  const clients = await Promise.all(gateway.engines.map(([, port]) => TestSocket.open(`ws://127.0.0.1:${port}/app/`)));
  const stopped = gateway.stop();
  for (const client of clients) assert.equal((await client.closed).code, 1001);
  await until('the upstream is told', () => ends.length === 2);
  assert.deepEqual(ends, ['1001', '1001']);
  assert.equal(await stopped, 0);
});
