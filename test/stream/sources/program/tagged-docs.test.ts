/** The programs of docs/tagged.md do what the page says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf } from '../../../docs/pages.ts';
import { startGateway } from '../../../support/gateway.ts';
import { post, StreamClient } from '../../../support/stream-client.ts';

for (const language of ['sh', 'python'])
  test(`the chat in ${language}`, async (t) => {
    const program = codeOf('docs/tagged.md', language, { begins: '#!' });
    const { port } = await startGateway(t, {
      config: `[[listen]]
address = "127.0.0.1:0"
[stream."/chat"]
command = ["./chat"]
share = "all"
clients = "tagged"
history = 50
`,
      files: { chat: program },
    });
    const to = { port, path: '/chat' };
    const [one, two] = [new StreamClient('events', to).start(), new StreamClient('websocket', to)];
    t.after(() => one.stop());
    t.after(() => two.stop());
    const texts = (client: StreamClient): readonly string[] => client.messages.map(({ data }) => data);
    await one.until(() => texts(one).length === 1, 'a welcome');
    assert.deepEqual(texts(one), ['welcome, you are c1']);
    two.start();
    await two.until(() => texts(two).length === 1, 'a welcome');
    const odd = 'a "quote", a \\ and {"event":"open"}\nnext line';
    const joined = one.events.find(({ kind }) => kind === 'joined')?.data ?? '';
    const { session } = JSON.parse(joined) as { session: string };
    assert.equal((await post(to, `?session=${session}`, odd)).status, 202);
    assert.equal((await post(to, `?session=${session}`, 'who am i')).status, 202);
    assert.equal((await post(to, '', 'nobody')).status, 202);
    for (const client of [one, two]) {
      await client.until(() => texts(client).some((text) => text.includes('nobody')), 'what was said last');
      const said = texts(client).filter((text) => text.startsWith('{'));
      assert.deepEqual(
        said.map((text) => JSON.parse(text) as unknown),
        [
          { from: 'c1', said: odd },
          { from: 'somebody', said: 'nobody' },
        ],
      );
    }
    assert.deepEqual([texts(one).includes('c1'), texts(two).includes('c1')], [true, false]);
    one.stop();
    await two.until(() => texts(two).includes('c1 has left'), 'to be told');
  });
