/** What a gateway kept on the disk, after it was killed, stopped, reloaded, or met a second one. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { formatProblem } from '../../../src/config/reading/problems.ts';
import { parseConfig } from '../../../src/gateway/config.ts';
import { ask, TestSocket } from '../../support/client.ts';
import { EventClient } from '../../support/event-stream.ts';
import { folderWith, type Running, runnel, startRunnel } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';

/** How often the gateway is killed; 200 by hand. */
const KILLS = Number(process.env['RUNNEL_TEST_KILLS'] ?? 4);
/** Messages a second that are acknowledged. */
const RATE = 2000;

const LISTEN = '[[listen]]\naddress = "127.0.0.1:0"\n[admin]\nlisten = "127.0.0.1:0"\n';

function notes(history = '', more = ''): string {
  return `${LISTEN}[stream."/notes"]\npublish = true\nhistory = { file = "notes", messages = 1_000_000, bytes = "256MiB"${history} }\n${more}`;
}

async function start(t: TestContext, folder: string, config?: string): Promise<Running> {
  if (config !== undefined) writeFileSync(join(folder, 'runnel.toml'), config);
  return await startRunnel(t, ['serve', '-c', join(folder, 'runnel.toml')], { folder });
}

async function publish({ port }: Running, text: string): Promise<string> {
  const { status, body } = await ask(port, '/notes', { method: 'POST', body: text });
  assert.equal(Math.floor(status / 100), 2, body);
  return (JSON.parse(body) as { id: string }).id;
}

interface Line {
  readonly id: string;
  readonly data: string;
  readonly missed?: number | null;
}

/** Everything that is kept, behind `after`. */
async function past({ port }: Running, after = 'none-0'): Promise<readonly Line[]> {
  const all: Line[] = [];
  for (let last = after; ; ) {
    const { body } = await ask(port, `/notes?transport=history&limit=10000&after=${last}`);
    const lines = body.split('\n').slice(0, -1);
    if (lines.length === 0) return all;
    all.push(...lines.map((line) => JSON.parse(line) as Line));
    last = all.at(-1)?.id ?? '';
  }
}

async function metric({ ports }: Running, name: string): Promise<number> {
  const { body } = await ask(ports.at(-1) ?? 0, '/metrics');
  return Number(new RegExp(`^${name}\\{route="/notes"[^}]*\\} (\\S+)$`, 'm').exec(body)?.[1]);
}

/** Publishes with many connections until it is stopped; tells what was acknowledged. */
function writers(port: number, acknowledged: Map<string, string>, name: string): { stop(): Promise<void> } {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  let stopped = false;
  let count = 0;
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const text = `${name}-${++count}`;
      const outgoing = request({ host: '127.0.0.1', port, path: '/notes', method: 'POST', agent }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          body += part;
        });
        response.on('close', () => {
          if (response.complete && Math.floor((response.statusCode ?? 0) / 100) === 2)
            acknowledged.set((JSON.parse(body) as { id: string }).id, text);
          resolve();
        });
      });
      outgoing.on('error', () => {
        stopped = true;
        resolve();
      });
      outgoing.end(text);
    });
  const began = performance.now();
  const loop = async (): Promise<void> => {
    while (!stopped) {
      // Not faster than the rate.
      if (count / RATE > (performance.now() - began) / 1000) await new Promise((resolve) => setTimeout(resolve, 2));
      else await one();
    }
  };
  const all = Array.from({ length: 16 }, loop);
  return {
    async stop() {
      stopped = true;
      await Promise.all(all);
      agent.destroy();
    },
  };
}

test(`killed ${KILLS} times while messages are acknowledged: nothing is lost, nothing comes twice, the numbers go on`, async (t) => {
  const folder = folderWith(t, { 'runnel.toml': notes() });
  const acknowledged = new Map<string, string>();
  const numberOf = (id: string): number => Number(id.split('-')[1]);
  let running = await start(t, folder);
  let highest = 0;
  const epochs = new Set<string>();
  for (let kill = 0; kill < KILLS; kill++) {
    const already = acknowledged.size;
    const writing = writers(running.port, acknowledged, `w${kill}`);
    const enough = 20 + Math.random() * 600;
    await until('some messages are acknowledged', () => acknowledged.size > already + enough);
    await running.stop('SIGKILL');
    await writing.stop();
    const said = [...acknowledged.keys()].slice(already);
    assert.ok(
      said.every((id) => numberOf(id) > highest),
      'no number is given again',
    );
    highest = Math.max(...said.map(numberOf));
    for (const id of said) epochs.add(id.split('-')[0] ?? '');
    running = await start(t, folder);
  }
  assert.equal(epochs.size, 1);
  const kept = await past(running);
  const byId = new Map(kept.map(({ id, data }) => [id, data]));
  assert.equal(byId.size, kept.length, 'no id comes twice');
  assert.equal(new Set(kept.map(({ data }) => data)).size, kept.length, 'no message comes twice');
  const lost = [...acknowledged].filter(([id, text]) => byId.get(id) !== text);
  assert.deepEqual(lost, []);
  t.diagnostic(`${acknowledged.size} acknowledged, ${kept.length} kept`);
});

describe('viewers that come back', () => {
  for (const engine of ['uws', 'node'])
    test(`over ${engine}, by WebSocket, event stream and long-poll: exactly what came meanwhile`, async (t) => {
      const folder = folderWith(t, {});
      const config = notes().replace('"127.0.0.1:0"\n', `"127.0.0.1:0"\nengine = "${engine}"\n`);
      const first = await start(t, folder, config);
      const viewer = await TestSocket.open(`ws://127.0.0.1:${first.port}/notes?after=`);
      const events = await EventClient.open(first.port, '/notes');
      const poll = JSON.parse((await ask(first.port, '/notes?transport=poll')).body) as { cursor: string };
      const seen = await publish(first, 'seen');
      await until('the viewer has seen it', () => viewer.messages.includes(`id:${seen}\nseen`));
      await events.first(1);
      const meanwhile = [await publish(first, 'one'), await publish(first, 'two')];
      await first.stop('SIGKILL');
      const second = await start(t, folder);
      const last = await ask(second.port, '/notes?transport=last');
      assert.deepEqual([last.status, last.body, last.headers['last-event-id']], [200, 'two', meanwhile[1]]);
      meanwhile.push(await publish(second, 'three'));
      const messages = (socket: TestSocket) => socket.messages.filter((text) => text.startsWith('id:'));
      const again = await TestSocket.open(`ws://127.0.0.1:${second.port}/notes?after=${seen}`);
      await until('all are there', () => messages(again).length >= 3);
      assert.deepEqual(messages(again), [
        `id:${meanwhile[0]}\none`,
        `id:${meanwhile[1]}\ntwo`,
        `id:${meanwhile[2]}\nthree`,
      ]);
      assert.ok(!again.messages.some((text) => text.startsWith('event:missed')));
      const resumed = await EventClient.open(second.port, '/notes', { 'last-event-id': seen });
      assert.deepEqual(await resumed.first(3), ['one', 'two', 'three']);
      assert.deepEqual(resumed.all('missed'), []);
      const polled = JSON.parse((await ask(second.port, `/notes?transport=poll&cursor=${poll.cursor}`)).body) as {
        messages: readonly { readonly data: string }[];
        missed?: number;
      };
      assert.deepEqual(
        polled.messages.map(({ data }) => data),
        ['seen', 'one', 'two', 'three'],
      );
      assert.equal(polled.missed, undefined);
      // Whoever is new gets everything, as `replay` says.
      const fresh = await EventClient.open(second.port, '/notes');
      assert.deepEqual(await fresh.first(4), ['seen', 'one', 'two', 'three']);
    });

  test('from far behind what is in memory, each at its own pace, and live from there on', async (t) => {
    const folder = folderWith(t, {
      'lines.txt': Array.from({ length: 20_000 }, (_, at) => `${at} ${'x'.repeat(100)}`).join('\n'),
    });
    const first = await start(t, folder, notes(', sync = "1s"'));
    const lines = readFileSync(join(folder, 'lines.txt'));
    const { status } = await ask(first.port, '/notes', { method: 'PUT', body: lines });
    assert.equal(Math.floor(status / 100), 2);
    await first.stop();
    const second = await start(t, folder);
    const numbers = (data: readonly string[]) => data.map((text) => Number(text.split(' ')[0]));
    const all = Array.from({ length: 20_001 }, (_, at) => at);
    const fast = await EventClient.open(second.port, '/notes');
    const socket = await TestSocket.open(`ws://127.0.0.1:${second.port}/notes`);
    await publish(second, '20000 live');
    assert.deepEqual(numbers(await fast.first(20_001)), all);
    assert.deepEqual(numbers(await socket.first(20_001)), all);
    assert.deepEqual(fast.all('missed'), []);
    let cursor = '';
    const polled: string[] = [];
    while (polled.length < 20_001) {
      const { body } = await ask(second.port, `/notes?transport=poll&cursor=${cursor}`);
      const answer = JSON.parse(body) as { cursor: string; messages: readonly { readonly data: string }[] };
      polled.push(...answer.messages.map(({ data }) => data));
      cursor = answer.cursor;
    }
    assert.deepEqual(numbers(polled), all);
  });
});

describe('one file, one stream', () => {
  test('two gateways', async (t) => {
    const folder = folderWith(t, {});
    const first = await start(t, folder, notes());
    await publish(first, 'one');
    const second = await runnel(['serve', '-c', join(folder, 'runnel.toml')], folder);
    assert.equal(second.code, 73);
    assert.match(second.stdout + second.stderr, /notes is in use by another gateway/);
    await publish(first, 'two');
    // The kernel lets go of it with the process.
    await first.stop('SIGKILL');
    const third = await start(t, folder);
    assert.deepEqual(
      (await past(third)).map(({ data }) => data),
      ['one', 'two'],
    );
  });

  test('what check finds', (t) => {
    const folder = folderWith(t, { text: 'my notes\n', newer: 'runnel history 9\n' });
    mkdirSync(join(folder, 'a-folder'));
    symlinkSync(join(folder, 'text'), join(folder, 'link'));
    const keys = (file: string) => `publish = true\nhistory = { file = "${file}" }`;
    const cases: readonly (readonly [streams: string, says: RegExp])[] = [
      [`[stream."/a"]\n${keys('same')}\n[stream."/b"]\n${keys('./same')}`, /is the file of stream\."\/a" already/],
      [`[stream."/a"]\n${keys('text')}`, /is not a history of runnel/],
      [`[stream."/a"]\n${keys('newer')}`, /was written by a newer version of runnel/],
      [`[stream."/a"]\n${keys('a-folder')}`, /is not a regular file/],
      [`[stream."/a"]\n${keys('link')}`, /is not a history of runnel/],
      [`[stream."/a"]\n${keys('missing/notes')}`, /the folder of "missing\/notes".* does not exist/],
      ['[stream."/a"]\ncommand = ["cat"]\nshare = "query"\nhistory = { file = "x" }', /needs share = "all"/],
      ['[stream."/a"]\npublish = true\nhistory = { sync = "1s" }', /has no effect without "file"/],
      [
        '[stream."/a"]\ncommand = ["cat"]\nshare = "all"\nhistory = { file = "x", sync = "message" }',
        /wears out a memory card/,
      ],
    ];
    for (const [streams, says] of cases) {
      const found = parseConfig(Buffer.from(streams), 'runnel.toml', { directory: folder });
      const said = [...(found.ok ? found.doubts : found.problems)].map(formatProblem).join('\n');
      assert.match(said, says, streams);
    }
  });
});

test('a reload hands the history on: no number is lost, and nothing is opened twice', async (t) => {
  const folder = folderWith(t, {});
  const running = await start(t, folder, notes());
  const file = join(folder, 'runnel.toml');
  const reloaded = async (config: string, word: RegExp): Promise<void> => {
    const before = running.log.length;
    writeFileSync(file, config);
    running.process.kill('SIGHUP');
    await running.logged((line) => running.log.indexOf(line) >= before && word.test(line.message));
  };
  const one = await publish(running, 'one');
  await reloaded(notes('', 'max_behind = "1MiB"\n'), /the configuration is reloaded/);
  const two = await publish(running, 'two');
  assert.equal(two.split('-')[0], one.split('-')[0]);
  assert.equal(Number(two.split('-')[1]), Number(one.split('-')[1]) + 1);
  await reloaded(notes(', sync = "never"'), /the configuration is reloaded/);
  await publish(running, 'three');
  // Another file that cannot be had: everything stays as it was.
  writeFileSync(join(folder, 'other'), 'my notes\n');
  await reloaded(notes().replace('"notes"', '"other"'), /is not reloaded/);
  await publish(running, 'four');
  await reloaded(
    `${LISTEN}[stream."/notes"]\npublish = true\nhistory = { file = "notes", messages = 2 }\n`,
    /is reloaded/,
  );
  assert.deepEqual(
    (await past(running)).map(({ data }) => data),
    ['three', 'four'],
  );
  await running.stop();
  const second = await start(t, folder, notes());
  assert.deepEqual(
    (await past(second)).map(({ data }) => data),
    ['one', 'two', 'three', 'four'],
  );
  assert.ok(!running.log.some(({ level }) => level === 'warn'));
});

test('a reload that swaps the files of two streams: each goes on with the history of its file', async (t) => {
  const folder = folderWith(t, {});
  const both = (a: string, b: string): string =>
    LISTEN +
    [
      ['/notes', a],
      ['/other', b],
    ]
      .map(([path, file]) => `[stream."${path}"]\npublish = true\nhistory = { file = "${file}" }\n`)
      .join('');
  const running = await start(t, folder, both('a', 'b'));
  const first = await publish(running, 'in a');
  writeFileSync(join(folder, 'runnel.toml'), both('b', 'a'));
  running.process.kill('SIGHUP');
  await running.logged(({ message }) => /the configuration is reloaded/.test(message));
  assert.deepEqual(await past(running), []);
  await publish(running, 'in b');
  writeFileSync(join(folder, 'runnel.toml'), both('a', 'b'));
  running.process.kill('SIGHUP');
  await until(
    'it is reloaded twice',
    () => running.log.filter(({ message }) => /is reloaded/.test(message)).length === 2,
  );
  const second = await publish(running, 'in a, too');
  assert.equal(second.split('-')[0], first.split('-')[0]);
  assert.deepEqual(
    (await past(running)).map(({ data }) => data),
    ['in a', 'in a, too'],
  );
  await running.stop();
});

test('nobody else may read it, and what it costs is counted', async (t) => {
  const folder = folderWith(t, {});
  const running = await start(t, folder, notes());
  await publish(running, 'one');
  for (const name of readdirSync(folder).filter((each) => each.startsWith('notes')))
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
  assert.equal(await metric(running, 'runnel_history_messages'), 1);
  assert.equal(await metric(running, 'runnel_history_keeping'), 1);
  assert.ok((await metric(running, 'runnel_history_bytes')) > 64);
  assert.equal(await metric(running, 'runnel_history_syncs_total'), 1);
});
