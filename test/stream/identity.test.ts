/** Who speaks to a stream: a client that sends by POST is believed for its session, and only where the same user shows it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { ask } from '../support/client.ts';
import { EventClient } from '../support/event-stream.ts';
import { startGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';

const [ALICE, BOB] = ['a'.repeat(43), 'b'.repeat(43)];
const digest = (token: string): string => createHash('sha256').update(token).digest('hex');
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const CONFIG = (engine: string): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[stream."/tagged"]
command = ["./tell.py"]
share = "all"
clients = "tagged"
auth = { tokens = "tokens" }
[stream."/mine"]
command = ["cat"]
auth = { tokens = "tokens" }
`;

const FILES = {
  tokens: `alice:${digest(ALICE)}\nbob:${digest(BOB)}\n`,
  'tell.py': `#!/usr/bin/python3
import sys, json
for line in sys.stdin: print(json.dumps({"data": json.loads(line)}), flush=True)
`,
};

const joined = async (client: EventClient): Promise<{ client?: string; session: string }> =>
  JSON.parse((await client.first(1, 'joined'))[0] ?? '') as { client?: string; session: string };

for (const engine of ['uws', 'node'])
  describe(`who speaks, over ${engine}`, () => {
    test('to a tagged program: only a client itself', async (t) => {
      const { port, log } = await startGateway(t, { config: CONFIG(engine), files: FILES });
      const [alice, bob] = [
        await EventClient.open(port, '/tagged', bearer(ALICE)),
        await EventClient.open(port, '/tagged', bearer(BOB)),
      ];
      t.after(() => alice.close());
      t.after(() => bob.close());
      const [hers, his] = [await joined(alice), await joined(bob)];
      const post = async (query: string, token: string): Promise<number> =>
        (await ask(port, `/tagged?${query}`, { method: 'POST', headers: bearer(token), body: query })).status;
      const [name, session] = [`client=${hers.client}`, `session=${hers.session}`];
      const tried: readonly (readonly [query: string, token: string, status: number])[] = [
        [name, BOB, 403],
        [name, ALICE, 403],
        [session, BOB, 404],
        [`${name}&${session}`, BOB, 404],
        [`${name}&session=${his.session}`, BOB, 403],
        [`${name}&session=${his.session}`, ALICE, 404],
        ['client=c99', ALICE, 403],
        ['session=', ALICE, 404],
        [session, ALICE, 202],
        [`${name}&${session}`, ALICE, 202],
      ];
      for (const [query, token, status] of tried) assert.equal(await post(query, token), status, query);
      await post('', BOB);
      const speakers = () =>
        bob
          .all()
          .map((text) => JSON.parse(text) as { client: string | null; event: string })
          .flatMap(({ event, client }) => (event === 'message' ? [client] : []));
      await until('what nobody said last has come', () => speakers().includes(null));
      assert.deepEqual(speakers(), [hers.client, hers.client, null]);
      assert.equal(JSON.stringify(log).includes(hers.session), false, 'a session is not in the log');
    });

    test('to a program of its own', async (t) => {
      const { port } = await startGateway(t, { config: CONFIG(engine), files: FILES });
      const alice = await EventClient.open(port, '/mine', bearer(ALICE));
      t.after(() => alice.close());
      const { session } = await joined(alice);
      const post = async (token: string): Promise<number> =>
        (await ask(port, `/mine?session=${session}`, { method: 'POST', headers: bearer(token), body: 'x' })).status;
      assert.equal(await post(BOB), 404);
      assert.equal(await post(ALICE), 202);
      await alice.first(1);
    });
  });
