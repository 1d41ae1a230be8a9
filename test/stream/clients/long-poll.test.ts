/** Long-polls: nothing is lost while one waits, nor between two, and who is between two is there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Log } from '../../../src/ops/log.ts';
import { Tallies } from '../../../src/ops/tallies.ts';
import { LongPolls } from '../../../src/stream/channel/long-polls.ts';
import { KeepAlive } from '../../../src/stream/clients/keepalive.ts';
import { answerLongPoll } from '../../../src/stream/clients/long-poll.ts';
import { StreamCounts } from '../../../src/stream/counts.ts';
import { History } from '../../../src/stream/history/history.ts';
import { Replay } from '../../../src/stream/history/replay.ts';
import { Message } from '../../../src/stream/message.ts';
import { fakeCall } from '../../support/call.ts';
import { ask } from '../../support/client.ts';
import { startGateway } from '../../support/gateway.ts';

const CONFIG = (engine: string): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[stream."/zero"]
command = ["cat"]
share = "all"
history = 0
[stream."/burst"]
command = ["sh", "-c", "while read -r n; do seq 1 $n; done"]
share = "all"
[stream."/brief"]
command = ["./lives.sh"]
share = "all"
idle_stop = "0ms"
[stream."/rooms"]
command = ["cat"]
share = "query"
max_processes = 2
`;

const FILES = { 'lives.sh': '#!/bin/sh\necho life >>lives\nexec cat\n' };

interface News {
  readonly cursor: string;
  readonly messages: readonly { readonly data: string }[];
  readonly missed?: number | null;
}

for (const engine of ['uws', 'node'])
  describe(`long-polls over ${engine}`, () => {
    const start = (t: Parameters<typeof startGateway>[0]) =>
      startGateway(t, { config: CONFIG(engine), files: FILES }).then(({ port, folder }) => ({
        folder,
        post: (path: string, body: string) => ask(port, path, { method: 'POST', body }),
        poll: async (path: string, cursor = ''): Promise<News> => {
          const { status, body } = await ask(
            port,
            `${path}${path.includes('?') ? '&' : '?'}transport=poll&cursor=${cursor}`,
          );
          assert.equal(status, 200, body);
          return JSON.parse(body) as News;
        },
        status: async (path: string) => (await ask(port, path)).status,
      }));
    const data = ({ messages }: News): readonly string[] => messages.map((message) => message.data);

    test('without history: what comes while one waits, and what comes between two', async (t) => {
      const { post, poll } = await start(t);
      let { cursor } = await poll('/zero');
      const waiting = poll('/zero', cursor);
      await post('/zero', 'one');
      const first = await waiting;
      assert.deepEqual([data(first), first.missed], [['one'], undefined]);
      await post('/zero', 'two');
      await post('/zero', 'three');
      ({ cursor } = first);
      const got: string[] = [];
      while (got.length < 2) {
        const news = await poll('/zero', cursor);
        assert.equal(news.missed, undefined);
        got.push(...data(news));
        ({ cursor } = news);
      }
      assert.deepEqual(got, ['two', 'three']);
    });

    test('a burst that is larger than the history', async (t) => {
      const { post, poll } = await start(t);
      let { cursor } = await poll('/burst');
      const got: string[] = [];
      let waiting = poll('/burst', cursor);
      await post('/burst', '3000');
      while (got.length < 3000) {
        const news = await waiting;
        assert.equal(news.missed, undefined);
        got.push(...data(news));
        ({ cursor } = news);
        if (got.length < 3000) waiting = poll('/burst', cursor);
      }
      assert.deepEqual(
        got,
        Array.from({ length: 3000 }, (_, at) => `${at + 1}`),
      );
    });

    test('who is between two is there: one program, whatever idle_stop says', async (t) => {
      const { post, poll, folder } = await start(t);
      let { cursor } = await poll('/brief');
      for (let at = 0; at < 10; at++) {
        await post('/brief', `${at}`);
        const news = await poll('/brief', cursor);
        assert.deepEqual(data(news), [`${at}`]);
        ({ cursor } = news);
      }
      assert.equal(readFileSync(join(folder, 'lives'), 'utf8'), 'life\n');
    });

    test('who is between two keeps its stream, and what came for it', async (t) => {
      const { post, poll, status } = await start(t);
      const { cursor } = await poll('/rooms?k=a');
      await poll('/rooms?k=b');
      await post('/rooms?k=a', 'one');
      assert.equal(await status('/rooms?k=c&transport=poll'), 503);
      assert.deepEqual(data(await poll('/rooms?k=a', cursor)), ['one']);
    });
  });

test('a request whose client has gone before it is looked at takes nothing from the next one', async (t) => {
  const history = new History('run', { messages: 0, bytes: 1024, age: undefined });
  const replay = new Replay({ history, rule: 'none', binary: false, snapshot: () => undefined });
  const longPolls = new LongPolls({ history, replay, maxBehind: 1024, used: () => {}, unused: () => {} });
  t.after(() => longPolls.close({ code: 1001, reason: 'the test is over' }));
  const clientParts = {
    log: new Log({ format: 'json', level: 'error', colour: false, descriptor: 1 }),
    counts: new StreamCounts(new Tallies(), '/x'),
    keepAlive: new KeepAlive({ pingInterval: 25_000, idleTimeout: undefined, maxLifetime: undefined }),
    maxMessage: 1024,
    binary: false,
    readOnly: undefined,
    stderrAsEvents: false,
    mixed: false,
  };
  const poll = async (query: string, gone = false): Promise<{ cursor: string; messages: { data: string }[] }> => {
    const call = fakeCall({ query });
    if (gone) call.abort();
    const answer = await answerLongPoll(call, longPolls, clientParts);
    assert.ok('body' in answer && typeof answer.body === 'string');
    return JSON.parse(answer.body) as { cursor: string; messages: { data: string }[] };
  };
  const { cursor } = await poll('cursor=');
  const { id, sequence } = history.next();
  history.add(new Message(Buffer.from('kept for one'), false, id, sequence));
  // Nothing is in the history: only the position of the first request keeps the message.
  await assert.rejects(poll(`cursor=${cursor}`, true), /left/);
  assert.deepEqual(
    (await poll(`cursor=${cursor}`)).messages.map(({ data }) => data),
    ['kept for one'],
  );
});
