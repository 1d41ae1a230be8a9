/** `?transport=history`: past messages as JSON lines, without a client and without a source; and HEAD with the newest id. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Reply } from '../../../src/engine/engine.ts';
import { answerLookup } from '../../../src/stream/clients/lookup.ts';
import { streamQuery } from '../../../src/stream/clients/transport.ts';
import { History } from '../../../src/stream/history/history.ts';
import { Message } from '../../../src/stream/message.ts';
import { ask, TestSocket } from '../../support/client.ts';
import { startGateway } from '../../support/gateway.ts';
import { memoryOf, until } from '../../support/processes.ts';

interface Line {
  readonly id: string;
  readonly time: string;
  readonly data: string;
  readonly encoding?: string;
  readonly missed?: number | null;
}

const linesOf = (body: string): readonly Line[] =>
  body
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);

function filled(count: number, kept = 1000): History {
  const history = new History('run', { messages: kept, bytes: 1 << 24, age: undefined });
  for (let at = 1; at <= count; at++) {
    const { id, sequence } = history.next();
    history.add(new Message(Buffer.from(`${at}`), false, id, sequence));
  }
  return history;
}

const numbered = (count: number, from = 1): readonly number[] => Array.from({ length: count }, (_, at) => from + at);

describe('which messages', () => {
  const history = filled(20, 10);
  const cases: readonly (readonly [query: string | undefined, got: readonly number[], missed: number | null])[] = [
    [undefined, numbered(10, 11), 0],
    ['after=', numbered(10, 11), 0],
    ['limit=3', [18, 19, 20], 0],
    ['limit=999999999', numbered(10, 11), 0],
    ['limit=99999999999999999999', numbered(10, 11), 0],
    ['after=run-15', numbered(5, 16), 0],
    ['after=run-15&limit=2', [16, 17], 0],
    ['after=run-20', [], 0],
    ['after=run-10', numbered(10, 11), 0],
    ['after=run-7&limit=2', [11, 12], 3],
    ['after=run-0', numbered(10, 11), 10],
    // None of these is an id of this run: nobody knows what its owner has.
    ['after=run-21', numbered(10, 11), null],
    ['after=old-15', numbered(10, 11), null],
    ['after=old-15&limit=4', [11, 12, 13, 14], null],
    ['after=run--3', numbered(10, 11), null],
    ['after=-3', numbered(10, 11), null],
    ['after=run-1e1', numbered(10, 11), null],
    ['after=r%C3%BCn-%E2%98%83', numbered(10, 11), null],
    ['after=%FF%00', numbered(10, 11), null],
    [`after=run-${'9'.repeat(400)}`, numbered(10, 11), null],
  ];
  for (const [query, got, missed] of cases)
    test(String(query).slice(0, 40), async () => {
      const { status, headers, body } = (await answerLookup(query, history)) as Reply;
      const lines = linesOf(String(body));
      assert.equal(status, 200);
      assert.deepEqual(headers.at(-1), ['last-event-id', 'run-20']);
      assert.deepEqual(
        lines.map(({ id, data }) => [id, data]),
        got.map((number) => [`run-${number}`, `${number}`]),
      );
      assert.deepEqual(
        lines.map((line) => line.missed),
        got.map((_, at) => (at > 0 || missed === 0 ? undefined : missed)),
      );
    });

  for (const limit of ['0', '-1', '', '1.5', '1e3', 'ten', '%D9%A3'])
    test(`limit=${limit} is refused in words`, async () => {
      const { status, body } = (await answerLookup(`limit=${limit}`, history)) as Reply;
      assert.deepEqual([status, body], [400, '"limit" must be a whole number from 1 on\n']);
    });
});

test('"limit" is the stream\'s own but for a lookup', () => {
  assert.equal(streamQuery('room=a&limit=5'), 'room=a&limit=5');
  assert.equal(streamQuery('room=a&limit=5&transport=poll'), 'room=a&limit=5');
  assert.equal(streamQuery('room=a&limit=5&transport=history&after=x'), 'room=a');
});

for (const engine of ['uws', 'node'])
  describe(`over ${engine}`, () => {
    const listen = `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n`;
    const stream = (path: string, keys: string): string => `[stream."${path}"]\n${keys}\n`;

    test('no program is started for a lookup, none has to run, and the numbers are those of clients', async (t) => {
      const keys = 'command = ["./say"]\nshare = "all"\nhistory = 50\nrestart = "never"\nidle_stop = "0ms"';
      const { port, folder } = await startGateway(t, {
        config: `${listen}${stream('/x', keys)}`,
        files: { say: '#!/bin/sh\ntouch started\nseq 1 20\necho "ü\\t"\nread line\n' },
      });
      const first = await ask(port, '/x?transport=history');
      assert.deepEqual([first.status, first.body], [200, '']);
      assert.match(String(first.headers['last-event-id']), /^[0-9a-z]+-0$/);
      assert.equal(existsSync(join(folder, 'started')), false);

      const before = Date.now();
      const viewer = await TestSocket.open(`ws://127.0.0.1:${port}/x?after=`);
      const told = await viewer.first(22);
      viewer.ws.close();
      await viewer.closed;
      const { status, headers, body } = await ask(port, '/x?transport=history&limit=3');
      assert.deepEqual(
        [status, headers['content-type'], headers['cache-control']],
        [200, 'application/x-ndjson', 'no-store'],
      );
      assert.equal(headers['content-length'], String(Buffer.byteLength(body)));
      const lines = linesOf(body);
      assert.deepEqual(
        lines.map(({ id, data }) => `id:${id}\n${data}`),
        told.slice(-3),
      );
      assert.equal(lines.at(-1)?.data, 'ü\t');
      assert.equal(lines.at(-1)?.id, headers['last-event-id']);
      for (const { time } of lines)
        assert.ok(Date.parse(time) >= before - 1000 && Date.parse(time) <= Date.now() + 1000);

      // Page by page to the newest one.
      const paged: string[] = [];
      for (let after = String(first.headers['last-event-id']); ; ) {
        const page = await ask(port, `/x?transport=history&limit=8&after=${after}`);
        const got = linesOf(page.body);
        paged.push(...got.map(({ data }) => data));
        after = got.at(-1)?.id ?? after;
        if (after === page.headers['last-event-id']) break;
      }
      assert.deepEqual(paged, [...numbered(20).map(String), 'ü\t']);

      for (const [path, accept] of [
        ['/x?transport=history', '*/*'],
        ['/x?transport=poll', '*/*'],
        ['/x', '*/*'],
        ['/x', 'text/event-stream'],
      ] as const) {
        const head = await ask(port, path, { method: 'HEAD', headers: { accept } });
        assert.deepEqual([head.status, head.body, head.headers['last-event-id']], [200, '', lines.at(-1)?.id], path);
      }
    });

    test('streams of bytes, of queries, and of each client', async (t) => {
      const { port } = await startGateway(t, {
        config:
          listen +
          stream('/raw', 'command = ["cat"]\nshare = "all"\nframing = "length-prefixed"') +
          stream('/rooms', 'command = ["cat"]\nshare = "query"\nmax_processes = 1') +
          stream('/own', 'command = ["cat"]'),
      });
      const raw = await TestSocket.open(`ws://127.0.0.1:${port}/raw`);
      raw.ws.send(Buffer.from([0, 255, 10]));
      await raw.first(1);
      const [bytes] = linesOf((await ask(port, '/raw?transport=history')).body);
      assert.deepEqual([bytes?.data, bytes?.encoding], ['AP8K', 'base64']);
      raw.ws.terminate();

      const room = await TestSocket.open(`ws://127.0.0.1:${port}/rooms?r=a&limit=1`);
      room.ws.send('hello');
      await room.first(1);
      // The stream of its own parameter "limit" is another one, which nobody has opened.
      for (const [query, got] of [
        ['r=b', []],
        ['r=a', []],
      ] as const) {
        const other = await ask(port, `/rooms?${query}&transport=history`);
        assert.deepEqual([other.status, linesOf(other.body), other.headers['last-event-id']], [200, got, undefined]);
      }
      assert.equal((await ask(port, '/rooms?r=b', { method: 'HEAD' })).headers['last-event-id'], undefined);
      const newest = (await ask(port, '/rooms?r=a&limit=1', { method: 'HEAD' })).headers['last-event-id'];
      assert.match(String(newest), /-1$/);
      room.ws.terminate();

      const own = await ask(port, '/own?transport=history');
      assert.deepEqual(
        [own.status, own.body],
        [400, 'only a shared stream has past messages: share = "all" or "query"\n'],
      );
    });

    test('who reads slowly costs no memory, and is told what is gone meanwhile', async (t) => {
      const keys =
        'command = ["./fill"]\nshare = "all"\nhistory = { messages = 3000, bytes = "64MiB" }\nmax_message = "16KiB"\nslow_client = "drop"';
      const running = await startGateway(t, {
        config: `${listen}${stream('/x', keys)}`,
        files: {
          fill: `#!/usr/bin/awk -f
function fill(count,  at) { for (at = 0; at < count; at++) printf "%d %s\\n", ++n, text; fflush() }
BEGIN { text = sprintf("%08000d", 0); fill(3000); while ((getline line) > 0) { if (line == "more") fill(2000); else print line; fflush() } }
`,
        },
      });
      const { port } = running;
      const viewer = await TestSocket.open(`ws://127.0.0.1:${port}/x`);
      const has = (count: number): Promise<void> =>
        until(`it has ${count}`, async () => {
          const { headers } = await ask(port, '/x', { method: 'HEAD' });
          return String(headers['last-event-id']).endsWith(`-${count}`);
        });
      await has(3000);
      const before = memoryOf(running.pid, 'RssAnon');
      const slow = Array.from({ length: 10 }, () => connect(port, '127.0.0.1'));
      for (const socket of slow) {
        await once(socket, 'connect');
        socket.pause();
        socket.write('GET /x?transport=history&limit=10000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
      }
      // Another answer comes through whole beside them.
      const all = linesOf((await ask(port, '/x?transport=history&limit=10000')).body);
      assert.deepEqual([all.length, all[0]?.data.slice(0, 2), all.at(-1)?.data.slice(0, 5)], [3000, '1 ', '3000 ']);
      assert.equal(
        all.some(({ missed }) => missed !== undefined),
        false,
      );
      const grown = memoryOf(running.pid, 'RssAnon') - before;
      assert.ok(grown < 64 << 10, `${grown} KiB more for ten slow readers of 24 MB each`);

      viewer.ws.send('more');
      await has(5000);
      const [reader] = slow;
      for (const socket of slow.slice(1)) socket.destroy();
      let text = '';
      reader?.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk;
      });
      reader?.resume();
      await once(reader ?? process, 'end');
      const answer = text.slice(text.indexOf('\r\n\r\n') + 4);
      const lines = linesOf(answer.replace(/(^|\r\n)[0-9a-f]+\r\n/g, '').replace(/\r\n$/, ''));
      // Its numbers follow each other, but for what it was told of.
      let expected = 1;
      for (const { data, missed } of lines) {
        expected += missed ?? 0;
        assert.equal(Number.parseInt(data, 10), expected);
        expected++;
      }
      assert.ok(expected > 2000 && expected <= 3001, String(expected));
      viewer.ws.terminate();
      await until('it goes on', async () => (await ask(port, '/x?transport=history&limit=1')).status === 200);
    });
  });
