/** The peer of a Unix socket has no address: who is behind it, whom limits mean, and that nobody is locked out by somebody else. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Running, startGateway } from '../support/gateway.ts';

const FILES = {
  'www/a.txt': 'a',
  'www/locked/a.txt': 'locked',
  /** "secret", cost 4. */
  people:
    'ann:$2y$04$kqWdSTvhEr2Hu8l4fHRnWOia2bNzhKf4kx7azPi9JiZKFrmNunKnK\nbob:$2y$04$kqWdSTvhEr2Hu8l4fHRnWOia2bNzhKf4kx7azPi9JiZKFrmNunKnK\n',
  tokens: `dashboard:${createHash('sha256').update('right').digest('hex')}\n`,
  'who.cgi': `#!/bin/sh\necho; echo "[$REMOTE_ADDR] [$REMOTE_HOST] \${HTTPS:-off}"\n`,
};
const CONFIG = `
[[listen]]
address = "unix:uws.sock"
[[listen]]
address = "unix:node.sock"
engine = "node"
[static."/"]
root = "www"
[static."/locked/"]
root = "www/locked"
auth = { basic = "people", tokens = "tokens" }
[cgi."/who"]
command = ["./who.cgi"]
[connections]
requests_per_second = 1
request_burst = 5
failed_logins = 3
`;
const ENGINES = ['uws', 'node'] as const;

interface Options {
  readonly headers?: { readonly [name: string]: string };
}

async function start(t: TestContext, more = ''): Promise<Running> {
  return await startGateway(t, { config: CONFIG + more, files: FILES });
}

async function ask({ folder }: Running, engine: string, path: string, { headers = {} }: Options = {}) {
  const outgoing = request({ socketPath: join(folder, `${engine}.sock`), path, headers, agent: false });
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, body };
}

const from = (client: string, more: { readonly [name: string]: string } = {}): Options => ({
  headers: { 'X-Forwarded-For': client, ...more },
});
const basic = (name: string, password: string) => ({
  Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});

async function statuses(count: number, one: () => Promise<{ status: number }>): Promise<readonly number[]> {
  const all: number[] = [];
  for (let done = 0; done < count; done++) all.push((await one()).status);
  return all;
}

test('whoever may open the socket says who the client is', async (t) => {
  const gateway = await start(t);
  for (const engine of ENGINES)
    await t.test(engine, async () => {
      const client = engine === 'uws' ? '203.0.113' : '198.51.100';
      const seen = await ask(gateway, engine, '/who', from(`1.2.3.4, ${client}.1`, { 'X-Forwarded-Proto': 'https' }));
      assert.equal(seen.body, `[${client}.1] [${client}.1] on\n`);
      await gateway.logged((line) => line.message === 'GET /who' && line['client'] === `${client}.1`);

      const busy = await statuses(10, () => ask(gateway, engine, '/a.txt', from(`${client}.2`)));
      assert(busy.includes(429), String(busy));
      assert.equal((await ask(gateway, engine, '/a.txt', from(`${client}.3`))).status, 200, 'another client');

      const guesses = await statuses(4, () =>
        ask(gateway, engine, '/locked/a.txt', from(`${client}.4`, basic('ann', 'wrong'))),
      );
      assert.deepEqual(guesses, [401, 401, 401, 429]);
      const ann = await ask(gateway, engine, '/locked/a.txt', from(`${client}.5`, basic('ann', 'secret')));
      assert.equal(ann.status, 200, 'ann from elsewhere');
    });
});

test('a client that nobody names', async (t) => {
  const gateway = await start(t);
  for (const engine of ENGINES)
    await t.test(`${engine}: is of this machine: no limit of its own, and no address for programs`, async () => {
      assert.deepEqual([...new Set(await statuses(20, () => ask(gateway, engine, '/a.txt')))], [200]);
      assert.equal((await ask(gateway, engine, '/who')).body, '[] [] off\n');
      await gateway.logged((line) => line.message === 'GET /who' && line['client'] === 'unix');
    });
  // One count for both engines: it is the same identity.
  await t.test('who guesses passwords locks out nobody but that user', async () => {
    const wrong = await statuses(4, () => ask(gateway, 'uws', '/locked/a.txt', { headers: basic('ann', 'wrong') }));
    assert.deepEqual(wrong, [401, 401, 401, 429]);
    const nobody = await statuses(4, () => ask(gateway, 'uws', '/locked/a.txt', { headers: basic('carl', 'wrong') }));
    assert.deepEqual(nobody, wrong, 'a name that nobody has counts as one that somebody has');
    const tokens = await statuses(4, () =>
      ask(gateway, 'node', '/locked/a.txt', { headers: { Authorization: 'Bearer wrong' } }),
    );
    assert.deepEqual(tokens, wrong);
    assert.equal((await ask(gateway, 'node', '/locked/a.txt', { headers: basic('ann', 'secret') })).status, 429);
    assert.equal((await ask(gateway, 'node', '/locked/a.txt', { headers: basic('bob', 'secret') })).status, 200);
    const right = await ask(gateway, 'node', '/locked/a.txt', { headers: { Authorization: 'Bearer right' } });
    assert.equal(right.status, 200);
  });
});

test('without trust, and with limits, it is one client', async (t) => {
  const gateway = await start(t, 'trusted_proxies = []\nexempt = []\n');
  for (const engine of ENGINES)
    await t.test(engine, async () => {
      const seen = await statuses(10, () => ask(gateway, engine, '/a.txt', from('203.0.113.9')));
      assert(seen.includes(429), String(seen));
    });
  assert(gateway.log.every((line) => line['client'] !== '203.0.113.9'));
});

test('a list of proxies that forgets the socket is doubted', async (t) => {
  const gateway = await start(t, 'trusted_proxies = ["127.0.0.1"]\n');
  assert.match(gateway.noise(), /warning: .*listen\[0\]\.address: .*trusted_proxies does not list "unix"/);
  assert.equal((await ask(gateway, 'uws', '/who', from('203.0.113.9'))).body, '[] [] off\n');
});
