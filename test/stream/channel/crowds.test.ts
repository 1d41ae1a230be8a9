/** Very many viewers of one shared program: who come and leave together, who stay while it dies, who come and go all the time. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { idle } from '../../bench/viewers.ts';
import { ask, TestSocket } from '../../support/client.ts';
import { compiledViewers } from '../../support/compiled.ts';
import { EventClient } from '../../support/event-stream.ts';
import { type Running, startGateway } from '../../support/gateway.ts';
import { inTurns, tooFewFiles } from '../../support/many.ts';
import { descriptorsOf, programsOf, until } from '../../support/processes.ts';
import { RawClient } from '../../support/raw.ts';
import { post, StreamClient, WAYS } from '../../support/stream-client.ts';

/** Says what it is told, counts its lives, and dies when it is told to. */
const LIVES = `#!/bin/sh
echo life >>lives
echo "life $(wc -l <lives)"
while read -r line; do
  [ "$line" = die ] && exit 3
  echo "$line"
done
`;

const CONFIG = (engine: string): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[admin]
listen = "127.0.0.1:0"
[log]
requests = false
[connections]
max = 10000
[stream."/lives"]
command = ["./lives.sh"]
share = "all"
history = 100
restart_delay = "10ms"
[stream."/brief"]
command = ["./lives.sh"]
share = "all"
idle_stop = "0ms"
interrupt_after = "50ms"
`;

/** Of the stream /lives. */
async function viewersOf(running: Running): Promise<number> {
  const { body } = await ask(running.ports.at(-1) ?? 0, '/metrics');
  return Number(/^runnel_stream_clients\{route="\/lives"\} (\d+)$/m.exec(body)?.[1]);
}

const livesOf = ({ folder }: Running): number => readFileSync(join(folder, 'lives'), 'latin1').split('\n').length - 1;

for (const engine of ['uws', 'node'] as const)
  describe(`crowds over ${engine}`, { concurrency: false }, () => {
    const start = (t: TestContext): Promise<Running> =>
      startGateway(t, { config: CONFIG(engine), files: { 'lives.sh': LIVES } });

    test('500 viewers stay while their program dies, are told, and go on', async (t) => {
      if (tooFewFiles(t, 2000)) return;
      const running = await start(t);
      const { port } = running;
      const to = { port, path: '/lives' };
      const viewers = await inTurns(500, 50, async (at) => {
        const viewer = new StreamClient(WAYS[at % WAYS.length] ?? 'websocket', to).start();
        t.after(() => viewer.stop());
        await viewer.until(() => viewer.messages.length === 1, 'the first life');
        return viewer;
      });
      await post(to, '', 'die');
      const [first] = viewers;
      await first?.until(() => first.messages.length === 2, 'the second life');
      await post(to, '', 'and on');
      for (const viewer of viewers) {
        await viewer.until(() => viewer.messages.length === 3, 'what is said after that');
        assert.deepEqual(
          viewer.messages.map(({ data }) => data),
          ['life 1', 'life 2', 'and on'],
        );
        assert.deepEqual(
          viewer.messages.map(({ id }) => id.split('-')[1]),
          ['1', '2', '3'],
        );
        assert.equal(viewer.ended, undefined);
        if (viewer.way === 'poll') continue;
        const notices = viewer.events.filter(({ kind }) => kind === 'notice').map(({ data }) => data);
        assert.deepEqual(notices, ['the program has ended (exit 3) and is restarted', 'the program runs again']);
      }
      for (const viewer of viewers) viewer.stop();
      assert.equal(await running.stop(), 0);
    });

    test('5,000 viewers come together and leave together, and who stays has every line', async (t) => {
      const site = compiledViewers(t);
      if (site === undefined || tooFewFiles(t, 8000)) return;
      const running = await start(t);
      const { port, pid } = running;
      const stays = await TestSocket.open(`ws://127.0.0.1:${port}/lives`);
      const said = ['life 1'];
      const say = async (text: string): Promise<void> => {
        stays.ws.send(text);
        said.push(text);
        assert.deepEqual(await stays.first(said.length), said);
      };
      await say('alone');
      const before = descriptorsOf(pid).length;
      // From several processes at once, each as fast as it can.
      const crowds = await Promise.all(
        Array.from({ length: 5 }, () => idle(site, { port, path: '/lives', viewers: 1000 })),
      );
      assert.deepEqual(
        crowds.map(({ failures }) => failures),
        [0, 0, 0, 0, 0],
      );
      t.diagnostic(`came within ${Math.max(...crowds.map(({ seconds }) => seconds))} s`);
      assert.equal(await viewersOf(running), 5001);
      await say('in a crowd');
      await Promise.all(crowds.map((crowd) => crowd.leave()));
      await say('while they leave');
      await until('they have left', async () => (await viewersOf(running)) === 1);
      await until('no descriptor is left', () => descriptorsOf(pid).length <= before + 2);
      await say('alone again');
      assert.equal(livesOf(running), 1);
      stays.ws.terminate();
      assert.equal(await running.stop(), 0);
    });

    test('viewers that come and go all the time', async (t) => {
      const running = await start(t);
      const { port, pid } = running;
      const url = `ws://127.0.0.1:${port}/lives`;
      const stays = await TestSocket.open(url);
      const before = descriptorsOf(pid).length;
      const upgrade = `GET /lives HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
      await inTurns(1000, 8, async (at) => {
        if (at % 4 === 0) (await EventClient.open(port, '/lives')).close();
        else if (at % 4 === 1) {
          // Gone before the answer.
          const raw = await RawClient.connect(port);
          raw.send(upgrade);
          raw.destroy();
        } else {
          const { ws } = await TestSocket.open(url);
          if (at % 4 === 2) ws.terminate();
          else {
            ws.close();
            await once(ws, 'close');
          }
        }
      });
      await until('they have left', async () => (await viewersOf(running)) === 1);
      await until('no descriptor is left', () => descriptorsOf(pid).length <= before + 2);
      stays.ws.send('still here');
      assert.deepEqual((await stays.first(2)).slice(1), ['still here']);
      assert.equal(livesOf(running), 1);

      // A program that goes with its last viewer.
      const programs = (): number => programsOf(pid).filter(({ command }) => command.includes('lives.sh')).length;
      for (let at = 0; at < 50; at++) (await TestSocket.open(`ws://127.0.0.1:${port}/brief`)).ws.terminate();
      await until('they have ended', () => programs() === 1);
      stays.ws.terminate();
      assert.equal(await running.stop(), 0);
    });
  });
