/** Polled streams: one run for all viewers, however many there are, on both engines. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { TestSocket } from '../../../support/client.ts';
import { EventClient } from '../../../support/event-stream.ts';
import { type Running, startGateway } from '../../../support/gateway.ts';
import { inTurns, tooFewFiles } from '../../../support/many.ts';
import { programsOf, until } from '../../../support/processes.ts';

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

const VIEWERS = [1, 100, 1000] as const;
const INTERVAL = 100;
/** How many are on their way at one time. */
const AT_ONCE = 50;

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
interval = "${INTERVAL}ms"
cursor = { json = "/next", query = "since" }
[stream."/quick/${count}"]
poll = "/cgi-bin/quick.cgi/${count}"
interval = "${INTERVAL}ms"
history = 0
`,
).join('')}
`;

interface Viewer {
  /** What it has so far. */
  messages(): readonly string[];
  first(count: number): Promise<readonly string[]>;
  leave(): void;
}

/** One half by WebSocket, the other by event stream. */
function watch(running: Running, path: string, count: number): Promise<readonly Viewer[]> {
  return inTurns(count, AT_ONCE, async (at) => {
    if (at % 2 === 1) {
      const events = await EventClient.open(running.port, path);
      return { messages: () => events.all(), first: (wanted) => events.first(wanted), leave: () => events.close() };
    }
    const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}${path}`);
    return {
      messages: () => socket.messages,
      first: (wanted) => socket.first(wanted),
      leave: () => socket.ws.terminate(),
    };
  });
}

/** How often a program has run, by its own count. */
function runsIn(path: string, count: (text: string) => number): number {
  return existsSync(path) ? count(readFileSync(path, 'latin1')) : 0;
}

for (const engine of ['uws', 'node'] as const)
  describe(`one run for all viewers, over ${engine}`, { concurrency: false }, () => {
    const start = (t: TestContext): Promise<Running> =>
      startGateway(t, { config: CONFIG(engine), files: { 'cgi/wait.cgi': WAIT, 'cgi/quick.cgi': QUICK } });

    test('a program that waits for news runs once for each piece of news', async (t) => {
      if (tooFewFiles(t, 3000)) return;
      const running = await start(t);
      const folder = join(running.folder, 'cgi');
      const events = 4;
      const runs = (count: number): number =>
        runsIn(join(folder, `runs-${count}`), (text) => text.split('\n').length - 1);
      for (const count of VIEWERS) {
        const viewers = await watch(running, `/wait/${count}`, count);
        for (let event = 1; event <= events; event++) {
          writeFileSync(join(folder, 'next'), `${event}\n`);
          renameSync(join(folder, 'next'), join(folder, `number-${count}`));
          await Promise.all(viewers.map((viewer) => viewer.first(event)));
        }
        const expected = Array.from({ length: events }, (_, at) => `{"next":${at + 1},"event":"e${at + 1}"}`);
        for (const viewer of viewers) assert.deepEqual(viewer.messages(), expected);
        // And one that waits for the next.
        await until('it waits', () => runs(count) > events);
        assert.equal(runs(count), events + 1, `${count} viewers`);
        for (const viewer of viewers) viewer.leave();
      }
      assert.deepEqual(
        VIEWERS.map((count) => runs(count)),
        VIEWERS.map(() => events + 1),
      );
      assert.equal(await running.stop(), 0);
    });

    test('a program that answers at once runs once for all', async (t) => {
      if (tooFewFiles(t, 3000)) return;
      const running = await start(t);
      for (const count of VIEWERS) {
        const runs = (): number => runsIn(join(running.folder, 'cgi', `count-${count}`), Number);
        const since = performance.now();
        const viewers = await watch(running, `/quick/${count}`, count);
        await Promise.all(viewers.map((viewer) => viewer.first(8)));
        // A tenth less by chance.
        const asked = runs();
        const most = (performance.now() - since) / (0.9 * INTERVAL) + 1;
        assert.ok(asked <= most, `${asked} runs where ${most} are due, ${count} viewers`);
        for (const viewer of viewers) {
          const numbers = viewer.messages().map(Number);
          // Each run prints its number, so what reached this one reached it exactly once and in order, and no run was for somebody else.
          assert.deepEqual(
            numbers,
            numbers.map((_, at) => (numbers[0] ?? 0) + at),
          );
        }
        for (const viewer of viewers) viewer.leave();
      }
      assert.equal(await running.stop(), 0);
    });

    test('the last viewer that leaves ends the run that waits', async (t) => {
      const config = `${CONFIG(engine)}[stream."/short"]\npoll = "/cgi-bin/wait.cgi/short"\nidle_stop = "0ms"\n`;
      const running = await startGateway(t, { config, files: { 'cgi/wait.cgi': WAIT, 'cgi/quick.cgi': QUICK } });
      const runs = (): number => programsOf(running.pid).filter(({ command }) => command.includes('wait.cgi')).length;
      const viewers = await watch(running, '/short', 3);
      await until('it waits', () => runs() === 1);
      for (const viewer of viewers) viewer.leave();
      await until('it is gone', () => runs() === 0);
      const again = await TestSocket.open(`ws://127.0.0.1:${running.port}/short`);
      await until('it waits again', () => runs() === 1);
      assert.equal(await running.stop(), 0);
      assert.equal((await again.closed).code, 1001);
    });
  });
