import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { TestSocket } from '../support/client.ts';
import { type Running, startGateway } from '../support/gateway.ts';
import { memoryOf, programsOf, until } from '../support/processes.ts';

const CONFIG = (engine: string): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[stream."/sort"]
command = ["sort"]
eof_message = ""
[stream."/sha256sum"]
command = ["sha256sum"]
framing = "raw"
max_message = "1MiB"
eof_message = "EOF"
[stream."/wc"]
command = ["wc", "-l"]
eof_message = "EOF"
[stream."/cat"]
command = ["cat"]
framing = "raw"
max_message = "1MiB"
max_queue = "4MiB"
[stream."/prefixed"]
command = ["cat"]
framing = "length-prefixed"
[stream."/closes-stdout"]
command = ["sh", "-c", "echo hello; exec >&-; read -r line; echo got $line > $OUT"]
env = { OUT = "out.txt" }
directory = "."
[stream."/closes-stdin"]
command = ["sh", "-c", "exec <&-; echo one; sleep 0.2; echo two"]
[stream."/stderr/client"]
command = ["sh", "-c", "echo out; echo problem >&2; sleep 0.2; echo done"]
stderr = "client"
[stream."/stderr/log"]
command = ["sh", "-c", "echo problem >&2; head -c 300000 /dev/zero | tr '\\\\0' y >&2; echo >&2; echo out"]
[stream."/again"]
command = ["sh", "-c", "echo hello $$; exit 3"]
restart = "on-failure"
restart_delay = "10ms"
[stream."/once"]
command = ["sh", "-c", "echo hello; exit 0"]
restart = "on-failure"
restart_delay = "10ms"
[stream."/pinged"]
command = ["sleep", "1000"]
ping_interval = "300ms"
[stream."/idle"]
command = ["cat"]
idle_timeout = "400ms"
[stream."/short"]
command = ["sh", "-c", "while :; do echo x; sleep 0.05; done"]
max_lifetime = "1s"
[stream."/flood"]
command = ["yes", "a line of yes"]
drain_timeout = "1s"
`;

for (const engine of ['uws', 'node'] as const) {
  describe(`the bridge over ${engine}`, { concurrency: false }, () => {
    const start = (t: TestContext): Promise<Running> => startGateway(t, { config: CONFIG(engine) });
    const open = (running: Running, path: string): Promise<TestSocket> =>
      TestSocket.open(`ws://127.0.0.1:${running.port}${path}`);

    test('end of input: sort, sha256sum, wc answer when they are told', async (t) => {
      const running = await start(t);
      const sort = await open(running, '/sort');
      for (const line of ['pear', 'apple', 'fig', '']) sort.ws.send(line);
      assert.deepEqual(await sort.closed, { code: 1000, reason: 'exit 0' });
      assert.deepEqual(sort.messages, ['apple', 'fig', 'pear']);

      const wc = await open(running, '/wc');
      for (const line of ['a', 'b\nc', 'EOF']) wc.ws.send(line);
      await wc.closed;
      assert.deepEqual(wc.messages, ['3']);

      const sum = await open(running, '/sha256sum');
      const bytes = Buffer.alloc(1_000_000, 'x');
      sum.ws.send(bytes);
      sum.ws.send(Buffer.from('EOF'));
      await sum.closed;
      assert.equal(sum.messages.join('').split(' ')[0], createHash('sha256').update(bytes).digest('hex'));
    });

    test('half-open: a program closes one side and goes on with the other', async (t) => {
      const running = await start(t);
      const { existsSync, readFileSync } = await import('node:fs');
      const out = await open(running, '/closes-stdout');
      assert.deepEqual(await out.first(1), ['hello']);
      out.ws.send('still here');
      assert.deepEqual(await out.closed, { code: 1000, reason: 'exit 0' });
      assert.ok(existsSync(`${running.folder}/out.txt`));
      assert.equal(readFileSync(`${running.folder}/out.txt`, 'utf8'), 'got still here\n');

      const input = await open(running, '/closes-stdin');
      input.ws.send('nobody reads this');
      assert.deepEqual(await input.closed, { code: 1000, reason: 'exit 0' });
      assert.deepEqual(input.messages, ['one', 'two']);
    });

    test('length-prefixed messages of every size come back', async (t) => {
      const running = await start(t);
      const socket = await open(running, '/prefixed');
      const sizes = [0, 1, 3, 4, 5, 100, 65_535, 65_536];
      for (const size of sizes) socket.ws.send(Buffer.alloc(size, 'z'));
      assert.deepEqual(
        (await socket.first(sizes.length)).map(({ length }) => length),
        sizes,
      );
      socket.ws.close();
      await socket.closed;
    });

    test('stderr: to the client as the other kind of message, or to the log, bounded', async (t) => {
      const running = await start(t);
      const socket = await open(running, '/stderr/client');
      await socket.closed;
      const kinds = new Map(socket.messages.map((text, at) => [text, socket.binary[at]]));
      assert.deepEqual(
        kinds,
        new Map([
          ['out', false],
          ['problem', true],
          ['done', false],
        ]),
      );

      const logged = await open(running, '/stderr/log');
      await logged.closed;
      assert.deepEqual(logged.messages, ['out'], 'a line of 300,000 bytes on stderr did not block it');
      await running.logged((line) => line.message === 'problem' && line['from'] === 'stderr');
      const long = await running.logged((line) => line.message.startsWith('yyyy'));
      assert.ok(long.message.length < 5000);
    });

    test('restart: with the client still there, longer and longer apart; not after status 0', async (t) => {
      const running = await start(t);
      const socket = await open(running, '/again');
      const lines = await socket.first(4);
      assert.equal(new Set(lines).size, 4, 'four programs');
      const waits = running.log.flatMap((line) =>
        line.message === 'the program is restarted' ? [Number(line['ms'])] : [],
      );
      assert.ok(
        waits.every((wait, at) => at === 0 || wait > (waits[at - 1] ?? 0)),
        waits.join(' '),
      );
      socket.ws.close();
      await socket.closed;
      const once = await open(running, '/once');
      assert.deepEqual(await once.closed, { code: 1000, reason: 'exit 0' });
      assert.deepEqual(once.messages, ['hello']);
      await until('nothing runs', () => programsOf(running.pid).length === 0);
    });

    test('a peer that has stopped is found by its pings; one that answers stays', async (t) => {
      const running = await start(t);
      const alive = await open(running, '/pinged');
      let pings = 0;
      alive.ws.on('ping', () => pings++);
      // A client of its own process, so that it can be stopped without stopping the test.
      const code = `const W = require('ws'); const w = new W(process.argv[1]); w.on('open', () => console.log('open'));`;
      const frozen = spawn(process.execPath, ['-e', code, `ws://127.0.0.1:${running.port}/pinged`], {
        stdio: ['ignore', 'pipe', 'inherit'],
        cwd: process.cwd(),
      });
      t.after(() => frozen.kill('SIGKILL'));
      await once(frozen.stdout, 'data');
      frozen.kill('SIGSTOP');
      await running.logged((line) => line.message === 'a client did not answer its pings and was disconnected');
      await until(
        'only the program of the living client runs',
        () => programsOf(running.pid).filter(({ command }) => command === 'sleep 1000').length === 1,
      );
      assert.equal(alive.ws.readyState, alive.ws.OPEN);
      await until('it was pinged again', () => pings >= 3);
      alive.ws.close();
      await alive.closed;
    });

    test('idle_timeout and max_lifetime', async (t) => {
      const running = await start(t);
      assert.deepEqual(await (await open(running, '/idle')).closed, { code: 1000, reason: 'idle' });
      const short = await open(running, '/short');
      assert.equal((await short.closed).code, 1001);
      assert.ok(short.messages.length > 0);
    });

    test('a client that never reads is dropped after drain_timeout, and its program ends', async (t) => {
      const running = await start(t);
      const socket = await open(running, '/flood');
      await socket.first(1);
      socket.ws.pause();
      await running.logged((line) => /did not read its messages within drain_timeout/.test(line.message));
      await until('yes is gone', () => programsOf(running.pid).every(({ command }) => !command.startsWith('yes')));
      socket.ws.terminate();
    });

    test('64 MB through cat and back, both directions at once, byte for byte, in bounded memory', async (t) => {
      const running = await start(t);
      const socket = await open(running, '/cat');
      const before = memoryOf(running.pid, 'RssAnon');
      const piece = Buffer.alloc(256 * 1024);
      const count = 256;
      const sent = createHash('sha256');
      const received = createHash('sha256');
      let bytes = 0;
      let most = 0;
      const whole = new Promise<void>((resolve, reject) => {
        socket.ws.on('message', (data: Buffer) => {
          received.update(data);
          bytes += data.length;
          if (bytes === piece.length * count) resolve();
        });
        socket.ws.on('close', (code, reason) =>
          reject(new Error(`closed with ${code} ${reason.toString()} after ${bytes} bytes`)),
        );
      });
      whole.catch(() => undefined);
      for (let at = 0; at < count; at++) {
        piece.writeUInt32BE(at, 0);
        const copy = Buffer.from(piece);
        sent.update(copy);
        socket.ws.send(copy);
        // In flight at most what max_queue allows on `uws`, which cannot hold a client back.
        await until('room', () => (at + 1) * piece.length - bytes < 2 << 20);
        most = Math.max(most, memoryOf(running.pid, 'RssAnon'));
        socket.messages.length = 0;
      }
      await whole;
      assert.equal(received.digest('hex'), sent.digest('hex'));
      assert.ok(most - before < 60_000, `${most - before} KiB`);
      socket.ws.terminate();
    });
  });
}
