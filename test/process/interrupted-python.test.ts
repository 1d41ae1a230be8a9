/** Which lines of a Python program that is told to end are left out of the log. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InterruptedPython } from '../../src/process/interrupted-python.ts';

const DURING = 'During handling of the above exception, another exception occurred:';
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
      ['a closed pipe', [...TRACEBACK, 'BrokenPipeError: [Errno 32] Broken pipe'], ['(interrupted)']],
      [
        'a closed pipe that is told again at the end',
        ["Exception ignored in: <_io.TextIOWrapper name='<stdout>'>", 'BrokenPipeError: [Errno 32] Broken pipe'],
        ['(interrupted)'],
      ],
      [
        'one of asyncio',
        [...TRACEBACK, 'asyncio.exceptions.CancelledError', '', DURING, '', ...TRACEBACK, 'KeyboardInterrupt'],
        ['(interrupted)'],
      ],
      [
        'one that was being handled',
        [...TRACEBACK, 'KeyboardInterrupt', '', DURING, '', ...TRACEBACK, 'ValueError: x', 'end'],
        ['(interrupted)', '', DURING, '', ...TRACEBACK, 'ValueError: x', 'end'],
      ],
      [
        'another error before it',
        [...TRACEBACK, 'ValueError: x', 'saved', ...TRACEBACK, 'KeyboardInterrupt'],
        [...TRACEBACK, 'ValueError: x', 'saved', '(interrupted)'],
      ],
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
