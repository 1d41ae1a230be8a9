/** A Python program whose viewer leaves: no traceback in the log, and whatever else it says stays there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { InterruptedPython } from '../../../../src/stream/sources/program/interrupted-python.ts';
import { startGateway } from '../../../support/gateway.ts';
import { until } from '../../../support/processes.ts';

const TRACEBACK = ['Traceback (most recent call last):', '  File "a.py", line 4, in <module>', '    time.sleep(1)'];

describe('what is told', () => {
  const cases: readonly (readonly [what: string, lines: readonly string[], told: readonly string[], ending?: false])[] =
    [
      ['an interruption', [...TRACEBACK, 'KeyboardInterrupt'], ['(interrupted)']],
      ['with a message', [...TRACEBACK, 'KeyboardInterrupt: x'], ['(interrupted)']],
      ['lines around it', ['bye', ...TRACEBACK, 'KeyboardInterrupt', 'end'], ['bye', '(interrupted)', 'end']],
      ['another error', [...TRACEBACK, 'ValueError: x'], [...TRACEBACK, 'ValueError: x']],
      ['a cut one', TRACEBACK, TRACEBACK],
      ['one that came by itself', [...TRACEBACK, 'KeyboardInterrupt'], [...TRACEBACK, 'KeyboardInterrupt'], false],
      ['a very long one', [...TRACEBACK, ...Array(300).fill('  x')], [...TRACEBACK, ...Array(300).fill('  x')]],
    ];
  for (const [what, lines, told, ending = true] of cases)
    test(what, () => {
      const said: string[] = [];
      const filter = new InterruptedPython(
        () => ending,
        (text) => said.push(text),
        () => said.push('(interrupted)'),
      );
      for (const line of lines) filter.take(line);
      filter.flush();
      assert.deepEqual(said, told);
    });
});

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
    (line) => line['route'] === '/loop' && String(line.message).includes('was interrupted (signal INT)'),
  );
  const lines = gateway.log.filter((line) => line['route'] === '/loop' && line['from'] === 'stderr');
  assert.deepEqual(lines, []);
  // One that reads its stdin ends by that alone, before any signal.
  await look('stdin');
  await gateway.logged((line) => line['route'] === '/stdin' && line.message === 'over');
});
