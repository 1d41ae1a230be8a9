/** Shared programs that print too fast, stall in the middle of a line, or answer nonsense: what their viewers get. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { ask, TestSocket } from '../../support/client.ts';
import { EventClient } from '../../support/event-stream.ts';
import { type Running, startGateway } from '../../support/gateway.ts';
import { narrowSocket } from '../../support/narrow-socket.ts';
import { memoryOf, programsOf, until } from '../../support/processes.ts';
import { post } from '../../support/stream-client.ts';

const RULES = ['disconnect', 'drop', 'latest'] as const;
/** Of 1,000 bytes: 200 MB. */
const LINES = 200_000;

const FILES = {
  'flood.sh': `#!/bin/sh
read -r go
yes ${'x'.repeat(991)} | head -n ${LINES} | cat -n | sed 's/^ *//'
`,
  'stalls.sh': `#!/bin/sh
echo whole
printf 'hal'
while read -r line; do
  [ "$line" = die ] && exit 0
  printf '%s' "$line"
  [ "$line" = f ] && echo
done
`,
  'nonsense.py': `#!/usr/bin/python3
import json, sys
def say(what): print(what, flush=True)
left = None
for line in sys.stdin:
    told = json.loads(line)
    if told["event"] == "close": left = told["client"]
    if told["event"] != "message": continue
    if told["data"] == "to who has left": say(json.dumps({"to": left, "data": "are you there?"}))
    elif told["data"] == "nonsense":
        for text in ("no JSON", "{", "[]", "7", "null", "{}", '{"to":7,"data":"x"}', '{"to":"nobody"}', ""): say(text)
    say(json.dumps({"data": told["data"]}))
`,
};

const CONFIG = (engine: string): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[admin]
listen = "127.0.0.1:0"
${RULES.map(
  (rule) => `[stream."/${rule}"]
command = ["./flood.sh"]
share = "all"
restart = "never"
slow_client = "${rule}"
max_behind = "64KiB"
history = 10
replay = "none"
`,
).join('')}
[stream."/stalls"]
command = ["./stalls.sh"]
share = "all"
restart_delay = "10ms"
[stream."/nonsense"]
command = ["./nonsense.py"]
share = "all"
clients = "tagged"
`;

async function dropped(running: Running, route: string, reason: string): Promise<number> {
  const { body } = await ask(running.ports.at(-1) ?? 0, '/metrics');
  return Number(
    new RegExp(`^runnel_dropped_total\\{route="${route}",reason="${reason}"\\} (\\d+)$`, 'm').exec(body)?.[1],
  );
}

for (const engine of ['uws', 'node'] as const)
  describe(`bad programs over ${engine}`, { concurrency: false }, () => {
    const start = (t: TestContext): Promise<Running> => startGateway(t, { config: CONFIG(engine), files: FILES });

    for (const rule of RULES)
      test(`200 MB faster than anybody reads: the program is not held up, and memory bounded (${rule})`, async (t) => {
        const running = await start(t);
        const url = `ws://127.0.0.1:${running.port}/${rule}?after=`;
        const viewers = await Promise.all(
          [1, 2, 3].map(async () => {
            const socket = await TestSocket.open(url, { createConnection: () => narrowSocket(running.port) });
            await socket.first(1);
            return socket;
          }),
        );
        viewers[0]?.ws.send('go');
        for (const { ws } of viewers) ws.pause();
        const before = memoryOf(running.pid, 'RssAnon');
        let most = 0;
        await until('it has printed everything', async () => {
          most = Math.max(most, memoryOf(running.pid, 'RssAnon') - before);
          return rule === 'disconnect'
            ? (await dropped(running, '/disconnect', 'client_too_slow')) === viewers.length
            : programsOf(running.pid).every(({ command }) => !command.includes('flood.sh'));
        });
        t.diagnostic(`${most} KiB more`);
        assert.ok(most < 100_000, `${most} KiB more`);
        for (const socket of viewers) {
          socket.ws.resume();
          const { code, reason } = await socket.closed;
          const numbers: number[] = [];
          let missed = 0;
          for (const text of socket.messages) {
            const [, word, value, data = ''] = /^(id|event):([^\n]*)\n(.*)$/s.exec(text) ?? [];
            if (word === 'id') numbers.push(Number.parseInt(data, 10));
            else if (value === 'missed') missed += Number(data);
          }
          if (rule === 'disconnect') {
            assert.deepEqual([code, reason], [1013, 'you read more slowly than the stream sends']);
            continue;
          }
          assert.deepEqual([code, reason], [1000, 'exit 0']);
          assert.equal(numbers.length + missed, LINES);
          if (rule === 'latest') assert.equal(numbers.at(-1), LINES);
        }
        assert.equal(await running.stop(), 0);
      });

    test('half a line that stalls is no message until its end comes', async (t) => {
      const running = await start(t);
      const to = { port: running.port, path: '/stalls' };
      const viewer = await EventClient.open(running.port, '/stalls');
      const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/stalls`);
      await viewer.first(1);
      await post(to, '', 'f');
      assert.deepEqual(await viewer.first(2), ['whole', 'half']);
      // What has begun when it dies is the last of its life, and not the beginning of the next one's first line.
      await post(to, '', 'again');
      await post(to, '', 'die');
      assert.deepEqual(await viewer.first(4), ['whole', 'half', 'again', 'whole']);
      await post(to, '', 'f');
      assert.deepEqual(await viewer.first(5), ['whole', 'half', 'again', 'whole', 'half']);
      // It may have come before the first line.
      await until('all of it', () => socket.messages.length >= 4 && socket.messages.at(-1) === 'half');
      assert.deepEqual(socket.messages.slice(-4), ['half', 'again', 'whole', 'half']);
      viewer.close();
      socket.ws.terminate();
      assert.equal(await running.stop(), 0);
    });

    test('answers to who has left, and lines that are none', async (t) => {
      const running = await start(t);
      const to = { port: running.port, path: '/nonsense' };
      const [stays, leaves] = [await EventClient.open(to.port, to.path), await EventClient.open(to.port, to.path)];
      leaves.close();
      // It is told so before anything that is said later.
      await until('the other has left', async () => {
        const { body } = await ask(running.ports.at(-1) ?? 0, '/metrics');
        return body.includes('runnel_stream_clients{route="/nonsense"} 1\n');
      });
      await post(to, '', 'to who has left');
      await post(to, '', 'nonsense');
      await post(to, '', 'still here');
      assert.deepEqual(await stays.first(3), ['to who has left', 'nonsense', 'still here']);
      assert.equal(stays.all().length, 3);
      assert.equal(await dropped(running, '/nonsense', 'client_gone'), 1);
      assert.equal(await dropped(running, '/nonsense', 'not_tagged'), 9);
      const line = await running.logged(({ message }) => /is not \{"to"/.test(message));
      assert.equal(line['line'], 'no JSON');
      stays.close();
      assert.equal(await running.stop(), 0);
    });
  });
