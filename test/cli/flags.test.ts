import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags, UsageError, type Verb, verbHelp } from '../../src/cli/flags.ts';

const verb: Verb = {
  name: 'try',
  brief: 'try it',
  usage: 'runnel try [-c FILE] [--fast] -- WORD…',
  doc: 'Tries it.',
  flags: { config: { short: 'c', value: 'FILE', doc: 'a file' }, fast: { doc: 'at once' } },
  words: true,
  run: () => Promise.resolve(0),
};

const RIGHT: readonly [args: string[], flags: object, words: string[]][] = [
  [[], {}, []],
  [['-c', 'x'], { config: 'x' }, []],
  [['-cx'], { config: 'x' }, []],
  [['--config=x', '--fast'], { config: 'x', fast: true }, []],
  [['--fast', '--', '-c', '--no-such'], { fast: true }, ['-c', '--no-such']],
  [['vmstat', '-n', '1'], {}, ['vmstat', '-n', '1']],
];

for (const [args, flags, words] of RIGHT) {
  test(`flags: ${args.join(' ')}`, () => assert.deepEqual(parseFlags(verb, args), { flags, words }));
}

const WRONG: readonly [args: string[], message: RegExp][] = [
  [['--confg', 'x'], /no flag --confg; did you mean --config\?/],
  [['--zzz'], /no flag --zzz; it has --config, --fast/],
  [['-x'], /no flag -x/],
  [['--config'], /--config needs a value: --config FILE/],
  [['--fast=yes'], /--fast takes no value/],
];

for (const [args, message] of WRONG) {
  test(`flags: ${args.join(' ')} is wrong`, () =>
    assert.throws(
      () => parseFlags(verb, args),
      (error) => error instanceof UsageError && message.test(error.message),
    ));
}

test('flags: words where there are none', () => {
  assert.throws(() => parseFlags({ ...verb, words: false }, ['x']), /takes no "x"/);
});

test('flags: the help names each flag', () => {
  assert.match(verbHelp(verb), /-c, --config FILE {2}a file\n {6}--fast {9}at once/);
});
