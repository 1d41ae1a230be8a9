/** Polled streams: one run for all viewers, however many there are, on both engines. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { TestSocket } from '../support/client.ts';
import { type Running, startGateway } from '../support/gateway.ts';
import { childrenOf, until } from '../support/processes.ts';

/** Waits until the number in a file is larger than the one it is told: a page that was written for long-polling. */
const WAIT = `#!/bin/sh
name=\${PATH_INFO#/}
since=\${QUERY_STRING#since=}
echo run >> "runs-$name"
n=0
[ -e "number-$name" ] && read -r n < "number-$name"
while [ "$n" -le "\${since:-0}" ]; do
  sleep 0.05
  [ -e "number-$name" ] && read -r n < "number-$name"
done
printf 'Content-Type: application/json\\r\\n\\r\\n{"next":%s,"event":"e%s"}' "$n" "$n"
`;

/** Answers at once, and counts how often it was asked. */
const QUICK = `#!/bin/sh
name=\${PATH_INFO#/}
n=0
[ -e "count-$name" ] && read -r n < "count-$name"
n=$((n + 1))
echo "$n" > "count-$name"
printf 'Content-Type: text/plain\\r\\n\\r\\n%s' "$n"
`;

const VIEWERS = [1, 20, 200] as const;

const CONFIG = (engine: string): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[log]
requests = false
[cgi."/cgi-bin/"]
root = "cgi"
${VIEWERS.map(
  (count) => `
[stream."/wait/${count}"]
poll = "/cgi-bin/wait.cgi/${count}"
interval = "100ms"
cursor = { json = "/next", query = "since" }
[stream."/quick/${count}"]
poll = "/cgi-bin/quick.cgi/${count}"
interval = "100ms"
history = 0
`,
).join('')}
`;

async function watch(running: Running, path: string, count: number): Promise<readonly TestSocket[]> {
  return await Promise.all(
    Array.from({ length: count }, () => TestSocket.open(`ws://127.0.0.1:${running.port}${path}`)),
  );
}

for (const engine of ['uws', 'node'] as const)
  describe(`one run for all viewers, over ${engine}`, { concurrency: false }, () => {
    const start = (t: TestContext): Promise<Running> =>
      startGateway(t, { config: CONFIG(engine), files: { 'cgi/wait.cgi': WAIT, 'cgi/quick.cgi': QUICK } });

    test('a program that waits for news runs once for each piece of news', async (t) => {
      const running = await start(t);
      const folder = join(running.folder, 'cgi');
      for (const count of VIEWERS) {
        const sockets = await watch(running, `/wait/${count}`, count);
        const events = 4;
        for (let event = 1; event <= events; event++) {
          writeFileSync(join(folder, 'next'), `${event}\n`);
          renameSync(join(folder, 'next'), join(folder, `number-${count}`));
          await Promise.all(sockets.map((socket) => socket.first(event)));
        }
        const expected = Array.from({ length: events }, (_, at) => `{"next":${at + 1},"event":"e${at + 1}"}`);
        for (const socket of sockets) assert.deepEqual(socket.messages, expected);
        // The one that waits now is the last.
        const runs = readFileSync(join(folder, `runs-${count}`), 'latin1').split('\n').length - 1;
        assert.ok(runs >= events && runs <= events + 1, `${runs} runs for ${count} viewers`);
        for (const { ws } of sockets) ws.terminate();
      }
      assert.equal(await running.stop(), 0);
    });

    test('a program that answers at once runs once for all', async (t) => {
      const running = await start(t);
      for (const count of VIEWERS) {
        const sockets = await watch(running, `/quick/${count}`, count);
        await Promise.all(sockets.map((socket) => socket.first(8)));
        const runs = Number(readFileSync(join(running.folder, 'cgi', `count-${count}`), 'latin1'));
        const seen = sockets.map(({ messages }) => messages.map(Number));
        for (const numbers of seen) {
          // What each run printed reached everybody who was there, exactly once and in order.
          assert.deepEqual(
            numbers,
            numbers.map((_, at) => (numbers[0] ?? 0) + at),
          );
          assert.ok((numbers.at(-1) ?? 0) <= runs);
        }
        const last = Math.max(...seen.map((numbers) => numbers.at(-1) ?? 0));
        assert.ok(runs - last <= 1, `${runs} runs, ${last} messages, ${count} viewers`);
        for (const { ws } of sockets) ws.terminate();
      }
      assert.equal(await running.stop(), 0);
    });

    test('the last viewer that leaves ends the run that waits', async (t) => {
      const config = `${CONFIG(engine)}[stream."/short"]\npoll = "/cgi-bin/wait.cgi/short"\nidle_stop = "0ms"\n`;
      const running = await startGateway(t, { config, files: { 'cgi/wait.cgi': WAIT, 'cgi/quick.cgi': QUICK } });
      const runs = (): number => childrenOf(running.pid).filter(({ command }) => command.includes('wait.cgi')).length;
      const sockets = await watch(running, '/short', 3);
      await until('it waits', () => runs() === 1);
      for (const { ws } of sockets) ws.terminate();
      await until('it is gone', () => runs() === 0);
      const [again] = await watch(running, '/short', 1);
      await until('it waits again', () => runs() === 1);
      assert.equal(await running.stop(), 0);
      assert.equal((await again?.closed)?.code, 1001);
    });
  });
