import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TestSocket } from '../../support/client.ts';
import { startGateway } from '../../support/gateway.ts';
import { until } from '../../support/until.ts';

const MESSAGES = 100;
const SIZE = 60_000;

/** Reads nothing until it is told to, by a file; then it counts what comes. */
const LATE = '#!/bin/sh\nwhile [ ! -e go ]; do sleep 0.05; done\nhead -n 100 | wc -c\n';

test('a client that is held back cannot show that it lives: it is not taken for dead, and loses nothing', async (t) => {
  const running = await startGateway(t, {
    config: `
[[listen]]
address = "127.0.0.1:0"
engine = "node"
[stream."/late"]
command = ["./late.sh"]
max_queue = "64KiB"
ping_interval = "1s"
`,
    files: { 'late.sh': LATE },
  });
  const client = await TestSocket.open(`ws://127.0.0.1:${running.port}/late`);
  let pings = 0;
  let pingsBehind = 0;
  client.ws.on('ping', () => {
    pings++;
    if (client.ws.bufferedAmount > 0) pingsBehind++;
  });
  for (let at = 0; at < MESSAGES; at++) client.ws.send('x'.repeat(SIZE));
  let closed = false;
  void client.closed.then(() => {
    closed = true;
  });
  // Two unanswered ones are the end of a client that is read from. Not sooner: a busy machine must have the time to answer before it is held back.
  await until(() => pingsBehind > 4 || closed, 'pings to a client that is held back');
  assert.equal(closed, false);
  writeFileSync(join(running.folder, 'go'), '');
  assert.equal((await client.first(1))[0]?.trim(), String(MESSAGES * (SIZE + 1)));
  assert(pings > 4);
  client.ws.terminate();
});
