/** The contract of `ListenOptions.isProxy`: what comes before HTTP, and before TLS. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connect as connectSecure } from 'node:tls';
import WebSocket from 'ws';
import type { Exchange } from '../../src/engine/engine.ts';
import { binary, block, line, tlv } from '../support/preface.ts';
import { RawClient } from '../support/raw.ts';
import { Trial, text } from '../support/trial.ts';
import { until } from '../support/until.ts';

const REQUEST = 'GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n';
const answer = (exchange: Exchange): void => exchange.reply(text('ok'));
const local = (address: string): boolean => address === '127.0.0.1';

/** A connection on which the preface has gone out, encrypted behind it where the row is. */
async function through(row: 'node' | 'tls', port: number, preface: string | Buffer): Promise<Socket> {
  const raw = connect({ host: '127.0.0.1', port });
  raw.on('error', () => {});
  await once(raw, 'connect');
  raw.write(preface);
  if (row === 'node') return raw;
  const socket = connectSecure({ socket: raw, servername: 'board.test', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  return socket;
}

async function status(socket: Socket, bytes: string): Promise<string> {
  const got: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => got.push(chunk));
  socket.write(bytes);
  await until(() => Buffer.concat(got).includes('\r\n\r\nok'), 'an answer');
  return Buffer.concat(got).toString('latin1', 9, 12);
}

for (const row of ['node', 'tls'] as const) {
  describe(`${row}: the PROXY protocol`, () => {
    const six = block(0x21, 0x21, [0x20, 1, 13, 0xb8, ...new Array<number>(27).fill(0), 1, 1, 2, 0, 80]);
    const CASES: readonly (readonly [what: string, preface: string | Buffer, address: string, port: number])[] = [
      ['version 1', line('203.0.113.7', 4711), '203.0.113.7', 4711],
      ['version 1, IPv6', 'PROXY TCP6 2001:db8::7 ::1 4712 80\r\n', '2001:db8::7', 4712],
      ['version 2', binary('203.0.113.8', 4713), '203.0.113.8', 4713],
      ['version 2, IPv6', six, '2001:db8::', 258],
    ];
    for (const [what, preface, address, port] of CASES)
      test(`${what}: the request is the client's, and the next one, too`, async () => {
        const trial = await Trial.start(row, answer, { isProxy: local });
        const socket = await through(row, trial.port, preface);
        assert.equal(await status(socket, REQUEST), '200');
        socket.removeAllListeners('data');
        assert.equal(await status(socket, REQUEST), '200');
        assert.deepEqual(
          trial.events.requests.map((request) => [request.remoteAddress, request.remotePort, request.path]),
          [
            [address, port, '/a'],
            [address, port, '/a'],
          ],
        );
        // First it counted as the proxy's.
        assert.deepEqual(trial.events.addresses, ['127.0.0.1', address]);
        assert.deepEqual(trial.events.gone, ['127.0.0.1']);
        socket.destroy();
        await until(() => trial.events.connections === 0, 'its end to be told');
        assert.deepEqual(trial.events.gone, ['127.0.0.1', address]);
        await trial.close();
      });

    for (const [what, preface] of [
      ['UNKNOWN', 'PROXY UNKNOWN\r\n'],
      ['LOCAL', block(0x20, 0, [])],
      ['a Unix socket', block(0x21, 0x31, new Array<number>(216).fill(0))],
    ] as const)
      test(`${what}: the connection's own address`, async () => {
        const trial = await Trial.start(row, answer, { isProxy: local });
        const socket = await through(row, trial.port, preface);
        assert.equal(await status(socket, REQUEST), '200');
        const [request] = trial.events.requests;
        assert.deepEqual([request?.remoteAddress, request?.remotePort], ['127.0.0.1', socket.localPort]);
        assert.equal(trial.events.connections, 1);
        socket.destroy();
        await trial.close();
      });

    test('a WebSocket behind it', async () => {
      const trial = await Trial.start(
        row,
        (exchange) =>
          exchange.upgrade({
            protocol: undefined,
            headers: [],
            maxMessage: 100,
            handlers: {
              open: (socket) => socket.send(exchange.request.remoteAddress, false),
              message() {},
              drain() {},
              pong() {},
              ping() {},
              close() {},
            },
            cancel() {},
          }),
        { isProxy: local },
      );
      const socket = await through(row, trial.port, binary('203.0.113.9'));
      const ws = new WebSocket('ws://board.test/', { createConnection: () => socket });
      const [message] = (await once(ws, 'message')) as [Buffer];
      assert.equal(message.toString(), '203.0.113.9');
      ws.terminate();
      await until(() => trial.events.connections === 0, 'its end to be told');
      assert.equal(trial.events.gone.at(-1), '203.0.113.9');
      await trial.close();
    });

    test('somebody else may not connect', async () => {
      const trial = await Trial.start(row, answer, { isProxy: (address) => address === '127.0.0.2' });
      const client = connect({ host: '127.0.0.1', port: trial.port });
      client.on('error', () => {});
      client.write(line('127.0.0.1') + REQUEST);
      await once(client, 'close');
      assert.match(trial.events.refusals.join(), /an address that connections.trusted_proxies does not list/);
      assert.deepEqual([trial.events.requests.length, trial.events.addresses.length], [0, 0]);
      await trial.close();
    });

    test('one too many is let go, by the address in the preface', async () => {
      const trial = await Trial.start(row, answer, { isProxy: local });
      trial.events.unwelcome = '203.0.113.7';
      const client = connect({ host: '127.0.0.1', port: trial.port });
      client.on('error', () => {});
      const got: Buffer[] = [];
      client.on('data', (chunk: Buffer) => got.push(chunk));
      client.write(line('203.0.113.7'));
      await once(client, 'close');
      if (row === 'node') assert.match(Buffer.concat(got).toString(), /^HTTP\/1\.1 503 /);
      await until(() => trial.events.connections === 0, 'its end to be told');
      assert.deepEqual(trial.events.gone, ['127.0.0.1']);
      await trial.close();
    });

    test('one too many is let go before the preface', async () => {
      const trial = await Trial.start(row, answer, { isProxy: local });
      trial.events.room = 0;
      const client = connect({ host: '127.0.0.1', port: trial.port });
      client.on('error', () => {});
      client.resume();
      await once(client, 'close');
      assert.deepEqual([trial.events.connections, trial.events.requests.length], [0, 0]);
      await trial.close();
    });

    test('stopping does not wait for a preface', async () => {
      const trial = await Trial.start(row, answer, { isProxy: local });
      const client = connect({ host: '127.0.0.1', port: trial.port });
      client.on('error', () => {});
      await until(() => trial.events.connections === 1, 'the connection');
      trial.listening.stop();
      await trial.listening.finished;
      await trial.close();
    });
  });
}

describe('the PROXY preface on the wire', () => {
  const PREFACES = { 'version 1': Buffer.from(line('203.0.113.7')), 'version 2': binary('203.0.113.7') };
  for (const [what, preface] of Object.entries(PREFACES))
    test(`${what}, cut into two at every byte, the request with it`, async () => {
      const trial = await Trial.start('node', answer, { isProxy: local });
      const bytes = Buffer.concat([preface, Buffer.from(REQUEST)]);
      for (let cut = 0; cut <= preface.length + 2; cut++) {
        const client = await RawClient.connect(trial.port);
        client.socket.setNoDelay(true);
        client.send(bytes.subarray(0, cut));
        await until(() => trial.events.connections === 1, 'it to be accepted');
        // Another connection's answer has gone both ways since: the first part has been read.
        const other = await RawClient.connect(trial.port);
        other.send(Buffer.concat([binary('198.51.100.1'), Buffer.from(REQUEST)]));
        assert.equal((await other.reply()).status, 200);
        other.destroy();
        client.send(bytes.subarray(cut));
        assert.equal((await client.reply()).status, 200, `cut at ${cut}`);
        assert.equal(trial.events.requests.at(-1)?.remoteAddress, '203.0.113.7');
        client.destroy();
        await until(() => trial.events.connections === 0, 'both to be gone');
      }
      await trial.close();
    });

  test('byte by byte', async () => {
    const trial = await Trial.start('node', answer, { isProxy: local });
    const client = await RawClient.connect(trial.port);
    client.socket.setNoDelay(true);
    for (const byte of Buffer.concat([binary('203.0.113.7'), Buffer.from(REQUEST)])) {
      client.send(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal((await client.reply()).status, 200);
    client.destroy();
    await trial.close();
  });

  const WRONG: readonly (readonly [what: string, bytes: string | Buffer, said: RegExp])[] = [
    ['none', REQUEST, /no PROXY preface/],
    ['a TLS handshake', Buffer.from([22, 3, 1, 2, 0, 1, 0, 1]), /no PROXY preface/],
    ['malformed', 'PROXY TCP4 board board 1 2\r\n', /a malformed PROXY line/],
    ['too long a line', `PROXY TCP4 ${'1'.repeat(200)}`, /longer than 107/],
    [
      'too long a block',
      Buffer.concat([block(0x21, 0x11, []).subarray(0, 14), Buffer.from([255, 255])]),
      /longer than/,
    ],
    ['two of them', line('203.0.113.7') + line('203.0.113.8') + REQUEST, /Parse Error/],
  ];
  for (const [what, bytes, said] of WRONG)
    test(`${what}: closed, told, nobody served`, async () => {
      const trial = await Trial.start('node', answer, { isProxy: local });
      const client = await RawClient.connect(trial.port);
      client.send(bytes);
      await client.ended();
      await until(() => trial.events.connections === 0, 'its end to be told');
      assert.match(trial.events.refusals.join(), said);
      assert.deepEqual(trial.events.requests, []);
      await trial.close();
    });

  test('half of one is not waited for longer than for a head; nothing at all is not worth a word', async () => {
    const trial = await Trial.start('node', answer, { isProxy: local, headerTimeout: 150 });
    const [half, silent] = [await RawClient.connect(trial.port), await RawClient.connect(trial.port)];
    half.send('PROXY TCP4 ');
    await Promise.all([half.ended(), silent.ended()]);
    assert.deepEqual(trial.events.refusals, ['a PROXY preface that took too long']);
    await trial.close();
  });

  test('a proxy that leaves in the middle, or at once', async () => {
    const trial = await Trial.start('node', answer, { isProxy: local });
    for (const bytes of ['', 'PROXY', binary('203.0.113.7').subarray(0, 20)]) {
      const client = await RawClient.connect(trial.port);
      client.send(bytes);
      client.socket.end();
      await client.ended();
    }
    for (let count = 0; count < 20; count++) {
      const client = await RawClient.connect(trial.port);
      client.send(line('203.0.113.7'));
      client.socket.resetAndDestroy();
    }
    await until(() => trial.events.connections === 0, 'all ends to be told');
    assert.deepEqual([trial.events.refusals, trial.events.requests], [[], []]);
    await trial.close();
  });

  test('TLS that the proxy has ended makes the request a secure one', async () => {
    const trial = await Trial.start('node', answer, { isProxy: local });
    for (const flags of [1, 0]) {
      const content = [203, 0, 113, 7, 127, 0, 0, 1, 1, 2, 0, 80, ...tlv(0x20, [flags, 0, 0, 0, 0])];
      const client = await RawClient.connect(trial.port);
      client.send(Buffer.concat([block(0x21, 0x11, content), Buffer.from(REQUEST)]));
      assert.equal((await client.reply()).status, 200);
      client.destroy();
    }
    assert.deepEqual(
      trial.events.requests.map(({ listener }) => listener.secure),
      [true, false],
    );
    await trial.close();
  });

  test('whoever may open a Unix socket may send one, where that counts as a proxy', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'runnel-test-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'socket');
    const trial = await Trial.start('node', answer, {
      address: { kind: 'unix', path },
      isProxy: (address) => address === 'unix',
    });
    const client = await RawClient.connect({ path });
    client.send(line('203.0.113.7', 99) + REQUEST);
    assert.equal((await client.reply()).status, 200);
    assert.equal(trial.events.requests[0]?.remoteAddress, '203.0.113.7');
    client.destroy();
    await trial.close();
  });

  test('whoever may open a Unix socket may not, where that is no proxy', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'runnel-test-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'socket');
    const trial = await Trial.start('node', answer, { address: { kind: 'unix', path }, isProxy: local });
    const client = await RawClient.connect({ path });
    client.send(line('203.0.113.7', 99) + REQUEST);
    await client.ended();
    assert.match(trial.events.refusals.join(), /an address that connections.trusted_proxies does not list/);
    await trial.close();
  });

  test('a proxy that does not say whose connection it passes on', async () => {
    const trial = await Trial.start('node', answer, { isProxy: local });
    for (const preface of [Buffer.from('PROXY UNKNOWN\r\n'), block(0x20, 0, []), Buffer.from(line('203.0.113.7'))]) {
      const client = await RawClient.connect(trial.port);
      client.send(Buffer.concat([preface, Buffer.from(REQUEST)]));
      assert.equal((await client.reply()).status, 200);
      client.destroy();
    }
    assert.deepEqual(
      trial.events.requests.map(({ remoteAddress, anonymous = false }) => [remoteAddress, anonymous]),
      [
        ['127.0.0.1', true],
        ['127.0.0.1', true],
        ['203.0.113.7', false],
      ],
    );
    await trial.close();
  });
});

describe('uws and the PROXY protocol', () => {
  // uWebSockets.js reads a preface of version 2 from everybody. That must not make anybody somebody else.
  test('a preface that nobody asked for changes nothing', async () => {
    const trial = await Trial.start('uws', answer);
    const client = await RawClient.connect(trial.port);
    client.send(Buffer.concat([binary('203.0.113.7'), Buffer.from(REQUEST)]));
    assert.equal((await client.reply()).status, 200);
    assert.equal(trial.events.requests[0]?.remoteAddress, '127.0.0.1');
    assert.deepEqual([...new Set(trial.events.addresses)], ['127.0.0.1']);
    client.destroy();
    const old = await RawClient.connect(trial.port);
    old.send(line('203.0.113.7') + REQUEST);
    assert.equal((await old.reply()).status, 505);
    assert.equal(trial.events.requests.length, 1);
    old.destroy();
    await trial.close();
  });
});
