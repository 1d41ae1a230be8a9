/** A shared stream with 1,000 viewers, of whom 50 do not read: the others have every line, and those 50 what the route's rule says. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { ask, TestSocket } from '../../support/client.ts';
import { type Running, startGateway } from '../../support/gateway.ts';
import { inTurns, tooFewFiles } from '../../support/many.ts';
import { narrowSocket } from '../../support/narrow-socket.ts';
import { memoryOf, until } from '../../support/processes.ts';
import { StreamClient } from '../../support/stream-client.ts';

const READERS = 950;
const SLOW = 50;
const LINES = 150;
const LINE = 4000;
const BEHIND_KIB = 64;
const RULES = ['disconnect', 'drop', 'latest'] as const;

/** Lines at a time: less than a viewer may be behind, so that one that reads misses nothing, however busy the machine is. */
const STEP = 10;

/** Prints the next lines when it is told to. */
const FLOOD = `#!/usr/bin/python3
import sys
at = 0
for told in sys.stdin:
    if told != "go\\n":
        print(told, end="", flush=True)
        continue
    for _ in range(${STEP}):
        at += 1
        print(at, "x" * ${LINE}, flush=True)
`;

const CONFIG = (engine: string): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[admin]
listen = "127.0.0.1:0"
[log]
requests = false
${RULES.map(
  (rule) => `
[stream."/${rule}"]
command = ["./flood.py"]
share = "all"
history = { messages = 1000, bytes = "4MiB" }
replay = "none"
slow_client = "${rule}"
max_behind = "${BEHIND_KIB}KiB"
# A machine may be so busy that those who do not read are not asked to for a while.
drain_timeout = "1h"
`,
).join('')}`;

const number = (line: string): number => Number(/^(\d+) x/.exec(line)?.[1] ?? Number.NaN);
const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, at) => at + 1);

interface Slow {
  /** What came as messages of the stream, and how many it was told that it missed. */
  readonly numbers: readonly number[];
  readonly missed: number;
}

/** Of a WebSocket with `?after=`. */
function heard(socket: TestSocket): Slow {
  let missed = 0;
  const numbers: number[] = [];
  for (const text of socket.messages) {
    const [, word = '', value = '', data = ''] = /^(id|event):([^\n]*)\n(.*)$/s.exec(text) ?? [];
    if (word === 'id') numbers.push(number(data));
    else if (value === 'missed') missed += Number(data);
  }
  return { numbers, missed };
}

async function dropped(running: Running, rule: string): Promise<number> {
  const { body } = await ask(running.ports.at(-1) ?? 0, '/metrics');
  return Number(
    new RegExp(`^runnel_dropped_total\\{route="/${rule}",reason="client_too_slow"\\} (\\d+)$`, 'm').exec(body)?.[1] ??
      0,
  );
}

for (const engine of ['uws', 'node'] as const)
  describe(`viewers that do not read, over ${engine}`, { concurrency: false }, () => {
    const crowd = async (t: TestContext, rule: string): Promise<{ running: Running; slow: readonly TestSocket[] }> => {
      const running = await startGateway(t, { config: CONFIG(engine), files: { 'flood.py': FLOOD } });
      const url = `ws://127.0.0.1:${running.port}/${rule}`;
      const readers = await inTurns(READERS, 50, () => TestSocket.open(url));
      const slow = await inTurns(SLOW, 10, async () => {
        const socket = await TestSocket.open(`${url}?after=`, { createConnection: () => narrowSocket(running.port) });
        await socket.first(1); // That it has joined.
        socket.ws.pause();
        return socket;
      });
      const before = memoryOf(running.pid, 'RssAnon');
      for (let at = 0; at < LINES; at += STEP) {
        readers[0]?.ws.send('go');
        for (const reader of readers) {
          const lines = await reader.first(STEP);
          assert.deepEqual(
            lines.map(number),
            upTo(STEP).map((each) => at + each),
          );
          // This process has 1,000 of them.
          reader.messages.length = 0;
        }
      }
      const grown = memoryOf(running.pid, 'RssAnon') - before;
      // What those who read had not taken at one moment is in it, too.
      const most = (READERS + SLOW) * BEHIND_KIB + (64 << 10);
      t.diagnostic(`${grown} KiB more`);
      assert.ok(grown < most, `${grown} KiB more`);
      for (const reader of readers) reader.ws.terminate();
      return { running, slow };
    };

    test('disconnect: they are closed with 1013, and may come back for the rest', async (t) => {
      if (tooFewFiles(t, 3000)) return;
      const { running, slow } = await crowd(t, 'disconnect');
      assert.equal(await dropped(running, 'disconnect'), SLOW);
      for (const socket of slow) {
        socket.ws.resume();
        assert.deepEqual(await socket.closed, { code: 1013, reason: 'you read more slowly than the stream sends' });
        const { numbers, missed } = heard(socket);
        assert.equal(missed, 0);
        assert.deepEqual(numbers, upTo(numbers.length));
        assert.ok(numbers.length < LINES);
      }
      const [first] = slow;
      const last = /^id:([^\n]*)\n/.exec(first?.messages.findLast((text) => text.startsWith('id:')) ?? '')?.[1];
      const back = new StreamClient('websocket', { port: running.port, path: '/disconnect' }, last).start();
      t.after(() => back.stop());
      const had = first === undefined ? 0 : heard(first).numbers.length;
      await back.until(() => back.messages.length >= LINES - had, 'the rest');
      assert.deepEqual(
        back.messages.map(({ data }) => number(data)),
        upTo(LINES).slice(had),
      );
    });

    for (const rule of ['drop', 'latest'] as const)
      test(`${rule}: they miss some, and are told how many`, async (t) => {
        if (tooFewFiles(t, 3000)) return;
        const { running, slow } = await crowd(t, rule);
        let allMissed = 0;
        for (const socket of slow) {
          socket.ws.resume();
          const complete = (): boolean => {
            const { numbers, missed } = heard(socket);
            return numbers.length + missed === LINES && missed > 0;
          };
          await until('each line has come or is missed', complete);
          const { numbers, missed } = heard(socket);
          allMissed += missed;
          // The system's buffers may have taken everything once in between, and then it went on from there: in order, each once.
          assert.ok(numbers.every((each, at) => at === 0 || each > (numbers[at - 1] ?? 0)));
          if (rule === 'latest') assert.equal(numbers.at(-1), LINES);
        }
        // The newest is counted when it is put aside, and then sent after all: each time that one has caught up.
        const counted = await dropped(running, rule);
        if (rule === 'latest') assert.ok(counted >= allMissed + SLOW, `${counted}, ${allMissed}`);
        else assert.equal(counted, allMissed);
        const [first] = slow;
        first?.ws.send('1 x and on it goes');
        await until('it goes on', () => first !== undefined && heard(first).numbers.at(-1) === 1);
        for (const socket of slow) socket.ws.terminate();
      });
  });
