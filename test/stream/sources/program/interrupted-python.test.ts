/** A Python program whose viewer leaves: no traceback in the log, and whatever else it says stays there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { startGateway } from '../../../support/gateway.ts';
import { until } from '../../../support/processes.ts';

const noPython = spawnSync('python3', ['--version']).status === 0 ? false : 'needs python3';

test('with a real one: one line that explains it, for a program that reads its stdin none', {
  skip: noPython,
}, async (t) => {
  const route = (name: string, interruptAfter: string) =>
    `[stream."/${name}"]\ncommand = ["python3", "-u", "${name}.py"]\ninterrupt_after = "${interruptAfter}"\nterminate_after = "10m"\n`;
  const gateway = await startGateway(t, {
    config: `[[listen]]\naddress = "127.0.0.1:0"\n${route('loop', '0ms')}${route('stdin', '10m')}`,
    files: {
      'loop.py': 'import time\nprint("tick")\nwhile True:\n  time.sleep(600)\n',
      'stdin.py': 'import sys\nprint("tick")\nfor line in sys.stdin:\n  print(line)\nsys.stderr.write("over\\n")\n',
    },
  });
  const look = async (name: string): Promise<void> => {
    const aborted = new AbortController();
    const reply = await fetch(gateway.url(`/${name}`), {
      headers: { accept: 'text/event-stream' },
      signal: aborted.signal,
    });
    let text = '';
    const reader = reply.body?.getReader();
    await until('a first message', async () => {
      text += Buffer.from((await reader?.read())?.value ?? new Uint8Array()).toString();
      return text.includes('tick');
    });
    aborted.abort();
  };
  await look('loop');
  await gateway.logged(
    (line) => line['route'] === '/loop' && String(line.message).includes('a Python program was interrupted'),
  );
  const lines = gateway.log.filter((line) => line['route'] === '/loop' && line['from'] === 'stderr');
  assert.deepEqual(lines, []);
  // One that reads its stdin ends by that alone, before any signal.
  await look('stdin');
  await gateway.logged((line) => line['route'] === '/stdin' && line.message === 'over');
});
