/** The door and what is no proper client: garbage, silence, half a request, a connection that is reset. It is answered or let go, counted, and harms nobody else. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Exchange } from '../../../src/engine/engine.ts';
import { descriptorsOf } from '../../support/processes.ts';
import { RawClient, rawRequest } from '../../support/raw.ts';
import { type Choosing, Trial, text } from '../../support/trial.ts';
import { until } from '../../support/until.ts';
import { helloBytes } from './made-hello.ts';

const GET = 'GET / HTTP/1.1\r\nHost: board.test\r\n\r\n';
const HELLO = helloBytes({ extensions: [] });

const ROWS: readonly Choosing[] = ['auto', 'auto-tls'];

/** What comes until the connection is closed. */
function spoken(port: number, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    socket.on('data', (part: Buffer) => {
      received += part.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  });
}

async function withTrial(
  row: Choosing,
  act: (trial: Trial) => Promise<void>,
  answer: (exchange: Exchange) => void = (exchange) => exchange.reply(text('ok')),
  headerTimeout = 10_000,
): Promise<void> {
  const trial = await Trial.start(row, answer, { headerTimeout });
  try {
    await act(trial);
    const served = await rawRequest(trial.port, GET);
    assert.equal(served.status, 200, 'the next client is served');
    await until(() => trial.events.connections === 0, 'every connection to be let go');
  } finally {
    await trial.close();
  }
}

/** With the status that says what is wrong; undefined: a TLS port is not spoken to like this. */
const GARBAGE: readonly (readonly [name: string, bytes: string, status: number])[] = [
  ['a word', 'nonsense\r\n\r\n', 400],
  ['an HTTP/0.9 request', 'GET /\r\n\r\n', 505],
  ['a version of later', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', 400],
  ["HTTP/2's preface", 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['an unknown method', 'FROB / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['no Host', 'GET / HTTP/1.1\r\nA: b\r\n\r\n', 400],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
  ['an unknown coding', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n', 400],
  ['a space before a colon', 'GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n', 400],
  ['a folded line', 'GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n', 400],
  ['NUL in a value', 'GET / HTTP/1.1\r\nHost: a\r\nA: b\0\r\n\r\n', 400],
  ['a bare CR', 'GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n', 400],
  ['line breaks without CR', 'GET / HTTP/1.1\nHost: a\n\n', 400],
  ['a field without a name', 'GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n', 400],
  ['a preface of a proxy', 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n', 400],
  ['a binary one', '\r\n\r\n\0\r\nQUIT\n\x20\0\0\0', 400],
  ['a TLS hello', HELLO.toString('latin1'), 400],
  ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n', 400],
  ['a head that is too large', `GET / HTTP/1.1\r\nHost: a\r\nA: ${'b'.repeat(70_000)}\r\n\r\n`, 431],
  ['a line that does not end', `GET /${'a'.repeat(70_000)}`, 431],
  ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', 405],
];

describe('garbage', { concurrency: true }, () => {
  for (const [name, bytes, status] of GARBAGE)
    test(`${name}: ${status}, told, closed`, () =>
      withTrial('auto', async (trial) => {
        const reply = await spoken(trial.port, bytes);
        assert.match(reply, new RegExp(`^HTTP/1\\.1 ${status} `));
        // In our words, not those of an engine.
        assert.match(reply, /\r\n\r\nrefused: .+\n$/);
        assert.equal(trial.events.refusals.length, 1);
        assert.deepEqual(trial.events.requests, []);
      }));

  for (const row of ROWS)
    test(`${row}: bytes by chance, 200 at once`, () =>
      withTrial(
        row,
        async (trial) => {
          await Promise.all(
            Array.from({ length: 200 }, (_, index) =>
              spoken(trial.port, Buffer.concat([randomBytes(1 + index), Buffer.from('\r\n\r\n')])),
            ),
          );
        },
        undefined,
        500,
      ));

  test('plain HTTP on a TLS port gets a sentence', () =>
    withTrial('auto-tls', async (trial) => {
      assert.match(await spoken(trial.port, GET), /^HTTP\/1\.1 400 [\s\S]*https/i);
    }));

  for (const [name, bytes] of [
    ['a hello without a suite', helloBytes({ suites: Buffer.alloc(0) })],
    ['a hello of lengths that are wrong', Buffer.concat([HELLO.subarray(0, 60), Buffer.alloc(200, 0xff)])],
    ['an alert', Buffer.from([0x15, 3, 1, 0, 2, 2, 40])],
    ['an empty record', Buffer.from([0x16, 3, 1, 0, 0])],
    ['SSLv2', Buffer.from([0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10])],
  ] as const)
    test(`${name} on a TLS port: closed`, () =>
      withTrial(
        'auto-tls',
        async (trial) => {
          await spoken(trial.port, Buffer.concat([bytes, Buffer.alloc(300)]));
          assert.deepEqual(trial.events.requests, []);
        },
        undefined,
        500,
      ));
});

describe('silence', { concurrency: true }, () => {
  for (const [name, bytes] of [
    ['nothing at all', ''],
    ['the first letter', 'G'],
    ['half a head', GET.slice(0, 30)],
    ['all but the last byte', GET.slice(0, -1)],
  ] as const)
    test(`${name}: 408, told, closed`, async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'runnel-door-'));
      t.after(() => rmSync(folder, { recursive: true }));
      for (const address of [
        { kind: 'tcp', host: '127.0.0.1', port: 0 },
        { kind: 'unix', path: join(folder, 's') },
      ] as const) {
        const trial = await Trial.start('auto', (exchange) => exchange.reply(text('ok')), {
          address,
          headerTimeout: 300,
        });
        try {
          const client = await RawClient.connect(address.kind === 'unix' ? address : trial.port);
          if (bytes !== '') client.send(bytes);
          await client.ended();
          assert.match(client.received.toString(), /^HTTP\/1\.1 408 /);
          await until(() => trial.events.connections === 0, 'it to be let go');
          assert.equal(trial.events.addresses.length, 1);
          assert.equal(trial.events.refusals.length, 1);
        } finally {
          await trial.close();
        }
      }
    });

  for (const [name, bytes] of [
    ['nothing at all', Buffer.alloc(0)],
    ['half a hello', HELLO.subarray(0, 20)],
  ] as const)
    test(`TLS, ${name}: closed`, () =>
      withTrial(
        'auto-tls',
        async (trial) => {
          const client = connect(trial.port, '127.0.0.1');
          client.on('error', () => undefined);
          if (bytes.length > 0) client.write(bytes);
          client.resume();
          await new Promise((resolve) => client.once('close', resolve));
          assert.equal(trial.events.addresses.length, 1);
        },
        undefined,
        300,
      ));

  test('a client that leaves without a word, and one that only ends its side', () =>
    withTrial('auto', async (trial) => {
      for (let times = 0; times < 20; times++) {
        const socket = connect(trial.port, '127.0.0.1');
        await new Promise((resolve) => socket.once('connect', resolve));
        if (times % 2 === 0) socket.destroy();
        else socket.end().resume();
      }
    }));
});

describe('resets', { concurrency: false }, () => {
  for (const row of ROWS)
    test(`${row}: at each step, and no descriptor is left`, async () => {
      const answered: Exchange[] = [];
      await withTrial(
        row,
        async (trial) => {
          const before = descriptorsOf(process.pid).length;
          const whole = row === 'auto' ? Buffer.from(GET) : HELLO;
          const late = Buffer.from('GET /late HTTP/1.1\r\nHost: a\r\n\r\n');
          const old = Buffer.from('GET / HTTP/1.0\r\n\r\n');
          const steps: readonly ((socket: Socket) => Promise<void>)[] = [
            async () => undefined,
            ...[1, 4, 16, whole.length - 1, whole.length].flatMap((length) =>
              [0, 10, 60].map((pause) => async (socket: Socket) => {
                socket.write(whole.subarray(0, length));
                await sleep(pause);
              }),
            ),
            ...(row === 'auto' ? [late, old] : []).map((bytes) => async (socket: Socket) => {
              socket.write(bytes);
              await sleep(20);
            }),
          ];
          for (let round = 0; round < 5; round++)
            await Promise.all(
              steps.map(async (step) => {
                const socket = connect(trial.port, '127.0.0.1');
                socket.on('error', () => undefined);
                await new Promise((resolve) => socket.once('connect', resolve));
                await step(socket);
                socket.resetAndDestroy();
              }),
            );
          // What the kernel holds back until its client speaks is accepted late, or never.
          await until(() => trial.events.connections === 0, 'all to be let go');
          await until(() => descriptorsOf(process.pid).length <= before, 'every descriptor to be closed');
        },
        (exchange) => {
          if (exchange.request.path === '/late') answered.push(exchange);
          else exchange.reply(text('ok'));
        },
        // A reset behind half a hello looks like the end of its side to Node's TLS, which waits for that long then.
        1000,
      );
      for (const exchange of answered) exchange.reply(text('too late'));
    });
});
