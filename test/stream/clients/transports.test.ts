/** The contract of a stream's clients: the same URL by WebSocket, event stream, long-poll and POST, over both engines. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { ask, refused, TestSocket } from '../../support/client.ts';
import { type Running, startGateway } from '../../support/gateway.ts';
import { programsOf, until } from '../../support/processes.ts';
import { post, StreamClient, WAYS } from '../../support/stream-client.ts';

const LINES = 2000;
const ROUNDS = 20;
/** More than the kernel keeps for a client that does not read. */
const FLOOD = 15_000;

const FILES = {
  'numbers.py': `#!/usr/bin/python3
import time
for at in range(${LINES}):
    print(at + 1, "\\u00e9" * (at % 40), flush=True)
    if at % 50 == 49: time.sleep(0.01)
time.sleep(1000)
`,
  'flood.py': `#!/usr/bin/python3
import sys, time
sys.stdin.readline()
for at in range(${FLOOD}):
    print(at + 1, "x" * 1000, flush=at % 30 == 0)
    if at % 30 == 0: time.sleep(0.01)
sys.stdout.flush()
for line in sys.stdin: print(line, end="", flush=True)
`,
  // Ends each time that it is told to, and counts its lives.
  'lives.sh': `#!/bin/sh
echo life >>lives
echo "life $(wc -l <lives)"
while read -r line; do
  [ "$line" = die ] && exit 3
  echo "$line"
done
`,
  'chat.py': `#!/usr/bin/python3
import json, sys
def say(**what): print(json.dumps(what), flush=True)
for line in sys.stdin:
    told = json.loads(line)
    if told["event"] == "message" and told["data"] == "who am i": say(to=told["client"], data=told["client"])
    else: say(data=told["event"] + " " + str(told.get("data")))
`,
};

const CONFIG = (engine: string): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[stream."/numbers"]
command = ["./numbers.py"]
share = "all"
history = { messages = 5000, bytes = "4MiB" }
start = "boot"
[stream."/echo"]
command = ["cat"]
share = "all"
history = 5
[stream."/none"]
command = ["cat"]
share = "all"
history = 5
replay = "none"
[stream."/last"]
command = ["cat"]
share = "all"
history = 5
replay = "last"
[stream."/quiet"]
command = ["cat"]
share = "all"
ping_interval = "500ms"
[stream."/lives"]
command = ["./lives.sh"]
share = "all"
history = 100
restart_delay = "10ms"
[stream."/once"]
command = ["sh", "-c", "read line; echo last words; exit 3"]
share = "all"
restart = "never"
[stream."/parcels"]
command = ["cat"]
share = "all"
framing = "length-prefixed"
history = 5
[stream."/chat"]
command = ["./chat.py"]
share = "all"
clients = "tagged"
[stream."/flood"]
command = ["./flood.py"]
share = "all"
slow_client = "drop"
max_behind = "1MiB"
[stream."/mine"]
command = ["sh", "-c", "echo hello; exit 0"]
[stream."/stderr"]
command = ["sh", "-c", "while read -r line; do echo $line aside >&2; echo $line; done"]
share = "all"
stderr = "client"
[stream."/terminal"]
command = ["sh", "-c", "echo out; echo aside >&2; printf 'Name? '; printf '10 %%\\r20 %%' >&2; read name; echo hello; read wait"]
stderr = "event"
partial_lines = true
`;

const start = (t: TestContext, engine: string): Promise<Running> =>
  startGateway(t, { config: CONFIG(engine), files: FILES });

const texts = (client: StreamClient): readonly string[] => client.messages.map(({ data }) => data);
const told = (client: StreamClient, kind: string): readonly string[] =>
  client.events.filter((event) => event.kind === kind).map(({ data }) => data);

for (const engine of ['uws', 'node'] as const) {
  describe(`transports over ${engine}`, { concurrency: 3 }, () => {
    for (const way of WAYS) {
      test(`${way}: ${LINES} lines over ${ROUNDS} lost connections, each once and in order`, async (t) => {
        const { port } = await start(t, engine);
        const client = new StreamClient(way, { port, path: '/numbers' });
        for (let round = 0; round < ROUNDS; round++) {
          const wanted = Math.min(LINES, Math.ceil(Math.random() * (LINES / ROUNDS)) + client.messages.length);
          client.start();
          await client.until(() => client.messages.length >= wanted, `line ${wanted}`);
          client.stop();
        }
        client.start();
        await client.until(() => client.messages.length >= LINES, 'the last line');
        client.stop();
        assert.deepEqual(
          texts(client),
          Array.from({ length: LINES }, (_, at) => `${at + 1} ${'é'.repeat(at % 40)}`),
        );
        const sequences = client.messages.map(({ id }) => Number(id.slice(id.indexOf('-') + 1)));
        assert.deepEqual(
          sequences,
          sequences.map((_, at) => at + 1),
        );
        assert.deepEqual(told(client, 'missed'), []);
      });

      test(`${way}: what it gets when it comes, and when it was away too long`, async (t) => {
        const { port } = await start(t, engine);
        for (const [path, replayed] of [
          ['/echo', ['6', '7', '8', '9', '10']],
          ['/last', ['10']],
          ['/none', []],
        ] as const) {
          const to = { port, path };
          const first = new StreamClient(way, to).start();
          if (way === 'poll') await client0(port, path);
          else await first.until(() => told(first, 'joined').length === 1, 'to have joined');
          for (let at = 1; at <= 10; at++) assert.equal((await post(to, '', `${at}`)).status, 202);
          await first.until(() => first.messages.at(-1)?.data === '10', 'its ten');
          first.stop();
          // A newcomer.
          const newcomer = new StreamClient(way, to).start();
          await newcomer.until(() => newcomer.messages.length >= replayed.length, 'what is replayed');
          assert.equal((await post(to, '', '11')).status, 202);
          await newcomer.until(() => texts(newcomer).includes('11'), 'what is new');
          assert.deepEqual(texts(newcomer), [...replayed, '11']);
          newcomer.stop();
          // One that has 2 of now 11, where 5 are kept.
          const epoch = first.after.slice(0, first.after.indexOf('-'));
          const late = new StreamClient(way, to, `${epoch}-2`).start();
          await late.until(() => late.messages.length >= 5, 'what is left');
          assert.deepEqual(texts(late), ['7', '8', '9', '10', '11']);
          assert.deepEqual(told(late, 'missed'), ['4']);
          late.stop();
          // One of an earlier run of the gateway, and one that never was.
          for (const foreign of ['abcdef-11', `${epoch}-99999`, 'nonsense']) {
            const stranger = new StreamClient(way, to, foreign).start();
            await stranger.until(() => told(stranger, 'missed').length === 1, 'to be told');
            await stranger.until(() => stranger.messages.length >= (path === '/none' ? 0 : 1), 'what a newcomer gets');
            assert.deepEqual(told(stranger, 'missed'), ['']);
            assert.equal(texts(stranger).length, path === '/echo' ? 5 : path === '/last' ? 1 : 0);
            stranger.stop();
          }
        }
      });

      test(`${way}: one that comes before the first message and is cut has missed nothing`, async (t) => {
        const { port } = await start(t, engine);
        const to = { port, path: '/none' };
        await client0(port, to.path);
        const client = new StreamClient(way, to).start();
        await until('it knows where it is', () => client.after !== '');
        client.stop();
        await post(to, '', 'meanwhile');
        client.start();
        await client.until(() => client.messages.length === 1, 'what came meanwhile');
        assert.deepEqual(texts(client), ['meanwhile']);
        client.stop();
      });

      test(`${way}: the program starts again, the numbers go on`, async (t) => {
        const { port } = await start(t, engine);
        const to = { port, path: '/lives' };
        const client = new StreamClient(way, to).start();
        await client.until(() => texts(client).includes('life 1'), 'the first life');
        await post(to, '', 'die');
        await client.until(() => texts(client).includes('life 2'), 'the second life');
        const [one, two] = client.messages.map(({ id }) => id.split('-'));
        assert.equal(two?.[0], one?.[0]);
        assert.equal(Number(two?.[1]), Number(one?.[1]) + 1);
        if (way !== 'poll') assert.match(told(client, 'notice')[0] ?? '', /the program has ended \(exit 3\)/);
        client.stop();
      });

      test(`${way}: told how it ended`, async (t) => {
        const { port } = await start(t, engine);
        const to = { port, path: '/once' };
        const client = new StreamClient(way, to).start();
        await until('it knows where it is', () => client.after !== '');
        await post(to, '', 'go');
        await until('it is over', () => client.ended !== undefined);
        assert.deepEqual(texts(client), ['last words']);
        assert.deepEqual(client.ended, { code: 1011, reason: 'exit 3' });
      });

      test(`${way}: told that the gateway stops`, async (t) => {
        const running = await start(t, engine);
        const client = new StreamClient(way, { port: running.port, path: '/none' }).start();
        await until('it knows where it is', () => client.after !== '');
        assert.equal(await running.stop(), 0);
        await until('it is over', () => client.ended !== undefined);
        // A poll that comes a moment later finds nobody.
        assert.ok(client.ended?.code === 1001 || way === 'poll', `${client.ended?.code}`);
      });

      test(`${way}: bytes are as they were`, async (t) => {
        const { port } = await start(t, engine);
        const to = { port, path: '/parcels' };
        const client = new StreamClient(way, to).start();
        await until('it knows where it is', () => client.after !== '');
        const bytes = Buffer.from([0, 10, 13, 255, 254, 0, 128]);
        await post(to, '', bytes);
        await post(to, '', Buffer.alloc(0));
        await client.until(() => client.messages.length === 2, 'the parcels');
        assert.deepEqual(texts(client), [bytes.toString('base64'), '']);
        if (way === 'events') assert.match(told(client, 'joined')[0] ?? '', /"encoding":"base64"/);
        client.stop();
      });

      if (way !== 'poll')
        test(`${way}: a quiet one stays, and sees that the line lives`, async (t) => {
          const { port } = await start(t, engine);
          const to = { port, path: '/quiet' };
          const client = new StreamClient(way, to).start();
          await client.until(() => told(client, 'ping').length >= 7, 'pings');
          await post(to, '', 'still here');
          await client.until(() => client.messages.length === 1, 'a message');
          client.stop();
        });
    }

    test('one that does not read misses some, and is told how many; the others get everything', async (t) => {
      const { port } = await start(t, engine);
      const to = { port, path: '/flood' };
      const slow = connect(port, '127.0.0.1');
      t.after(() => slow.destroy());
      slow.on('error', () => undefined);
      slow.write('GET /flood HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n');
      await once(slow, 'data');
      slow.pause();
      const client = new StreamClient('websocket', to).start();
      t.after(() => client.stop());
      await client.until(() => told(client, 'joined').length === 1, 'to have joined');
      await post(to, '', 'go');
      let lines = 0;
      await client.until(() => {
        for (const { kind, data } of client.events.splice(0))
          if (kind === 'message' && data.startsWith(`${lines + 1} `)) lines++;
        return lines === FLOOD;
      }, 'every line, in order, while one is slow');
      let text = '';
      slow.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      slow.resume();
      // Chunks may end anywhere; nothing else has a CR.
      const body = (): string => text.replaceAll(/\r\n[0-9a-f]+\r\n/g, '');
      await until('the slow one is told', () => body().includes('event: missed'));
      await post(to, '', 'after all');
      await until('and goes on', () => body().includes('data: after all'));
      const missed = Number(/event: missed\ndata: (\d+)\n/.exec(body())?.[1]);
      const got = body().match(/^data: \d+ x/gm)?.length ?? 0;
      assert.equal(got + missed, FLOOD);
      t.diagnostic(`it missed ${missed}`);
    });

    test('messages of several lines, and odd ones', async (t) => {
      const { port } = await start(t, engine);
      const to = { port, path: '/chat' };
      const clients = WAYS.map((way) => new StreamClient(way, to).start());
      for (const client of clients) await until('it is there', () => client.after !== '');
      // A tagged program can say what no line can hold.
      const odd = ['one\ntwo\n\nthree\n', '', ' leading', 'id: 7\ndata: x\n\nevent: end', 'é\u2028\0 :x', ':comment'];
      for (const text of odd) await post(to, '', text);
      for (const client of clients) {
        await client.until(() => client.messages.some(({ data }) => data === `message ${odd.at(-1)}`), 'the last');
        const got = texts(client).filter((text) => text.startsWith('message'));
        assert.deepEqual(
          got,
          odd.map((text) => `message ${text}`),
          client.way,
        );
        client.stop();
      }
    });

    test('a tagged program answers one client, by POST too', async (t) => {
      const { port } = await start(t, engine);
      const to = { port, path: '/chat' };
      const [one, other] = [new StreamClient('events', to).start(), new StreamClient('websocket', to).start()];
      await one.until(() => told(one, 'joined').length === 1, 'to have joined');
      await other.until(() => told(other, 'joined').length === 1, 'to have joined');
      const { client, session } = JSON.parse(told(one, 'joined')[0] ?? '') as { client: string; session: string };
      assert.equal((await post(to, `?client=${client}`, 'who am i')).status, 403);
      assert.equal((await post(to, `?session=${session}`, 'who am i')).status, 202);
      await one.until(() => texts(one).includes(client), 'its answer');
      assert.equal(one.messages.find(({ data }) => data === client)?.id, '');
      assert.equal((await post(to, '?session=nobody', 'who am i')).status, 404);
      await post(to, '', 'bye');
      await other.until(() => texts(other).includes('message bye'), 'what is for all');
      assert.equal(texts(other).includes(client), false);
      one.stop();
      await other.until(() => texts(other).includes('close None'), 'that the one has left');
      other.stop();
    });

    test('stderr for those who asked to see the difference', async (t) => {
      const { port } = await start(t, engine);
      for (const way of ['websocket', 'events'] as const) {
        const client = new StreamClient(way, { port, path: '/stderr' }).start();
        await client.until(() => told(client, 'joined').length === 1, 'to have joined');
        await post({ port, path: '/stderr' }, '', way);
        await client.until(() => texts(client).includes(way), 'a message');
        await client.until(() => told(client, 'stderr').includes(`${way} aside`), 'what was said aside');
        client.stop();
      }
    });

    test('stderr as events, and lines before their end, only for those who get events', async (t) => {
      const { port } = await start(t, engine);
      for (const way of ['websocket', 'events'] as const) {
        const client = new StreamClient(way, { port, path: '/terminal' }).start();
        await client.until(() => texts(client).includes('out'), 'a line');
        await client.until(() => told(client, 'stderr').includes('aside'), 'a line of stderr');
        await client.until(() => told(client, 'partial').includes('Name? '), 'a prompt');
        // An event stream makes another end of a line of the CR.
        await client.until(() => told(client, 'partial-stderr').some((text) => /^10 %[\r\n]20 %$/.test(text)), 'a bar');
        client.stop();
      }
      const plain = await TestSocket.open(`ws://127.0.0.1:${port}/terminal`);
      plain.ws.send('x');
      assert.deepEqual(await plain.first(2), ['out', 'Name? hello']);
      assert.deepEqual(plain.binary, [false, false]);
      plain.ws.close();
    });

    test('by hand: HEAD says what a GET would get, and starts nothing', async (t) => {
      const running = await start(t, engine);
      const { port } = running;
      const plain = await ask(port, '/mine', { method: 'HEAD' });
      assert.equal(plain.status, 200);
      assert.equal(plain.headers['content-type'], 'text/plain; charset=utf-8');
      const events = await ask(port, '/none', { method: 'HEAD', headers: { accept: 'text/event-stream' } });
      assert.equal(events.headers['content-type'], 'text/event-stream');
      assert.equal(events.headers['x-accel-buffering'], 'no');
      assert.deepEqual(
        programsOf(running.pid).filter(({ command }) => /cat|hello/.test(command)),
        [],
      );
      assert.equal((await ask(port, '/mine')).body, 'hello\n');
      assert.equal((await ask(port, '/mine', { method: 'PUT', body: 'x' })).status, 405);
      // Lines come as they are printed; the head comes with the first.
      const curl = request({ port, path: '/lives', agent: false });
      curl.end();
      const [response] = (await once(curl, 'response')) as [import('node:http').IncomingMessage];
      const [first] = (await once(response, 'data')) as [Buffer];
      assert.equal(first.toString(), 'life 1\n');
      await post({ port, path: '/lives' }, '', 'now');
      const [line] = (await once(response, 'data')) as [Buffer];
      assert.equal(line.toString(), 'now\n');
      curl.destroy();
    });

    test('a browser does not come again after an end', async (t) => {
      const { port } = await start(t, engine);
      const headers = { accept: 'text/event-stream' };
      const events = await ask(port, '/mine', { headers });
      assert.match(events.body, /\n\nid: end\nevent: end\ndata: \{"code":1000,"reason":"exit 0"\}\n\n$/);
      for (const path of ['/mine', '/none'])
        assert.equal((await ask(port, path, { headers: { ...headers, 'last-event-id': 'end' } })).status, 204);
      // Libraries that stand in for EventSource.
      assert.equal((await ask(port, '/mine?lastEventId=end', { headers })).status, 204);
    });

    test('a numbered WebSocket of an unshared stream has the form, without ids', async (t) => {
      const { port } = await start(t, engine);
      const socket = await TestSocket.open(`ws://127.0.0.1:${port}/mine?after=`);
      await socket.closed;
      assert.deepEqual(socket.messages, ['event:joined\n{"ping":25000}', 'id:\nhello']);
      const plain = await TestSocket.open(`ws://127.0.0.1:${port}/mine`);
      await plain.closed;
      assert.deepEqual(plain.messages, ['hello']);
    });

    test('pages of other origins come in by no way', async (t) => {
      const { port } = await start(t, engine);
      const origin = 'http://evil.example';
      assert.equal((await refused(`ws://127.0.0.1:${port}/none`, { origin })).status, 403);
      const headers = { origin };
      assert.equal((await ask(port, '/none', { headers: { ...headers, accept: 'text/event-stream' } })).status, 403);
      assert.equal((await ask(port, '/none?transport=poll', { headers })).status, 403);
      assert.equal((await ask(port, '/none', { method: 'POST', headers, body: 'x' })).status, 403);
      const own = { origin: `http://127.0.0.1:${port}` };
      assert.equal((await ask(port, '/none?transport=poll', { headers: own })).status, 200);
    });

    test('a poll waits for less where it is asked to, and takes no more than a portion', async (t) => {
      const { port } = await start(t, engine);
      const first = JSON.parse((await ask(port, '/none?transport=poll')).body) as { cursor: string };
      const path = `/none?transport=poll&cursor=${first.cursor}`;
      const empty = await ask(port, path, { headers: { prefer: 'wait=0' } });
      assert.deepEqual(JSON.parse(empty.body), { cursor: first.cursor, messages: [] });
      assert.equal(empty.headers['cache-control'], 'no-store');
      for (let at = 0; at < 3; at++) await post({ port, path: '/none' }, '', `${at}`.repeat(40_000));
      const sizes: number[] = [];
      for (let { cursor } = first; sizes.length < 3; ) {
        const answer = await ask(port, `/none?transport=poll&cursor=${cursor}`);
        const news = JSON.parse(answer.body) as { cursor: string; messages: readonly { data: string }[] };
        sizes.push(...news.messages.map(({ data }) => data.length));
        assert.equal(news.messages.length, 1);
        cursor = news.cursor;
      }
      assert.deepEqual(sizes, [40_000, 40_000, 40_000]);
    });
  });
}

/** Has a shared program started. */
async function client0(port: number, path: string): Promise<void> {
  assert.equal((await ask(port, `${path}?transport=poll`)).status, 200);
}
