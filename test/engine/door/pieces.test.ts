/** The door: a first request or a TLS hello that comes in pieces is served as if it had come whole, by whichever engine. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectSecure } from 'node:tls';
import type { ListenOptions } from '../../../src/engine/engine.ts';
import { inTurns } from '../../support/many.ts';
import { binary, line } from '../../support/preface.ts';
import { type Choosing, Trial, text } from '../../support/trial.ts';
import { until } from '../../support/until.ts';

const REQUEST = 'GET /a/page.html?b=c HTTP/1.1\r\nHost: board.test\r\nUser-Agent: test\r\n\r\n';
/** Longer than the door looks again: what comes so late is Node's. */
const A_WHILE = 60;

type Place = ListenOptions['address'];
const PLACES: readonly (readonly [name: string, address: (folder: string) => Place])[] = [
  ['IPv4', () => ({ kind: 'tcp', host: '127.0.0.1', port: 0 })],
  ['IPv6', () => ({ kind: 'tcp', host: '::1', port: 0 })],
  ['both', () => ({ kind: 'tcp', host: '::', port: 0 })],
  ['Unix', (folder) => ({ kind: 'unix', path: join(folder, 's') })],
];

interface Opened {
  readonly trial: Trial;
  connect(): Socket;
}

async function open(
  t: TestContext,
  row: Choosing,
  place: (folder: string) => Place,
  more: Partial<ListenOptions> = {},
): Promise<Opened> {
  const folder = mkdtempSync(join(tmpdir(), 'runnel-door-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const address = place(folder);
  const trial = await Trial.start(
    row,
    (exchange) => exchange.reply(text(`${exchange.request.path} ${exchange.request.query}`)),
    { address, ...more },
  );
  t.after(() => trial.close());
  const target =
    address.kind === 'unix'
      ? { path: address.path }
      : { host: address.kind === 'tcp' && address.host === '::1' ? '::1' : '127.0.0.1', port: trial.port };
  return { trial, connect: () => connect({ ...target, noDelay: true }).on('error', () => undefined) };
}

/** All that comes until the answer is complete or the connection is closed. */
function answerOf(socket: Socket | Duplex, body: string): Promise<string> {
  let received = '';
  socket.on('data', (bytes: Buffer) => {
    received += bytes.toString('latin1');
  });
  let closed = false;
  socket.once('close', () => {
    closed = true;
  });
  return until(() => closed || received.endsWith(body), 'an answer').then(() => received);
}

function assertServed(answer: string, what: string): void {
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n\/a\/page\.html b=c$/, what);
}

for (const [name, place] of PLACES)
  describe(`a first request in pieces: ${name}`, () => {
    for (const [when, pause] of [
      ['as soon as the first is seen', 0],
      ['a while after it', A_WHILE],
    ] as const)
      test(`cut into two at every byte, the second ${when}`, async (t) => {
        const { trial, connect: client } = await open(t, 'auto', place);
        const cuts = Array.from({ length: Math.min(64, REQUEST.length - 1) }, (_, at) => at + 1);
        const sockets = cuts.map((cut) => {
          const socket = client();
          socket.write(REQUEST.slice(0, cut));
          return socket;
        });
        await until(() => trial.events.addresses.length === cuts.length, 'all to be seen');
        await sleep(pause);
        const answers = await Promise.all(
          sockets.map((socket, index) => {
            const answer = answerOf(socket, '/a/page.html b=c');
            socket.write(REQUEST.slice(cuts[index]));
            return answer;
          }),
        );
        for (const [index, answer] of answers.entries()) assertServed(answer, `cut at ${cuts[index]}`);
        // Each is still good for another.
        await Promise.all(
          sockets.map(async (socket, index) => {
            const answer = answerOf(socket, '/a/page.html b=c');
            socket.write(REQUEST);
            assertServed(await answer, `the second behind a cut at ${cuts[index]}`);
            socket.destroy();
          }),
        );
        await until(() => trial.events.connections === 0, 'all to be gone');
        assert.deepEqual(trial.events.refusals, []);
      });

    test('byte by byte, many at once', async (t) => {
      const { trial, connect: client } = await open(t, 'auto', place);
      const answers = await inTurns(20, 20, async (index) => {
        const socket = client();
        const answer = answerOf(socket, '/a/page.html b=c');
        for (const byte of REQUEST) {
          socket.write(byte);
          await sleep(index % 3);
        }
        const received = await answer;
        socket.destroy();
        return received;
      });
      for (const answer of answers) assertServed(answer, 'byte by byte');
      assert.equal(trial.events.requests.length, 20);
    });

    test('a hello cut into two at every byte, the second when the first is seen, and a while after', async (t) => {
      const { trial, connect: client } = await open(t, 'auto-tls', place);
      const cuts = Array.from({ length: 64 }, (_, at) => at + 1).concat([100, 150, 200, 250]);
      for (const pause of [0, A_WHILE]) {
        const before = trial.events.addresses.length;
        const cutters = cuts.map((cut) => new Cutter(client(), cut));
        const answers = Promise.all(
          cutters.map(async (cutter) => {
            const secure = connectSecure({ socket: cutter, servername: 'board.test', rejectUnauthorized: false });
            secure.on('error', () => undefined);
            const answer = answerOf(secure, '/a/page.html b=c');
            secure.write(REQUEST);
            return await answer;
          }),
        );
        await until(() => trial.events.addresses.length === before + cuts.length, 'all to be seen');
        await sleep(pause);
        for (const cutter of cutters) cutter.release();
        for (const [index, answer] of (await answers).entries()) assertServed(answer, `cut at ${cuts[index]}`);
        for (const cutter of cutters) cutter.destroy();
      }
      await until(() => trial.events.connections === 0, 'all to be gone');
    });

    test('a PROXY preface with the request behind it in one segment, and in pieces', async (t) => {
      const { trial, connect: client } = await open(t, 'auto', place, { isProxy: () => true });
      for (const preface of [Buffer.from(line('192.0.2.1')), binary('192.0.2.1')]) {
        const bytes = Buffer.concat([preface, Buffer.from(REQUEST)]);
        const cuts = [bytes.length, ...Array.from({ length: 64 }, (_, at) => at + 1)];
        await Promise.all(
          cuts.map(async (cut) => {
            const socket = client();
            const answer = answerOf(socket, '/a/page.html b=c');
            socket.write(bytes.subarray(0, cut));
            await sleep(cut % 10);
            socket.write(bytes.subarray(cut));
            assertServed(await answer, `cut at ${cut}`);
            socket.destroy();
          }),
        );
      }
      assert(trial.events.requests.every(({ remoteAddress }) => remoteAddress === '192.0.2.1'));
      await until(() => trial.events.connections === 0, 'all to be gone');
    });
  });

/** Holds all behind the first `cut` bytes that are written until it is told. */
class Cutter extends Duplex {
  private readonly held: Buffer[] = [];
  private sent = 0;
  private open = false;

  constructor(
    private readonly socket: Socket,
    private readonly cut: number,
  ) {
    super();
    socket.on('data', (bytes: Buffer) => this.push(bytes));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    const now = this.open ? bytes.length : Math.max(0, Math.min(bytes.length, this.cut - this.sent));
    this.sent += now;
    if (now > 0) this.socket.write(bytes.subarray(0, now));
    if (now < bytes.length) this.held.push(bytes.subarray(now));
    done();
  }

  override _destroy(_error: Error | null, done: () => void): void {
    this.socket.destroy();
    done();
  }

  release(): void {
    this.open = true;
    for (const bytes of this.held) this.socket.write(bytes);
  }
}
