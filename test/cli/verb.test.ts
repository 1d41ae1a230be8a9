import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overview, parseCommandLine, UsageError, type Verb, verbHelp } from '../../src/cli/verb.ts';

const verb: Verb = {
  name: 'try',
  brief: 'try it',
  usage: 'runnel try [-c FILE] [--fast] -- WORD…',
  doc: 'Tries it.',
  flags: { config: { short: 'c', value: 'FILE', doc: 'a file' }, fast: { doc: 'at once' } },
  words: 'names',
  run: () => Promise.resolve(0),
};

const RIGHT: readonly [words: Verb['words'], args: string[], flags: object, wordsFound: string[]][] = [
  ['none', [], {}, []],
  ['none', ['-c', 'x'], { config: 'x' }, []],
  ['none', ['-cx'], { config: 'x' }, []],
  ['none', ['--config=x'], { config: 'x' }, []],
  ['none', ['--config='], { config: '' }, []],
  ['none', ['--config=-x'], { config: '-x' }, []],
  ['none', ['--config', '-'], { config: '-' }, []],
  ['none', ['--config=a=b'], { config: 'a=b' }, []],
  ['none', ['--config=x', '--config=y'], { config: 'y' }, []],
  ['none', ['--'], {}, []],
  ['names', ['a', '-c', 'x', 'b'], { config: 'x' }, ['a', 'b']],
  ['names', ['a', '--', '-c', '--no-such'], {}, ['a', '-c', '--no-such']],
  ['names', ['-', ''], {}, ['-', '']],
  ['command', ['-cx', '--', '-c', '--no-such'], { config: 'x' }, ['-c', '--no-such']],
  ['command', ['-c', 'x', 'vmstat', '-c', '1', '--help'], { config: 'x' }, ['vmstat', '-c', '1', '--help']],
  ['command', ['vmstat', '--', '-n'], {}, ['vmstat', '--', '-n']],
  ['command', ['--', '--', '-n'], {}, ['--', '-n']],
  ['command', ['--'], {}, []],
];

for (const [words, args, flags, found] of RIGHT) {
  test(`command line (${words}): ${args.join(' ')}`, () =>
    assert.deepEqual(parseCommandLine({ ...verb, words }, args), { flags, words: found }));
}

test('command line: a flag without a value', () => {
  assert.notEqual(parseCommandLine(verb, ['--fast']), 'help');
  assert.deepEqual(Object.keys((parseCommandLine(verb, ['a', '--fast']) as { flags: object }).flags), ['fast']);
});

for (const args of [['--help'], ['-h'], ['-c', 'x', '--help'], ['a', '-h', 'b']]) {
  test(`command line: help is asked for: ${args.join(' ')}`, () => assert.equal(parseCommandLine(verb, args), 'help'));
}

const WRONG: readonly [args: string[], message: RegExp][] = [
  [['--confg', 'x'], /^runnel try has no flag --confg; did you mean --config\?$/],
  [['--confg=x'], /^runnel try has no flag --confg; did you mean --config\?$/],
  [['--zzz'], /^runnel try has no flag --zzz; its flags are --config, --fast and --help$/],
  [['-x'], /^runnel try has no flag -x; its flags are/],
  [['a', '-x'], /no flag -x/],
  [['--toString'], /no flag --toString/],
  [['--__proto__'], /no flag --__proto__/],
  [['--no-fast'], /no flag --no-fast/],
  [['--config'], /^--config needs a value: --config FILE$/],
  [['-c'], /^-c needs a value: -c FILE$/],
  [['--config', '--fast'], /^--config needs a value: --config FILE$/],
  [['-c', '--', 'x'], /^-c needs a value: -c FILE$/],
  [['--fast=yes'], /^--fast takes no value$/],
  [['--help=run'], /^--help takes no value$/],
];

for (const [args, message] of WRONG) {
  test(`command line: ${args.join(' ')} is wrong`, () =>
    assert.throws(
      () => parseCommandLine(verb, args),
      (error) => error instanceof UsageError && message.test(error.message),
    ));
}

test('command line: words where there are none', () => {
  assert.throws(
    () => parseCommandLine({ ...verb, words: 'none' }, ['x']),
    /^UsageError: runnel try takes no argument "x"; write: runnel try -c x$/,
  );
});

test('help: of a verb with each flag, of all verbs', () => {
  assert.match(
    verbHelp(verb),
    /^usage: runnel try .*\n\nTries it\.\n\n {2}-c, --config FILE {2}a file\n {6}--fast {9}at once\n {2}-h, --help {9}print this help\n$/,
  );
  assert.match(overview([verb]), /\n {2}runnel try \[-c FILE\] \[--fast\] -- WORD… {2}try it\n/);
});
