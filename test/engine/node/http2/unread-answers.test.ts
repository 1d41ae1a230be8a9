/** HTTP/2 clients that do not read what they have asked for, through the whole gateway: they are cut in the configured time, and nothing of them stays. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { Authority } from '../../../support/certificates.ts';
import { ask } from '../../../support/client.ts';
import { type Running, startGateway } from '../../../support/gateway.ts';
import {
  ask2,
  FrameClient,
  frame,
  get,
  HEADERS,
  number32,
  openSession,
  PREFACE,
  RST_STREAM,
  request,
  SETTINGS,
  WINDOW_UPDATE,
} from '../../../support/http2.ts';
import { memoryOf, programsOf, until } from '../../../support/processes.ts';

const MB = 1 << 20;
const REQUESTS = 20;
const CLIENTS = 5;
const LARGEST = 2 ** 31 - 1;
/** SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 section 6.5.2): as much of each answer as there is. */
const WIDE = Buffer.concat([
  PREFACE,
  frame(SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, 4]), number32(LARGEST)])),
  frame(WINDOW_UPDATE, 0, 0, number32(LARGEST - 65_535)),
]);

async function start(t: TestContext): Promise<Running> {
  const { certificate, pem } = new Authority().server(['board.test']);
  return await startGateway(t, {
    // A small heap, so that what V8 keeps for later does not look like something that was not given back.
    env: { NODE_OPTIONS: '--max-semi-space-size=1 --max-old-space-size=60' },
    config: `
[[listen]]
address = "127.0.0.1:0"
tls = { certificate = "board.pem", key = "board.key" }
http2 = true
[static."/"]
root = "www"
[cgi."/endless"]
command = ["sh", "-c", "printf 'Content-Type: text/plain\\n\\n'; exec yes"]
max_processes = 200
[admin]
listen = "127.0.0.1:0"
[connections]
exempt = []
keep_alive = "1s"
requests_per_second = 100000
request_burst = 100000
[defaults.limits]
reply_rate = "64KiB"
rate_window = "1s"
[log]
requests = false
`,
    files: {
      'www/large.bin': Buffer.alloc(8 * MB, 'x'),
      'www/a.txt': 'a page',
      'board.pem': certificate,
      'board.key': pem,
    },
  });
}

async function metric(running: Running, name: string, label: string): Promise<number> {
  const { body } = await ask(running.ports.at(-1) ?? 0, '/metrics');
  return body
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

const dropped = (running: Running) => metric(running, 'runnel_dropped_total', 'reason="slow_reply"');
/** Those of the listener that is not the operator's. */
const open = (running: Running) => metric(running, 'runnel_connections', 'listener="127.0.0.1:0"');

/** Asks, and takes nothing of the answers: neither frames, nor windows that would let more of them come. */
async function askWithoutReading(
  port: number,
  path: string,
  how: 'shut windows' | 'a full socket',
): Promise<FrameClient> {
  const client = await FrameClient.connect(port, how === 'shut windows' ? PREFACE : WIDE);
  client.write(...Array.from({ length: REQUESTS }, (_, at) => request(2 * at + 1, get(path))));
  if (how === 'a full socket') client.socket.pause();
  return client;
}

describe('HTTP/2: answers that nobody reads', () => {
  for (const how of ['shut windows', 'a full socket'] as const)
    for (const path of ['/large.bin', '/endless'])
      test(`${path}, ${how}: each is cut, and the connection ends, while another client is served`, async (t) => {
        const running = await start(t);
        const clients: FrameClient[] = [];
        for (let at = 0; at < CLIENTS; at++) clients.push(await askWithoutReading(running.port, path, how));
        const other = await openSession(running.port);
        await until('every answer to be cut', async () => {
          assert.equal((await ask2(other, { ':path': '/a.txt' })).body.toString(), 'a page');
          return (await dropped(running)) >= CLIENTS * REQUESTS;
        });
        if (how === 'shut windows') for (const client of clients) await client.next(RST_STREAM);
        await until('the end of the programs', () => programsOf(running.pid).every(({ command }) => command !== 'yes'));
        other.close();
        // Idle by now: they end as any other connection, whether or not they read the goodbye.
        await until('the end of the connections', async () => (await open(running)) === 0);
        for (const client of clients) client.socket.destroy();
        assert.equal(await dropped(running), CLIENTS * REQUESTS);
        assert.deepEqual(
          running.log.filter(({ level }) => level === 'error'),
          [],
        );
        assert.equal(await running.stop(), 0);
      });

  test('one that is read meanwhile comes whole, beside others that are not', async (t) => {
    const running = await start(t);
    const session = await openSession(running.port);
    const unread = Array.from({ length: REQUESTS }, () =>
      session.request({ ':path': '/large.bin', ':authority': 'board.test' }).on('error', () => undefined),
    );
    for (const stream of unread) stream.pause();
    const page = await ask2(session, { ':path': '/a.txt' });
    assert.equal(page.body.toString(), 'a page');
    await until('the others to be cut', async () => (await dropped(running)) >= REQUESTS);
    const answer = await ask2(session, { ':path': '/large.bin' });
    assert.equal(answer.body.length, 8 * MB);
    session.destroy();
    await once(session, 'close').catch(() => undefined);
    assert.equal(await running.stop(), 0);
  });

  test('their memory is given back: as much is taken after many as after few', async (t) => {
    const running = await start(t);
    const rounds: number[] = [];
    for (let round = 0; round < 8; round++) {
      const before = await dropped(running);
      const clients: FrameClient[] = [];
      for (let at = 0; at < CLIENTS; at++) {
        const how = at % 2 === 0 ? 'shut windows' : 'a full socket';
        clients.push(await askWithoutReading(running.port, '/large.bin', how));
      }
      await until('every answer to be cut', async () => (await dropped(running)) >= before + CLIENTS * REQUESTS);
      // And some that leave by themselves, in the middle of all their answers.
      for (let at = 0; at < CLIENTS; at++) {
        const client = await askWithoutReading(running.port, '/large.bin', 'shut windows');
        for (let stream = 1; stream < 2 * REQUESTS; stream += 2) await client.next(HEADERS, stream);
        client.socket.destroy();
      }
      await until('the end of the connections', async () => (await open(running)) === 0);
      for (const client of clients) client.socket.destroy();
      rounds.push(memoryOf(running.pid, 'RssAnon'));
    }
    t.diagnostic(`KiB after each round: ${rounds.join(', ')}`);
    const [early, late] = [Math.max(...rounds.slice(2, 4)), Math.min(...rounds.slice(6))];
    // With all of what was not read kept for a minute it was 13 MB a round.
    assert(late - early < 10_000, `grew from ${early} to ${late} KiB`);
    assert.equal(await running.stop(), 0);
  });
});
