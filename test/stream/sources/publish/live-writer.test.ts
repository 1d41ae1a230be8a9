/** Live writers: bodies that go on, line by line, over every way that a small board has to send one. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ask, TestSocket } from '../../../support/client.ts';
import { EventClient } from '../../../support/event-stream.ts';
import { type Running, startGateway } from '../../../support/gateway.ts';
import { RawClient } from '../../../support/raw.ts';
import { until } from '../../../support/until.ts';

const CHUNKED = 'PUT /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
const MIB = 1 << 20;

const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const json = (body: Buffer | string): { [key: string]: unknown } => JSON.parse(body.toString()) as never;

/** A writer whose body has begun. */
async function begin(port: number, head = CHUNKED, halfOpen = true): Promise<RawClient> {
  const client = await RawClient.connect(port, halfOpen);
  client.send(head);
  return client;
}

const over = (running: Running, count = 1): Promise<unknown> =>
  until(
    () => running.log.filter(({ message }) => message.startsWith('a live writer has ended')).length >= count,
    'the end of a writer',
  );

for (const engine of ['uws', 'node'])
  describe(`a live writer (${engine})`, () => {
    const listen = `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n`;
    const start = (t: Parameters<typeof startGateway>[0], stream = '', rest = ''): Promise<Running> =>
      startGateway(t, { config: `${listen}${rest}[stream."/x"]\npublish = true\nhistory = 1000\n${stream}` });

    test('each line is a message when it arrives, the last one without an end, too', async (t) => {
      const running = await start(t);
      const events = await EventClient.open(running.port, '/x');
      const writer = await begin(running.port);
      for (const [index, text] of ['one\n', 'tw', 'o\r\nthr', 'ee\n\n', 'last'].entries()) {
        writer.send(chunk(text));
        await events.first([1, 1, 2, 4, 4][index] ?? 0);
      }
      writer.send('0\r\n\r\n');
      const reply = await writer.reply();
      assert.deepEqual(await events.first(5), ['one', 'two', 'three', '', 'last']);
      const { messages, id } = json(reply.body);
      assert.deepEqual([reply.status, messages, id], [200, 5, events.events.at(-1)?.id ?? events.events[5]?.id]);
      assert.match((await events.first(1, 'notice'))[0] ?? '', /the last live writer has ended/);
      events.close();
      writer.destroy();
    });

    test('by a length, slowly, and no limit on bodies cuts it', async (t) => {
      const running = await start(
        t,
        'limits = { body = "4B", body_time = "1s", body_rate = "1MiB", rate_window = "500ms" }\n',
      );
      const events = await EventClient.open(running.port, '/x');
      const lines = Array.from({ length: 40 }, (_, index) => `line ${index}\n`);
      const writer = await begin(
        running.port,
        `PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: ${lines.join('').length}\r\n\r\n`,
      );
      for (const [index, line] of lines.entries()) {
        writer.send(line);
        await events.first(index + 1);
        if (index % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 300));
      }
      assert.equal(json((await writer.reply()).body)['messages'], 40);
      events.close();
      writer.destroy();
    });

    test('a POST is one when the query says so, and a PUT is none', async (t) => {
      const running = await start(t);
      const body = 'a\nb\n';
      const headers = { 'content-length': '4' };
      const live = await ask(running.port, '/x?body=live', { method: 'POST', body, headers });
      assert.deepEqual([live.status, json(live.body)['messages']], [200, 2]);
      const whole = await ask(running.port, '/x?body=whole', { method: 'PUT', body, headers });
      assert.equal(whole.status, 202);
      const events = await EventClient.open(running.port, '/x');
      assert.deepEqual(await events.first(3), ['a', 'b', 'a\nb\n']);
      events.close();
    });

    test('who leaves at any step leaves what was whole; the rest is counted', async (t) => {
      const running = await start(t, '', '[admin]\nlisten = "127.0.0.1:0"\n');
      const pieces = [CHUNKED.slice(0, 20), CHUNKED.slice(20), '5', '\r\nfu', 'll\n', '\r\n', '4\r\nhalf', '\r\n'];
      for (let cut = 1; cut <= pieces.length; cut++) {
        const writer = await RawClient.connect(running.port);
        for (const piece of pieces.slice(0, cut)) {
          writer.send(piece);
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (cut >= 5)
          await until(
            () => running.log.filter(({ message }) => message === 'a live writer has begun').length >= cut - 1,
            'its begin',
          );
        writer.destroy();
      }
      const events = await EventClient.open(running.port, '/x');
      await events.first(pieces.length - 4 - 1);
      assert(
        events.all().every((text) => text === 'full'),
        events.all().join(),
      );
      const metrics = async (): Promise<string> => (await ask(running.ports[1] ?? 0, '/metrics')).body;
      for (let text = ''; !/runnel_stream_writers\{route="\/x"\} 0/.test(text); ) text = await metrics();
      assert.match(await metrics(), /runnel_dropped_total\{route="\/x",reason="cut_message"\} \d/);
      assert.match(await metrics(), /runnel_stream_writers_ended_total\{route="\/x",reason="left"\} \d/);
      // How long a writer writes says nothing about the gateway.
      assert.doesNotMatch(await metrics(), /request_duration_seconds_count\{route="\/x",class="4xx"\}/);
      events.close();
    });

    test('100 MB without a newline are refused at the largest message', async (t) => {
      const running = await start(t);
      const writer = await begin(
        running.port,
        `PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: ${100 * MIB}\r\n\r\nfirst\n`,
      );
      writer.send(Buffer.alloc(MIB, 'x'));
      const reply = await writer.reply();
      assert.equal(reply.status, 413);
      assert.deepEqual(json(reply.body)['messages'], 1);
      assert.match(String(json(reply.body)['error']), /max_message/);
      writer.destroy();
    });

    test('whoever says nothing for idle_timeout is told so', async (t) => {
      const running = await startGateway(t, {
        config: `${listen}[stream."/x"]\npublish = { idle_timeout = "1s" }\n`,
      });
      const writer = await begin(running.port);
      writer.send(chunk('one\n'));
      const reply = await writer.reply();
      assert.deepEqual([reply.status, json(reply.body)['messages']], [408, 1]);
      writer.destroy();
    });

    test('a limit of messages holds it back, and refuses nothing', async (t) => {
      const running = await start(t, 'limits = { messages_per_second = 500 }\n', '[connections]\nexempt = []\n');
      const reader = await TestSocket.open(`ws://127.0.0.1:${running.port}/x`);
      const body = Array.from({ length: 2000 }, (_, index) => `${index}\n`).join('');
      const began = performance.now();
      const answer = await ask(running.port, '/x', {
        method: 'PUT',
        body,
        headers: { 'content-length': String(body.length) },
      });
      // At least the seconds that the limit makes of what is beyond the first; no bound above.
      assert(performance.now() - began > 1000);
      assert.deepEqual([answer.status, json(answer.body)['messages']], [200, 2000]);
      assert.equal((await reader.first(2000)).at(-1), '1999');
      reader.ws.terminate();
    });

    test('several at once; one too many gets 503; the end is told of the last one', async (t) => {
      const running = await startGateway(t, {
        config: `${listen}[stream."/x"]\npublish = { max_writers = 2 }\nhistory = 10\n`,
      });
      const events = await EventClient.open(running.port, '/x');
      const [one, two] = [await begin(running.port), await begin(running.port)];
      one.send(chunk('one\n'));
      await events.first(1);
      two.send(chunk('two\n'));
      await events.first(2);
      const third = await begin(running.port);
      third.send(chunk('three\n'));
      assert.equal((await third.reply()).status, 503);
      one.destroy();
      await over(running);
      two.send(`${chunk('more\n')}0\r\n\r\n`);
      assert.equal((await two.reply()).status, 200);
      assert.deepEqual(await events.first(3), ['one', 'two', 'more']);
      assert.deepEqual((await events.first(1, 'notice')).length, 1);
      const late = await EventClient.open(running.port, '/x');
      assert.match((await late.first(1, 'notice'))[0] ?? '', /the last live writer has ended/);
      await ask(running.port, '/x', { method: 'PUT', body: 'again\n', headers: { 'content-length': '6' } });
      assert.deepEqual((await events.first(2, 'notice'))[1], 'a writer is connected again');
      for (const client of [events, late]) client.close();
      for (const client of [two, third]) client.destroy();
    });

    test('a reload that changes the stream, and a stop, answer it with what was taken', async (t) => {
      const running = await start(t);
      const events = await EventClient.open(running.port, '/x');
      const writer = await begin(running.port);
      writer.send(chunk('one\ntwo\nhal'));
      await events.first(2);
      writeFileSync(
        join(running.folder, 'runnel.toml'),
        `${listen}[stream."/x"]\npublish = { max_writers = 3 }\nhistory = 1000\n`,
      );
      running.process.kill('SIGHUP');
      const reply = await writer.reply();
      assert.deepEqual([reply.status, json(reply.body)['messages'], reply.header('retry-after')], [503, 2, '1']);
      const next = await begin(running.port);
      next.send(chunk('three\n'));
      await until(() => running.log.filter(({ message }) => message === 'a live writer has begun').length === 2, 'it');
      const stopped = next.reply();
      const code = running.stop();
      assert.equal((await stopped).status, 503);
      assert.equal(await code, 0);
      for (const client of [writer, next]) client.destroy();
    });

    test('curl sends what a program prints; wget, a file', async (t) => {
      const running = await start(t);
      const events = await EventClient.open(running.port, '/x');
      const program = spawn('sh', ['-c', `(echo one; read go; echo two) | curl -sT - ${running.url('/x')}`]);
      await events.first(1);
      program.stdin.end('go\n');
      const [answer] = (await once(program.stdout, 'data')) as [Buffer];
      assert.equal(json(answer)['messages'], 2);
      const file = join(running.folder, 'file');
      writeFileSync(file, 'three\nfour');
      for (const command of [
        ['curl', '-s', '-T', file, running.url('/x')],
        ['curl', '-s', '--data-binary', `@${file}`, running.url('/x')],
        ['wget', '-qO-', `--post-file=${file}`, running.url('/x')],
        ['busybox', 'wget', '-qO-', `--post-file=${file}`, running.url('/x?body=live')],
        ['busybox', 'wget', '-qO-', '--post-data=five', running.url('/x')],
      ]) {
        const [name = '', ...args] = command;
        const { status, stdout, error } = spawnSync(name, args);
        if (error !== undefined) t.diagnostic(`${name} is not there`);
        else assert.equal(status, 0, `${command.join(' ')}: ${stdout}`);
      }
      await until(() => events.all().length >= 4, 'them');
      assert.deepEqual(events.all().slice(0, 4), ['one', 'two', 'three', 'four']);
      events.close();
    });
  });

describe('HTTP/1.0 without a length', () => {
  const config = `[[listen]]\naddress = "127.0.0.1:0"\n[stream."/x"]\npublish = true\nhistory = 10\n[cgi."/cgi"]\ncommand = ["sh", "-c", "printf 'Content-Type: text/plain\\n\\n'; wc -c"]\n`;

  for (const method of ['PUT', 'POST'])
    test(`${method}: lines as they come, and an answer when the client has shut its side`, async (t) => {
      const running = await startGateway(t, { config });
      const events = await EventClient.open(running.port, '/x');
      const writer = await begin(running.port, `${method} /x HTTP/1.0\r\n\r\none\ntw`);
      await events.first(1);
      writer.send('o\n');
      await events.first(2);
      writer.send('three');
      writer.socket.end();
      const reply = await writer.reply();
      assert.deepEqual([reply.status, json(reply.body)['messages']], [200, 3]);
      await writer.ended();
      assert.deepEqual(await events.first(3), ['one', 'two', 'three']);
      events.close();
    });

  test('a line that is too long is answered while its client still sends', async (t) => {
    const running = await startGateway(t, { config });
    const writer = await begin(running.port, 'PUT /x HTTP/1.0\r\n\r\n');
    writer.send(Buffer.alloc(4 * MIB, 'x'));
    assert.equal((await writer.reply()).status, 413);
    writer.destroy();
  });

  test('who is lost, is told as lost', async (t) => {
    const running = await startGateway(t, { config });
    const writer = await begin(running.port, 'PUT /x HTTP/1.0\r\n\r\none\n');
    await until(() => running.log.some(({ message }) => message === 'a live writer has begun'), 'it');
    writer.socket.resetAndDestroy();
    await over(running);
  });

  test('other routes see no body, as before, and answer who has shut its side', async (t) => {
    const running = await startGateway(t, { config });
    for (const shuts of [false, true]) {
      const client = await begin(running.port, 'POST /cgi HTTP/1.0\r\n\r\n', shuts);
      if (shuts) client.socket.end();
      const reply = await client.reply();
      assert.deepEqual([reply.status, reply.body.toString().trim()], [200, '0']);
      client.destroy();
    }
    const kept = await begin(running.port, 'POST /cgi HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', false);
    assert.equal((await kept.reply()).status, 200);
    kept.destroy();
    const whole = await begin(running.port, 'POST /x?body=whole HTTP/1.0\r\n\r\nx');
    assert.equal((await whole.reply()).status, 411);
    whole.destroy();
  });

  for (const netcat of [
    ['nc', '-N'],
    ['busybox', 'nc'],
  ])
    test(`from ${netcat.join(' ')}`, async (t) => {
      const [name = '', ...args] = netcat;
      const there = spawnSync(name, name === 'nc' ? ['-h'] : ['nc', '--help']);
      if (there.error !== undefined || (name === 'nc' && !String(there.stderr).includes('OpenBSD'))) {
        t.skip(`needs ${name}`);
        return;
      }
      const running = await startGateway(t, { config });
      const events = await EventClient.open(running.port, '/x');
      const sender = spawn(name, [...args, '127.0.0.1', String(running.port)]);
      t.after(() => sender.kill());
      sender.stdin.write('PUT /x HTTP/1.0\r\n\r\none\n');
      await events.first(1);
      sender.stdin.end('two\n');
      const [answer] = (await once(sender.stdout, 'data')) as [Buffer];
      assert.match(String(answer), /^HTTP\/1\.1 200 OK\r\n/);
      assert.deepEqual(await events.first(2), ['one', 'two']);
      events.close();
    });
});
