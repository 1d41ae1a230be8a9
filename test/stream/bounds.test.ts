import assert from 'node:assert/strict';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { ask, TestSocket } from '../support/client.ts';
import { type Running, startGateway } from '../support/gateway.ts';
import { memoryOf, programsOf, until } from '../support/processes.ts';

const HELLO = '#!/bin/sh\necho hello\nexec sleep 1000\n';

const CONFIG = (engine: string): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[stream."/sleep"]
command = ["sleep", "1000"]
ping_interval = "200ms"
max_queue = "64KiB"
[stream."/raw"]
command = ["sleep", "1000"]
framing = "raw"
max_queue = "64KiB"
[stream."/query"]
command = ["./hello.sh"]
share = "query"
max_processes = 2
[stream."/long"]
command = ["sh", "-c", "i=0; while [ $i -lt 1200 ]; do i=$((i+1)); printf '%01000d\\\\n' $i; done; exec sleep 1000"]
share = "all"
history = 1000
[stream."/tagged"]
command = ["sleep", "1000"]
share = "all"
clients = "tagged"
max_queue = "4KiB"
restart_delay = "10ms"
`;

for (const engine of ['uws', 'node'] as const) {
  describe(`what a stream bounds, over ${engine}`, { concurrency: false }, () => {
    const start = (t: TestContext): Promise<Running> =>
      startGateway(t, { config: CONFIG(engine), files: { 'hello.sh': HELLO } });
    const open = (running: Running, path: string): Promise<TestSocket> =>
      TestSocket.open(`ws://127.0.0.1:${running.port}${path}`);
    /** An event stream; what has come of it so far, and whether it is over. */
    const events = async (
      t: TestContext,
      running: Running,
      path: string,
    ): Promise<{ text: () => string; over: () => boolean }> => {
      const abort = new AbortController();
      t.after(() => abort.abort());
      const answer = await fetch(running.url(path), { headers: { accept: 'text/event-stream' }, signal: abort.signal });
      let text = '';
      let over = false;
      const read = async (): Promise<void> => {
        for await (const chunk of answer.body ?? []) text += Buffer.from(chunk as Uint8Array).toString();
      };
      void read().then(
        () => {
          over = true;
        },
        () => {
          over = true;
        },
      );
      return { text: () => text, over: () => over };
    };

    test('an idle event stream outlives its pings', async (t) => {
      const running = await start(t);
      const stream = await events(t, running, '/sleep');
      await until('it was pinged ten times', () => stream.text().split('\n:').length > 10 || stream.over());
      assert.equal(stream.over(), false);
    });

    test('POSTs for a program that does not read are refused beyond max_queue', async (t) => {
      const running = await start(t);
      const stream = await events(t, running, '/sleep');
      await until('the session is named', () => stream.text().includes('"session"'));
      const session = /"session":"([0-9a-f]+)"/.exec(stream.text())?.[1];
      const before = memoryOf(running.pid, 'RssAnon');
      const statuses = new Set<number>();
      for (let at = 0; at < 60; at++) {
        statuses.add(
          (await ask(running.port, `/sleep?session=${session}`, { method: 'POST', body: Buffer.alloc(60_000, 'x') }))
            .status,
        );
      }
      assert.deepEqual([...statuses].sort(), [202, 503]);
      assert.ok(memoryOf(running.pid, 'RssAnon') - before < 30_000);
      assert.equal(stream.over(), false, 'the stream itself goes on');
    });

    test('empty messages cost a blocked program nothing', async (t) => {
      const running = await start(t);
      const socket = await open(running, '/raw');
      const before = memoryOf(running.pid, 'RssAnon');
      for (let at = 0; at < 3; at++) socket.ws.send(Buffer.alloc(30_000));
      for (let round = 0; round < 20; round++) {
        for (let at = 0; at < 10_000; at++) socket.ws.send(Buffer.alloc(0));
        await until('they are sent', () => socket.ws.bufferedAmount < 1 << 20);
      }
      const grown = memoryOf(running.pid, 'RssAnon') - before;
      assert.ok(grown < 30_000, `${grown} KiB`);
      socket.ws.terminate();
    });

    test('a shared stream that could not be started takes up no place', async (t) => {
      const running = await start(t);
      rmSync(`${running.folder}/hello.sh`);
      for (const query of ['a', 'b', 'c']) assert.equal((await ask(running.port, `/query?k=${query}`)).status, 502);
      writeFileSync(`${running.folder}/hello.sh`, HELLO);
      chmodSync(`${running.folder}/hello.sh`, 0o755);
      const socket = await open(running, '/query?k=d');
      assert.deepEqual(await socket.first(1), ['hello']);
      socket.ws.close();
    });

    test('a shared stream that nobody watches makes room for another', async (t) => {
      const running = await start(t);
      for (const query of ['a', 'b', 'c', 'd']) {
        // The program before needs its time to end, and counts until then.
        let socket: TestSocket | undefined;
        await until('there is room', async () => {
          socket = await open(running, `/query?k=${query}`).catch(() => undefined);
          return socket !== undefined;
        });
        assert.deepEqual(await socket?.first(1), ['hello']);
        socket?.ws.close();
        await socket?.closed;
      }
    });

    test('a whole history at once does not make a client slow', async (t) => {
      const running = await start(t);
      const first = await open(running, '/long');
      // How many of them come depends on how long its own upgrade took: history holds 1,000.
      await until('the last line has come', () => first.messages.at(-1) === '1200'.padStart(1000, '0'));
      const second = await open(running, '/long');
      const lines = await second.first(1000);
      assert.equal(lines[0], '201'.padStart(1000, '0'));
      assert.equal(lines[999], '1200'.padStart(1000, '0'));
      assert.equal(second.ws.readyState, second.ws.OPEN);
      first.ws.close();
      second.ws.close();
    });

    test('a tagged program that does not read is not told without end, and keeps its viewers', async (t) => {
      const running = await start(t);
      const query = 'x'.repeat(2000);
      const watching = await open(running, '/tagged');
      const programs = programsOf(running.pid).map(({ pid }) => pid);
      const before = memoryOf(running.pid, 'RssAnon');
      for (let round = 0; round < 300; round++) {
        const socket = await open(running, `/tagged?${query}`);
        socket.ws.close();
        await socket.closed;
      }
      // Who has come and gone before the program reads is not kept for it: 600 lines would be more than a megabyte.
      assert.ok(memoryOf(running.pid, 'RssAnon') - before < 30_000);
      assert.equal(watching.ws.readyState, watching.ws.OPEN);
      // The one that was there is the one that is there.
      assert.deepEqual(
        programsOf(running.pid).map(({ pid }) => pid),
        programs,
      );
      watching.ws.close();
    });
  });
}
