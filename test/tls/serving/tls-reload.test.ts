/** 200 certificates one after the other while clients are at work: nothing fails, nothing is dropped, nothing grows. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { Authority } from '../../support/certificates.ts';
import { TestSocket } from '../../support/client.ts';
import { startGateway } from '../../support/gateway.ts';
import { shownTo } from '../../support/https.ts';
import { memoryOf, until } from '../../support/processes.ts';

const RELOADS = 200;
const PAGE = 'x'.repeat(20_000);

async function get(port: number, path: string, agent: Agent | false): Promise<string> {
  const outgoing = request({ host: '127.0.0.1', port, path, agent, rejectUnauthorized: false });
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return body;
}

for (const [engine, different] of [
  ['auto', 2],
  // More than uWebSockets.js is given: the connections for the later ones are Node's.
  ['auto', RELOADS],
  ['node', 2],
] as const)
  test(`${engine}: ${RELOADS} reloads of ${different} certificates under load`, { timeout: 240_000 }, async (t) => {
    const authority = new Authority();
    const pairs = Array.from({ length: different }, (_, at) => authority.server([`${at}.test`]));
    const [first] = pairs;
    assert(first !== undefined);
    const running = await startGateway(t, {
      // A small heap, so that what V8 keeps for later does not look like a leak.
      env: { NODE_OPTIONS: '--max-semi-space-size=1 --max-old-space-size=40' },
      config: `
stop_timeout = "1s"
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
tls = { certificate = "board.pem", key = "board.key" }
[static."/"]
root = "www"
[cgi."/long"]
command = ["./long.cgi"]
total_timeout = "5m"
[stream."/cat"]
command = ["cat"]
[log]
requests = false
`,
      files: {
        'www/index.html': PAGE,
        // Says something every 50 ms until the test has what it wanted.
        'long.cgi':
          '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\nwhile [ ! -e done ]; do echo tick; sleep 0.05; done\necho end\n',
        'board.pem': first.certificate,
        'board.key': first.pem,
      },
    });
    const { port } = running;
    const kept = new Agent({ keepAlive: true, maxSockets: 2 });
    let over = false;
    let answered = 0;
    const failures: unknown[] = [];
    const load = async (agent: Agent | false): Promise<void> => {
      while (!over) {
        try {
          assert.equal((await get(port, '/', agent)).length, PAGE.length);
          answered++;
        } catch (error) {
          failures.push(error);
        }
      }
    };
    const program = get(port, '/long', false);
    const socket = await TestSocket.open(`wss://127.0.0.1:${port}/cat`, { rejectUnauthorized: false });
    const loads = [load(kept), load(kept), load(false), load(false)];

    const put = (name: string, content: string) => {
      writeFileSync(join(running.folder, 'next'), content);
      renameSync(join(running.folder, 'next'), join(running.folder, name));
    };
    // Its last line: the configuration, too, reads the files.
    const reloads = () => running.log.filter(({ message }) => message === 'the configuration is reloaded').length;
    let early = 0;
    for (let at = 1; at <= RELOADS; at++) {
      const next = pairs[at % different];
      assert(next !== undefined);
      put('board.key', next.pem);
      put('board.pem', next.certificate);
      const before = reloads();
      running.process.kill('SIGHUP');
      await until(`reload ${at}`, () => reloads() > before);
      socket.ws.send(`message ${at}`);
      if (at === RELOADS / 2) early = memoryOf(running.pid, 'RssAnon');
    }
    const late = memoryOf(running.pid, 'RssAnon');
    assert.equal(await shownTo(port, undefined), `${RELOADS % different}.test`);
    over = true;
    await Promise.all(loads);
    kept.destroy();
    assert.deepEqual(failures, []);
    assert(answered > RELOADS / 4, `${answered} requests`);
    assert.deepEqual(
      await socket.first(RELOADS),
      Array.from({ length: RELOADS }, (_, at) => `message ${at + 1}`),
    );
    socket.ws.close();
    assert.equal((await socket.closed).code, 1005);
    writeFileSync(join(running.folder, 'done'), '');
    assert.match(await program, /^(tick\n)+end\n$/);
    t.diagnostic(`${answered} requests; ${early} KiB after ${RELOADS / 2} reloads, ${late} KiB after ${RELOADS}`);
    // Measured: 3 MB, and nothing any more from the 300th on.
    assert(late - early < 9_000, `grew from ${early} to ${late} KiB`);
    assert.deepEqual(
      running.log.filter(({ level }) => level === 'error'),
      [],
    );
    assert.equal(await running.stop(), 0);
  });
