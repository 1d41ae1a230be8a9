/**
 * The contract of an engine: a client that leaves between any two steps of any answer. Whatever the engine was given becomes exactly one
 * of two things, and nothing is left: no count, no connection, no warning of Node about listeners. RUNNEL_ABORTS says how often, 20,000
 * for a long run.
 */
import assert from 'node:assert/strict';
import { connect, type Socket as NetSocket } from 'node:net';
import { describe, test } from 'node:test';
import { connect as connectSecure } from 'node:tls';
import type { Exchange } from '../../src/engine/engine.ts';
import { after, Ledger } from '../support/ledger.ts';
import { RawClient } from '../support/raw.ts';
import { CONTRACT, isSecure, type Row, Trial, text } from '../support/trial.ts';
import { until } from '../support/until.ts';

const ROUNDS = Number(process.env['RUNNEL_ABORTS'] ?? 600);
const AT_ONCE = 20;
const MOST_TURNS = 12;

const HOST = 'Host: x\r\n';
const HANDSHAKE =
  `${HOST}Upgrade: websocket\r\nConnection: Upgrade\r\n` +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
const FEW = [Buffer.from('one'), Buffer.from('two'), Buffer.from('three')];
const MANY = Array.from({ length: 32 }, () => Buffer.alloc(64 * 1024, 'x'));

interface Kind {
  /** What the client sends before it leaves, piece by piece, a turn between them. N stands for its number. */
  readonly sends: readonly string[];
  serve(exchange: Exchange, ledger: Ledger, turns: number): void;
}

const KINDS: { readonly [name: string]: Kind } = {
  plain: {
    sends: [`GET /N HTTP/1.1\r\n${HOST}\r\n`],
    serve: (exchange, _, turns) => after(turns, () => exchange.reply(text('ok'))),
  },
  'pieces of a head': {
    sends: ['GET /N HTTP/1.1\r\nHo', 'st: x\r\n', '\r\n'],
    serve: (exchange, _, turns) => after(turns, () => exchange.reply(text('ok'))),
  },
  source: {
    sends: [`GET /N HTTP/1.1\r\n${HOST}\r\n`],
    serve: (exchange, ledger, turns) =>
      after(turns, () => exchange.reply({ ...text(''), body: ledger.source('source', FEW, turns) })),
  },
  'large source': {
    sends: [`GET /N HTTP/1.1\r\n${HOST}\r\n`],
    serve: (exchange, ledger, turns) =>
      after(turns, () => exchange.reply({ ...text(''), body: ledger.source('large', MANY, turns, 32 * 64 * 1024) })),
  },
  'source of a HEAD': {
    sends: [`HEAD /N HTTP/1.1\r\n${HOST}\r\n`],
    serve: (exchange, ledger, turns) =>
      after(turns, () => exchange.reply({ ...text(''), body: ledger.source('head', FEW, turns, 11) })),
  },
  pipelined: {
    sends: [`GET /N HTTP/1.1\r\n${HOST}\r\nGET /N HTTP/1.1\r\n${HOST}\r\n`],
    serve: (exchange, ledger, turns) =>
      after(turns, () => exchange.reply({ ...text(''), body: ledger.source('pipelined', FEW, turns) })),
  },
  upgrade: {
    sends: [`GET /N HTTP/1.1\r\n${HANDSHAKE}`],
    serve: (exchange, ledger, turns) =>
      after(turns, () => exchange.upgrade(ledger.upgrade('upgrade', (socket) => socket.send('hello', false)))),
  },
  'upgrade with early bytes': {
    sends: [`GET /N HTTP/1.1\r\n${HANDSHAKE}`, '\x81\x85\0\0\0\0hello'],
    serve: (exchange, ledger, turns) =>
      after(turns, () => exchange.upgrade(ledger.upgrade('early', (socket) => socket.send('hello', false)))),
  },
  'upgrade that we close': {
    sends: [`GET /N HTTP/1.1\r\n${HANDSHAKE}`],
    serve: (exchange, ledger, turns) =>
      after(turns, () =>
        exchange.upgrade(ledger.upgrade('closed', (socket) => after(turns, () => socket.close(1000, 'done')))),
      ),
  },
  'upgrade refused': {
    sends: [`GET /N HTTP/1.1\r\n${HANDSHAKE}`],
    serve: (exchange, _, turns) => after(turns, () => exchange.reply(text('no', 401))),
  },
  body: {
    sends: [`POST /N HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\n`, 'hello', 'world'],
    serve(exchange, ledger, turns) {
      exchange.receive({
        chunk: () => undefined,
        end: () => after(turns, () => exchange.reply({ ...text(''), body: ledger.source('body', FEW, turns) })),
      });
    },
  },
  'body held back': {
    sends: [`POST /N HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\n`, 'hello', 'world'],
    serve(exchange, ledger, turns) {
      exchange.receive({
        chunk: () => {
          exchange.pauseBody();
          after(turns, () => exchange.resumeBody());
        },
        end: () => exchange.reply({ ...text(''), body: ledger.source('held', FEW, turns) }),
      });
    },
  },
  'body in chunks': {
    sends: [`POST /N HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`, '0\r\n\r\n'],
    serve: (exchange, ledger, turns) =>
      after(turns, () => exchange.reply({ ...text(''), body: ledger.source('chunks', FEW, turns) })),
  },
  'body that nobody takes': {
    sends: [`POST /N HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\n`, 'hello'],
    serve: (exchange, ledger, turns) =>
      after(turns, () => exchange.reply({ ...text('', 413), body: ledger.source('untaken', FEW, turns) })),
  },
};

/** Whether it is ended in order, or cut. */
type Way = 'fin' | 'rst';

interface Leaving {
  readonly kind: Kind;
  readonly number: number;
  readonly turns: number;
  readonly way: Way;
  /** Resolves when its request has arrived; undefined: it does not wait for that. */
  readonly seen: Promise<unknown> | undefined;
}

/** One client, which leaves `turns` turns after it was seen, or after the last that it sent. */
async function leave(row: Row, port: number, { kind, number, turns, way, seen }: Leaving): Promise<void> {
  const raw = connect(port, '127.0.0.1');
  raw.on('error', () => undefined);
  const closed = new Promise((resolve) => raw.once('close', resolve));
  const socket: NetSocket = isSecure(row) ? connectSecure({ socket: raw, rejectUnauthorized: false }) : raw;
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once(isSecure(row) ? 'secureConnect' : 'connect', resolve));
  for (const piece of kind.sends) {
    socket.write(Buffer.from(piece.replaceAll('/N ', `/${number} `), 'latin1'));
    await new Promise<void>((resolve) => after(turns % 3, resolve));
  }
  await seen;
  after(turns, () => {
    if (way === 'fin') socket.destroy();
    else raw.resetAndDestroy();
    raw.destroy();
  });
  await closed;
}

for (const row of CONTRACT) {
  describe(`${row}: a client leaves between two steps`, () => {
    test(`${ROUNDS} times: what was given is taken or given back, and nothing is left`, async () => {
      const warnings: string[] = [];
      const warned = (warning: Error): void => void warnings.push(String(warning));
      process.on('warning', warned);
      const ledger = new Ledger();
      const kinds = Object.entries(KINDS);
      const seen = new Map<number, () => void>();
      const trial = await Trial.start(row, (exchange) => {
        const number = Number(exchange.request.path.slice(1));
        const [name, kind] = kinds[number % kinds.length] ?? [];
        if (name === undefined || kind === undefined) {
          exchange.reply(text('ok'));
          return;
        }
        seen.get(number)?.();
        ledger.watch(exchange, name);
        kind.serve(exchange, ledger, Math.floor(number / kinds.length) % 7);
      });

      let at = 0;
      const some = async (): Promise<void> => {
        for (let number = at++; number < ROUNDS; number = at++) {
          const kind = kinds[number % kinds.length]?.[1];
          assert(kind !== undefined);
          const round = Math.floor(number / kinds.length);
          const waits = round % 4 > 0 ? new Promise<void>((resolve) => seen.set(number, resolve)) : undefined;
          const way = Math.floor(round / 2) % 2 === 0 ? 'fin' : 'rst';
          await leave(row, trial.port, { kind, number, turns: round % MOST_TURNS, way, seen: waits });
          seen.delete(number);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, some));

      await until(() => ledger.pending === 0, 'everything to be accounted for').catch((error: unknown) => {
        throw new Error(`${ledger.pending} of ${ledger.given} were neither taken nor given back`, { cause: error });
      });
      assert(ledger.given > ROUNDS / 3, `${ledger.given} things were given`);
      await until(() => trial.events.connections === 0, 'the connections to end');
      const idle = await RawClient.connect(trial.port);
      idle.send(`GET /idle HTTP/1.1\r\n${HOST}\r\n`);
      assert.equal((await idle.reply()).status, 200);
      // Of an engine that is stopping an idle connection is let go only when no request or WebSocket is counted any more.
      trial.listening.stop();
      await Promise.all([idle.ended(), trial.listening.finished]);
      process.off('warning', warned);
      assert.deepEqual([ledger.problems, warnings], [[], []]);
      assert.equal(trial.events.connections, 0);
      await trial.close();
    });
  });
}
