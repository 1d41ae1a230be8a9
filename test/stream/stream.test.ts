import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { refused, TestSocket } from '../support/client.ts';
import { type Running, startGateway } from '../support/gateway.ts';
import { descriptorsOf, memoryOf, processes, programsOf, until } from '../support/processes.ts';

const FILES = {
  'not-executable': 'echo never\n',
  'greet.sh': '#!/bin/sh\nread -r name\necho "hello $name"\nread -r name\necho "bye $name"\n',
  'environment.sh': '#!/bin/sh\nenv | sort\n',
  'stubborn.sh': `#!/bin/sh
trap '' INT TERM HUP
sh -c 'trap "" INT TERM HUP; echo grandchild $$; while :; do sleep 1; done' &
echo leader $$
while :; do sleep 1; done
`,
};

const CONFIG = (engine: string): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[stream."/cat"]
command = ["cat"]
[stream."/greet"]
command = ["./greet.sh"]
[stream."/environment/"]
command = ["./environment.sh"]
env = { MINE = "yes" }
[stream."/exit/0"]
command = ["true"]
[stream."/exit/3"]
command = ["sh", "-c", "echo last words; exit 3"]
[stream."/exit/segv"]
command = ["sh", "-c", "kill -SEGV $$"]
[stream."/missing"]
command = ["sh", "-c", "exit 0"]
directory = "gone"
[stream."/small"]
command = ["cat"]
max_message = "16B"
[stream."/endless-line"]
command = ["sh", "-c", "head -c 100000000 /dev/zero | tr '\\\\0' x"]
[stream."/crlf"]
command = ["printf", 'one\\r\\ntwo\\n\\nlast']
[stream."/invalid"]
command = ["printf", 'a\\377b\\n']
[stream."/stubborn"]
command = ["./stubborn.sh"]
interrupt_after = "50ms"
terminate_after = "50ms"
kill_after = "50ms"
[stream."/sleep"]
command = ["sleep", "1000"]
max_queue = "64KiB"
[stream."/one"]
command = ["cat"]
max_processes = 1
[stream."/yes"]
command = ["yes", "0123456789012345678901234567890123456789"]
`;

for (const engine of ['uws', 'node'] as const) {
  describe(`streams over ${engine}`, { concurrency: false }, () => {
    const start = async (t: TestContext): Promise<Running> => {
      const running = await startGateway(t, { config: CONFIG(engine), files: { ...FILES, 'gone/x': '' } });
      assert.equal(running.log.find((line) => line['port'] !== undefined)?.['engine'], engine);
      return running;
    };
    const open = (running: Running, path: string): Promise<TestSocket> =>
      TestSocket.open(`ws://127.0.0.1:${running.port}${path}`);

    test('messages and endings', async (t) => {
      const running = await start(t);

      await t.test('a line a message, both ways', async () => {
        const socket = await open(running, '/greet');
        socket.ws.send('you');
        assert.deepEqual(await socket.first(1), ['hello you']);
        socket.ws.send('all');
        assert.deepEqual(await socket.first(2), ['hello you', 'bye all']);
        assert.deepEqual(await socket.closed, { code: 1000, reason: 'exit 0' });
      });

      await t.test('the exit status is the close code', async () => {
        assert.deepEqual(await (await open(running, '/exit/0')).closed, { code: 1000, reason: 'exit 0' });
        const failing = await open(running, '/exit/3');
        assert.deepEqual(await failing.closed, { code: 1011, reason: 'exit 3' });
        assert.deepEqual(failing.messages, ['last words']);
        assert.deepEqual(await (await open(running, '/exit/segv')).closed, { code: 1011, reason: 'signal SIGSEGV' });
      });

      await t.test('CRLF, an empty line, a last line without its end', async () => {
        const socket = await open(running, '/crlf');
        await socket.closed;
        assert.deepEqual(socket.messages, ['one', 'two', '', 'last']);
      });

      await t.test('what is not UTF-8 is made so', async () => {
        const socket = await open(running, '/invalid');
        await socket.closed;
        assert.deepEqual(socket.messages, ['a\ufffdb']);
      });

      await t.test('the program knows who asks, and nothing of the gateway', async () => {
        const socket = await open(running, '/environment/a%20b/c?x=1&y=2');
        await socket.closed;
        const variables = new Map(
          socket.messages.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
        );
        assert.equal(variables.get('QUERY_STRING'), 'x=1&y=2');
        assert.equal(variables.get('SCRIPT_NAME'), '/environment');
        assert.equal(variables.get('PATH_INFO'), '/a b/c');
        assert.equal(variables.get('REMOTE_ADDR'), '127.0.0.1');
        assert.equal(variables.get('GATEWAY_INTERFACE'), 'CGI/1.1');
        assert.equal(variables.get('HTTP_HOST'), `127.0.0.1:${running.port}`);
        assert.equal(variables.get('MINE'), 'yes');
        assert.equal(variables.get('HOME'), undefined);
        assert.equal(
          [...variables.keys()].some((name) => name.startsWith('NODE') || name.startsWith('UWS')),
          false,
        );
      });

      await t.test('a line over max_message ends the stream and says why', async () => {
        const socket = await open(running, '/endless-line');
        assert.deepEqual(await socket.closed, { code: 1011, reason: 'line over max_message (65536 bytes)' });
        assert.deepEqual(socket.messages, []);
      });

      await t.test('a message over max_message closes with 1009', async () => {
        const socket = await open(running, '/small');
        socket.ws.send('x'.repeat(16));
        assert.deepEqual(await socket.first(1), ['x'.repeat(16)]);
        socket.ws.send('x'.repeat(17));
        assert.equal((await socket.closed).code, 1009);
      });

      await t.test('a binary message to a stream of lines closes with 1003', async () => {
        const socket = await open(running, '/cat');
        socket.ws.send(Buffer.from([1, 2, 3]));
        assert.deepEqual(await socket.closed, { code: 1003, reason: 'this stream accepts only text messages' });
      });

      await t.test('nothing is left of any of them', async () => {
        await until('no program is left', () => programsOf(running.pid).length === 0);
      });
      assert.equal(await running.stop(), 0);
    });

    test('refusals come before the upgrade', async (t) => {
      const running = await start(t);
      const url = (path: string): string => `ws://127.0.0.1:${running.port}${path}`;

      await t.test('a page of another origin', async () => {
        const answer = await refused(url('/cat'), { origin: 'http://evil.example' });
        assert.equal(answer.status, 403);
        assert.match(answer.body, /^403 Forbidden\n\nid /);
        const own = await TestSocket.open(url('/cat'), { origin: `http://127.0.0.1:${running.port}` });
        own.ws.close();
      });

      await t.test('no such route', async () => assert.equal((await refused(url('/nothing'))).status, 404));

      await t.test('no room', async () => {
        const first = await TestSocket.open(url('/one'));
        const answer = await refused(url('/one'));
        assert.equal(answer.status, 503);
        assert.equal(answer.headers['retry-after'], '5');
        first.ws.close();
        await first.closed;
        await until('room again', async () => {
          const socket = await TestSocket.open(url('/one')).catch(() => undefined);
          socket?.ws.close();
          return socket !== undefined;
        });
      });

      await t.test('a program whose folder has gone', async () => {
        const { rmSync } = await import('node:fs');
        rmSync(`${running.folder}/gone`, { recursive: true });
        const answer = await refused(url('/missing'));
        assert.equal(answer.status, 502);
        const id = /^id (\S+)$/m.exec(answer.body)?.[1];
        const line = await running.logged((entry) => entry.level === 'error' && entry['id'] === id);
        assert.match(line.message, /cannot start .*its working directory .* does not exist/);
      });

      await t.test('a plain GET gets the lines, an event stream the events', async () => {
        const plain = await fetch(running.url('/exit/3'));
        assert.equal(plain.headers.get('content-type'), 'text/plain; charset=utf-8');
        assert.equal(await plain.text(), 'last words\n');
        const events = await fetch(running.url('/exit/3'), { headers: { accept: 'text/event-stream' } });
        assert.match(
          await events.text(),
          /^(: {62}\n){32}retry: 2000\n\nevent: joined\ndata: \{"session":"[0-9a-f]{24}","ping":25000\}\n\ndata: last words\n\nid: end\nevent: end\ndata: \{"code":1011,"reason":"exit 3"\}\n\n$/,
        );
      });

      await t.test('a session takes messages by POST', async () => {
        const events = await fetch(running.url('/greet'), { headers: { accept: 'text/event-stream' } });
        const reader = events.body?.getReader();
        assert.ok(reader !== undefined);
        let text = '';
        const until = async (part: RegExp): Promise<RegExpExecArray> => {
          for (;;) {
            const found = part.exec(text);
            if (found !== null) return found;
            const { value, done } = await reader.read();
            if (done) throw new Error(`ended with ${text}`);
            text += Buffer.from(value).toString();
          }
        };
        const session = (await until(/"session":"([0-9a-f]+)"/))[1];
        const post = (body: string): Promise<Response> =>
          fetch(running.url(`/greet?session=${session}`), { method: 'POST', body });
        assert.equal((await post('you')).status, 202);
        await until(/data: hello you\n\n/);
        assert.equal((await post('all')).status, 202);
        await until(/data: bye all\n\nid: end\nevent: end\ndata: \{"code":1000,"reason":"exit 0"\}/);
        assert.equal((await post('late')).status, 404);
        assert.equal((await fetch(running.url('/greet?transport=poll'))).status, 400);
      });
      assert.equal(await running.stop(), 0);
    });

    test('a client that leaves ends the whole group, whatever it ignores', async (t) => {
      const running = await start(t);
      const socket = await open(running, '/stubborn');
      const pids = (await socket.first(2)).map((line) => Number(line.split(' ')[1]));
      const alive = (): boolean => processes().some(({ pid, session }) => pids.includes(pid) || pids.includes(session));
      assert.equal(alive(), true);
      // No close frame: it just vanishes.
      socket.ws.terminate();
      await until('the group is gone', () => !alive());
      assert.equal(await running.stop(), 0);
    });

    test('a program that does not read bounds what its client can send', async (t) => {
      const running = await start(t);
      const socket = await open(running, '/sleep');
      const before = memoryOf(running.pid, 'RssAnon');
      const piece = 'x'.repeat(32_768);
      let sent = 0;
      while (socket.ws.readyState === socket.ws.OPEN && sent < 3000) {
        if (socket.ws.bufferedAmount < 4 << 20) {
          socket.ws.send(piece);
          sent++;
        } else {
          // node: the gateway stopped reading; nothing more will be taken.
          if (engine === 'node') break;
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (sent % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      if (engine === 'uws')
        assert.deepEqual(await socket.closed, { code: 1013, reason: 'you send faster than the program reads' });
      else assert.ok(socket.ws.bufferedAmount > 0);
      const grown = memoryOf(running.pid, 'RssAnon') - before;
      assert.ok(grown < 30_000, `${grown} KiB`);
      socket.ws.terminate();
      assert.equal(await running.stop(), 0);
    });

    test('a client that does not read holds its program back', async (t) => {
      const running = await start(t);
      const socket = await open(running, '/yes');
      await socket.first(10);
      socket.ws.pause();
      const yes = programsOf(running.pid).find(({ command }) => command.startsWith('yes'));
      assert.ok(yes !== undefined);
      // Blocked in write: its CPU time stands still between two looks that are a while apart.
      const { readFileSync } = await import('node:fs');
      const ticks = (): string => readFileSync(`/proc/${yes.pid}/stat`, 'latin1').split(' ').slice(13, 15).join(' ');
      let last = '';
      await until('yes stands still', async () => {
        const now = ticks();
        await new Promise((resolve) => setTimeout(resolve, 200));
        const still = now === last && ticks() === now;
        last = now;
        return still;
      });
      const held = memoryOf(running.pid, 'RssAnon');
      assert.ok(held < 200_000, `${held} KiB`);
      socket.messages.length = 0;
      socket.ws.resume();
      await socket.first(1000);
      assert.ok(socket.messages.every((line) => line === '0123456789012345678901234567890123456789'));
      socket.ws.terminate();
      assert.equal(await running.stop(), 0);
    });

    test('2,000 clients come, talk and leave, and nothing stays behind', async (t) => {
      const running = await start(t);
      const sockets = (): number => descriptorsOf(running.pid).filter((name) => name.startsWith('socket')).length;
      const idle = sockets();
      const visit = async (at: number): Promise<void> => {
        const socket = await open(running, '/cat');
        socket.ws.send(`message ${at}`);
        assert.deepEqual(await socket.first(1), [`message ${at}`]);
        if (at % 2 === 0) socket.ws.close();
        else socket.ws.terminate();
        await socket.closed;
      };
      const settle = (): Promise<void> => until('no program is left', () => programsOf(running.pid).length === 0);
      const cycle = async (count: number): Promise<void> => {
        let next = 0;
        await Promise.all(
          Array.from({ length: 8 }, async () => {
            while (next < count) await visit(next++);
          }),
        );
        await settle();
      };
      await cycle(1000);
      // But the one to the starter.
      await until('its sockets are closed', () => sockets() <= idle + 1);
      const descriptors = descriptorsOf(running.pid).length;
      // A leak grows in every round; a heap that has not been collected yet does not.
      const growth: number[] = [];
      for (let round = 0; round < 4 && !growth.some((kib) => kib < 3000); round++) {
        const memory = memoryOf(running.pid, 'RssAnon');
        await cycle(1000);
        growth.push(memoryOf(running.pid, 'RssAnon') - memory);
      }
      assert.ok(
        growth.some((kib) => kib < 3000),
        `KiB more after each 1,000 clients: ${growth.join(', ')}`,
      );
      await until('no descriptor more than before', () => descriptorsOf(running.pid).length <= descriptors);
      assert.equal(await running.stop(), 0);
    });
  });
}
