/**
 * The contract of an engine: what is no proper request. The two do not say the same to it, so each row names both; but never
 * does something hidden in it reach the host, and the next client is served.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RawClient, rawRequest } from '../support/raw.ts';
import { CONTRACT, engineName, MAX_HEADER_BYTES, Trial, text } from '../support/trial.ts';
import { until } from '../support/until.ts';

/** Status lines of the replies; 'closed' where the connection is closed without one, 'waits' where nothing happens until a timer. */
type Outcome = number | 'closed' | 'waits';

interface Row {
  readonly what: string;
  readonly bytes: string;
  readonly uws: Outcome;
  readonly node: Outcome;
  /** Whether the host is asked for a first request, whose framing breaks only later. */
  readonly asked?: readonly ('uws' | 'node')[];
  /** Not told to `refused`: the engine answers by itself, before us. */
  readonly untold?: readonly ('uws' | 'node')[];
}

const HOST = 'Host: board.test\r\n';
const HIDDEN = `GET /hidden HTTP/1.1\r\n${HOST}\r\n`;

const ROWS: readonly Row[] = [
  { what: 'no request line at all', bytes: 'nonsense\r\n\r\n', uws: 'waits', node: 400, untold: ['uws'] },
  {
    what: 'binary',
    bytes: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
    uws: 505,
    node: 400,
    untold: ['uws'],
  },
  { what: 'HTTP/0.9', bytes: 'GET /\r\n\r\n', uws: 'waits', node: 505, untold: ['uws'] },
  { what: 'HTTP/1.2', bytes: `GET / HTTP/1.2\r\n${HOST}\r\n`, uws: 505, node: 400, untold: ['uws'] },
  { what: 'the HTTP/2 preface', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', uws: 505, node: 400, untold: ['uws'] },
  { what: 'NUL in the target', bytes: `GET /a\0b HTTP/1.1\r\n${HOST}\r\n`, uws: 505, node: 400, untold: ['uws'] },
  { what: 'a space in the target', bytes: `GET /a b HTTP/1.1\r\n${HOST}\r\n`, uws: 505, node: 400, untold: ['uws'] },
  { what: 'DEL in the target', bytes: `GET /a\x7fb HTTP/1.1\r\n${HOST}\r\n`, uws: 400, node: 400 },
  { what: 'DEL in the query', bytes: `GET /?a\x7fb HTTP/1.1\r\n${HOST}\r\n`, uws: 400, node: 400 },
  { what: 'a target without a slash', bytes: `GET a HTTP/1.1\r\n${HOST}\r\n`, uws: 505, node: 400, untold: ['uws'] },
  {
    what: 'an expectation that nobody knows',
    bytes: `POST / HTTP/1.1\r\n${HOST}Expect: 200-ok\r\nContent-Length: 2\r\n\r\nhi`,
    uws: 417,
    node: 417,
  },
  { what: 'a method that is not a token', bytes: `G{} / HTTP/1.1\r\n${HOST}\r\n`, uws: 400, node: 400 },
  {
    what: 'a line break without CR',
    bytes: 'GET / HTTP/1.1\nHost: board.test\n\n',
    uws: 505,
    node: 400,
    untold: ['uws'],
  },
  { what: 'obs-fold', bytes: `GET / HTTP/1.1\r\n${HOST}A: 1\r\n 2\r\n\r\n`, uws: 'waits', node: 400, untold: ['uws'] },
  {
    what: 'a space before the colon',
    bytes: `GET / HTTP/1.1\r\n${HOST}A : 1\r\n\r\n`,
    uws: 'waits',
    node: 400,
    untold: ['uws'],
  },
  {
    what: 'NUL in a value',
    bytes: `GET / HTTP/1.1\r\n${HOST}A: 1\0\r\n\r\n`,
    uws: 'waits',
    node: 400,
    untold: ['uws'],
  },
  {
    what: 'CR in a value',
    bytes: `GET / HTTP/1.1\r\n${HOST}A: 1\rB: 2\r\n\r\n`,
    uws: 'waits',
    node: 400,
    untold: ['uws'],
  },
  { what: 'no Host', bytes: 'GET / HTTP/1.1\r\nA: 1\r\n\r\n', uws: 400, node: 400, untold: ['uws'] },
  { what: 'two Hosts', bytes: `GET / HTTP/1.1\r\n${HOST}Host: other.test\r\n\r\n${HIDDEN}`, uws: 'closed', node: 400 },
  {
    what: 'a head of 64 KB',
    bytes: `GET / HTTP/1.1\r\n${HOST}A: ${'x'.repeat(4 * MAX_HEADER_BYTES)}\r\n\r\n`,
    uws: 431,
    node: 431,
    untold: ['uws'],
  },
  {
    what: 'two Content-Lengths',
    bytes: `POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
    uws: 'closed',
    node: 400,
  },
  {
    what: 'a list of Content-Lengths',
    bytes: `POST / HTTP/1.1\r\n${HOST}Content-Length: 1, 1\r\n\r\na${HIDDEN}`,
    uws: 'closed',
    node: 400,
  },
  {
    what: 'a negative Content-Length',
    bytes: `POST / HTTP/1.1\r\n${HOST}Content-Length: -1\r\n\r\n${HIDDEN}`,
    uws: 'closed',
    node: 400,
  },
  {
    what: 'Content-Length and Transfer-Encoding',
    bytes: `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    uws: 400,
    node: 400,
    untold: ['uws'],
  },
  {
    what: 'Transfer-Encoding: gzip, chunked',
    bytes: `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    uws: 'closed',
    node: 400,
  },
  {
    what: 'an empty and a chunked Transfer-Encoding',
    bytes: `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    uws: 'closed',
    node: 400,
  },
  {
    what: 'Transfer-Encoding: identity',
    bytes: `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: identity\r\n\r\n${HIDDEN}`,
    uws: 'closed',
    node: 400,
  },
  {
    what: 'a bad chunk size',
    bytes: `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n${HIDDEN}`,
    uws: 400,
    node: 400,
    asked: ['uws', 'node'],
  },
  {
    what: 'a request behind two bytes of nothing behind the last chunk',
    bytes: `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\nXX${HIDDEN}`,
    uws: 'closed',
    node: 400,
    asked: ['uws', 'node'],
  },
  {
    what: 'a request hidden in a chunk extension',
    bytes: `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0;a\n${HIDDEN}`,
    uws: 'waits',
    node: 400,
    asked: ['uws', 'node'],
    untold: ['uws'],
  },
];

for (const name of CONTRACT) {
  describe(`${name}: malformed requests`, { concurrency: true }, () => {
    for (const row of ROWS) {
      test(`${row.what}: ${row[engineName(name)]}`, async () => {
        const trial = await Trial.start(name, (exchange) => {
          if (!exchange.hasBody) return exchange.reply(text('ok'));
          exchange.receive({ chunk() {}, end: () => exchange.reply(text('taken')) });
        });
        const client = await RawClient.connect(trial.port);
        client.send(row.bytes);
        const outcome = row[engineName(name)];
        if (outcome === 'closed') {
          await client.ended();
          assert.equal(client.received.toString(), '');
        } else if (outcome === 'waits') {
          // Nobody answers before the engine's own timer; other clients do not notice.
          await rawRequest(trial.port, `GET /next HTTP/1.1\r\n${HOST}\r\n`);
          assert.equal(client.received.toString(), '');
          client.destroy();
        } else {
          const reply = await client.reply();
          assert.equal(reply.status, outcome);
          await client.ended();
        }
        const next = await rawRequest(trial.port, `GET /next HTTP/1.1\r\n${HOST}\r\n`);
        assert.equal(next.status, 200);
        const asked = trial.events.requests.filter(({ path }) => path !== '/next').map(({ path }) => path);
        assert.deepEqual(asked, row.asked?.includes(engineName(name)) ? ['/'] : []);
        if (!row.untold?.includes(engineName(name)))
          await until(() => trial.events.refusals.length === 1, 'the refusal to be told');
        else assert.deepEqual(trial.events.refusals, []);
        await trial.close();
      });
    }

    test('who has had enough answers gets 429', async () => {
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')));
      trial.events.patience = 1;
      const handshake = `GET / HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\n\r\n`;
      const noToken = `G{} / HTTP/1.1\r\n${HOST}\r\n`;
      const statuses: number[] = [];
      for (const bytes of [handshake, handshake, noToken]) {
        const client = await RawClient.connect(trial.port);
        client.send(bytes);
        const reply = await client.reply();
        statuses.push(reply.status);
        if (reply.status === 429) assert.equal(reply.header('retry-after'), '1');
        await client.ended();
      }
      assert.deepEqual(statuses, [426, 429, 429]);
      assert.equal((await rawRequest(trial.port, `GET / HTTP/1.1\r\n${HOST}\r\n`)).status, 200);
      await trial.close();
    });
  });
}
