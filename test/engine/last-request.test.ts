/**
 * The contract of an engine: where it is not certain where a request ends, nothing behind it is served; and nobody fills the memory
 * with answers that he does not read.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Reply } from '../../src/engine/engine.ts';
import { RawClient, rawRequest } from '../support/raw.ts';
import { ENGINES, engineName, PatternSource, Trial, text } from '../support/trial.ts';
import { until } from '../support/until.ts';

const HOST = 'Host: board.test\r\n';
const HIDDEN = `GET /hidden HTTP/1.1\r\n${HOST}\r\n`;
const CHUNKED = `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`;

/** What one server takes for a body, and another for a body and a request. */
const AMBIGUOUS: readonly (readonly [what: string, bytes: string])[] = [
  ['an extension of digits', `${CHUNKED}1;0\r\n${'x'.repeat(0x1b0)}\r\n0\r\n\r\n`],
  ['an extension', `${CHUNKED}0;a\r\n`],
  ['":" for a digit', `${CHUNKED}:\r\n0123456789\r\n0\r\n\r\n`],
  ['"@" for a digit', `${CHUNKED}@\r\n${'x'.repeat(16)}\r\n0\r\n\r\n`],
  ['line ends of LF alone', `${CHUNKED}5\nhello\r\n0\n\r\n`],
  ['two letters for the end of a chunk', `${CHUNKED}5\r\nhelloXX0\r\n\r\n`],
  ['two letters for the end of all', `${CHUNKED}0\r\nXX`],
  ['no size', `${CHUNKED}\r\nabc\r\n0\r\n\r\n`],
  ['a space before the size', `${CHUNKED} 5\r\nhello\r\n0\r\n\r\n`],
  ['a tab before the size', `${CHUNKED}\t5\r\nhello\r\n0\r\n\r\n`],
  ['NUL behind the size', `${CHUNKED}5\0\r\nhello\r\n0\r\n\r\n`],
  [
    'bytes above 0x7f around the coding',
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: \xa0chunked\xa0\r\n\r\n0\r\n\r\n`,
  ],
  [
    'a length behind a field without a name',
    `POST / HTTP/1.1\r\n${HOST}: x\r\nContent-Length: ${HIDDEN.length}\r\n\r\n`,
  ],
];

/** Each answers in another way. */
const ANSWERS: readonly (readonly [what: string, reply: () => Reply])[] = [
  ['small', () => text('ok')],
  ['empty', () => text('')],
  ['without a body', () => ({ status: 204, headers: [], body: undefined })],
  ['large', () => text('x'.repeat(300_000))],
  ['from a source that knows its length', () => source(1 << 20, 1 << 20)],
  ['from a source that does not', () => source(1 << 20, undefined)],
];

function source(total: number, length: number | undefined): Reply {
  return { status: 200, headers: [], body: new PatternSource(total, length) };
}

async function startAnswering(name: 'uws' | 'node', reply: () => Reply, later: boolean): Promise<Trial> {
  return await Trial.start(name, (exchange) => {
    const answer = () => (later ? setTimeout(() => exchange.reply(reply()), 5) : exchange.reply(reply()));
    if (exchange.hasBody) exchange.receive({ chunk() {}, end: answer });
    else answer();
  });
}

for (const name of ENGINES) {
  describe(`${name}: what may be hidden behind a request`, { concurrency: 4 }, () => {
    for (const [what, bytes] of AMBIGUOUS) {
      for (const later of [false, true]) {
        test(`${what}, answered ${later ? 'later' : 'at once'}`, async () => {
          // The others are answered in one of these ways.
          for (const [, reply] of [ANSWERS[0], ANSWERS[2], ANSWERS[5]].flatMap((row) =>
            row === undefined ? [] : [row],
          )) {
            for (const together of [true, false]) {
              const trial = await startAnswering(name, reply, later);
              const client = await RawClient.connect(trial.port);
              client.send(together ? bytes + HIDDEN : bytes);
              for (let at = 0; at < 3; at++) {
                await rawRequest(trial.port, `GET /other HTTP/1.1\r\n${HOST}\r\n`);
                if (!together && at === 1) client.send(HIDDEN);
              }
              const asked = trial.events.requests.filter(({ path }) => path === '/hidden');
              assert.deepEqual(asked, []);
              client.destroy();
              await trial.close();
            }
          }
        });
      }
    }
  });

  describe(`${name}: the last request of a connection`, { concurrency: 4 }, () => {
    for (const method of ['POST', 'PROPFIND']) {
      for (const [what, reply] of ANSWERS) {
        test(`${method} with chunks, answered ${what}`, async () => {
          const trial = await startAnswering(name, reply, false);
          const wanted = await rawRequest(trial.port, `${method} / HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`);
          const client = await RawClient.connect(trial.port);
          client.send(`${CHUNKED.replace('POST', method)}5\r\nhello\r\n0\r\n\r\n`);
          const given = await client.reply();
          assert.equal(given.status, wanted.status);
          assert(given.complete);
          assert(given.body.equals(wanted.body));
          // One engine trusts its own reading of chunks.
          if (engineName(name) === 'uws') {
            assert.equal(given.header('connection'), 'close');
            await client.ended();
          }
          client.destroy();
          await trial.close();
        });
      }
    }

    for (const [what, reply] of ANSWERS)
      for (const method of ['GET', 'HEAD', 'POST'])
        test(`${method} that asks for the end of its connection, answered ${what}: the answer says so, once`, async () => {
          for (const later of [false, true]) {
            const trial = await startAnswering(name, reply, later);
            const client = await RawClient.connect(trial.port);
            const body = method === 'POST' ? 'Content-Length: 1\r\n\r\nx' : '\r\n';
            client.send(`${method} / HTTP/1.1\r\n${HOST}Connection: close\r\n${body}`);
            const given = await client.reply(method);
            assert(given.complete);
            const said = given.headers.filter(([header]) => header === 'connection').map(([, value]) => value);
            // Node.js goes by this alone, whatever it has asked for.
            assert.deepEqual(said, ['close']);
            await client.ended();
            await trial.close();
          }
        });

    for (const fields of [
      'Connection: TE, close\r\n',
      'Connection: TE\r\nConnection: close\r\n',
      'Connection: Close\r\n',
    ]) {
      for (const method of ['GET', 'HEAD']) {
        test(`${method} with ${JSON.stringify(fields)} is answered, then the connection is closed`, async () => {
          const trial = await startAnswering(name, () => text('x'.repeat(20_000)), false);
          const client = await RawClient.connect(trial.port);
          client.send(`${method} / HTTP/1.1\r\n${HOST}${fields}\r\n`);
          const given = await client.reply(method);
          assert.equal(given.header('content-length'), '20000');
          assert(given.complete);
          await client.ended();
          await trial.close();
        });
      }
    }
  });

  describe(`${name}: answers that nobody reads`, () => {
    test('a client that does not close behind the last answer is closed, and not looked after any longer', async () => {
      const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
      const trial = await startAnswering(name, () => source(1 << 16, undefined), false);
      const before = timers();
      const client = await RawClient.connect(trial.port);
      client.send(`${CHUNKED}0\r\n\r\n`);
      assert((await client.reply()).complete);
      if (engineName(name) === 'uws') await client.ended();
      client.destroy();
      await until(() => trial.events.connections === 0, 'its end to be told');
      // The wait itself is one.
      await until(() => timers() <= before + 1, 'nothing that ticks for it');
      await trial.close();
    });

    for (const [what, method, reply] of [
      ['a small body', 'GET', text('x'.repeat(10_000))],
      ['HEAD', 'HEAD', text('x'.repeat(10_000))],
      ['204', 'GET', { status: 204, headers: [], body: undefined }],
      ['304', 'GET', { status: 304, headers: [], body: undefined }],
      ['an empty body', 'GET', text('')],
      ['an answer that ends the connection', 'GET', { ...text('x', 429), close: true }],
    ] as const) {
      test(what, async () => {
        const trial = await Trial.start(name, (exchange) => exchange.reply(reply));
        const client = await RawClient.connect(trial.port);
        client.socket.pause();
        const many = `${method} / HTTP/1.1\r\n${HOST}X: ${'x'.repeat(300)}\r\nExpect: 100-continue\r\n\r\n`.repeat(100);
        const held = (): boolean => client.socket.writableLength > 1 << 20;
        // It is closed, or is not read any more.
        while (trial.events.connections > 0 && !held()) {
          client.send(many);
          await new Promise(setImmediate);
        }
        if (engineName(name) === 'uws') {
          await until(() => trial.events.connections === 0, 'the connection to be closed');
          assert(trial.events.requests.length < 20_000, `${trial.events.requests.length} were answered`);
        }
        client.destroy();
        await trial.close();
      });
    }
  });
}
