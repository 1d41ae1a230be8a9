/** Command lines of `runnel run` and `runnel files` that are wrong: what is said, in the words of the line. Nothing is started for them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { files } from '../../../src/cli/one-line/files.ts';
import { run } from '../../../src/cli/run.ts';
import { parseCommandLine, UsageError, type Verb, verbHelp } from '../../../src/cli/verb.ts';
import { folderWith } from '../../support/gateway.ts';

/** Words of the lines that are files of the test's folder. */
const FILES: ReadonlySet<string> = new Set(['empty', 'plain', 'nowhere', 'a.txt', 'sub', 'site']);

const WRONG_RUN: readonly [args: readonly string[], says: RegExp][] = [
  [[], /runnel run -- vmstat -n 1\n[\s\S]*runnel run needs a command/],
  [['--'], /runnel run needs a command/],
  [['-p', '9000', '--', 'ls'], /no flag -p; did you mean -l PORT\?/],
  [['--port', '9000', '--', 'ls'], /no flag --port; did you mean -l PORT\?/],
  [['--password', 'x', '--', 'ls'], /did you mean --password-file FILE/],
  [['--readonly', '--', 'ls'], /did you mean --read-only\?/],
  [
    ['--share', 'everybody', '--', 'ls'],
    /^--share: must be "client", "all", "query" or "credentials" \(got "everybody"\)/,
  ],
  [['--share', 'credentials', '--', 'ls'], /^--share: can be "credentials" only with "poll"/],
  [['--history', '5', '--', 'ls'], /^--history needs --share all/],
  [['--replay', 'all', '--share', 'client', '--', 'ls'], /^--replay needs --share all/],
  [['--share', 'all', '--history', 'much', '--', 'ls'], /^--history: must be a whole number .*got "much"/],
  [['--share', 'all', '--history', '-5', '--', 'ls'], /--history needs a value/],
  [['--share', 'all', '--replay', 'some', '--', 'ls'], /^--replay: must be "none", "last" or "all"/],
  [['--max-clients', '0', '--', 'ls'], /^--max-clients: must be a whole number from 1/],
  [['--password-file', 'nowhere', '--', 'ls'], /^--password-file: the file "nowhere" .*does not exist/],
  [['--password-file', 'empty', '--', 'ls'], /^--password-file: the file "empty" .*contains no passwords/],
  [['--password-file', 'plain', '--', 'ls'], /^--password-file: line 1 of "plain": .*runnel hash-password/],
  [['--token-file', 'plain', '--', 'ls'], /^--token-file: line 1 of "plain": .*runnel token NAME/],
  [['--password-file', '.', '--', 'ls'], /^--password-file: .*is (a folder|not a (regular )?file)/],
  [['--open-to', 'world', '--', 'ls'], /^--open-to takes LAN, not "world"; -l :8080/],
  [['--open-to', 'LAN', '-l', '192.168.1.7:80', '--', 'ls'], /-l is to name only the port: -l 80 /],
  [['--open-to', 'LAN', '-l', '0', '--', 'ls'], /has to name a port/],
  [['-l', '99999', '--', 'ls'], /^-l: a port is from 1 to 65535, not 99999/],
  [['-l', 'localhost:80', '--', 'ls'], /^-l: must be an IP address and a port: names are not looked up/],
  [['-d', 'nowhere', '--', 'ls'], /^--directory: the folder "nowhere"/],
  [['--unbuffer', '--buffered', '--', 'ls'], /cannot be set together/],
  [['--once=yes', '--', 'ls'], /--once takes no value/],
  [['--tls', 'self-signed'], /^the command: the program "self-signed"/],
  [['--', 'no-such-program-here'], /^the command: the program "no-such-program-here"/],
  [['--share', 'x', '--replay', 'y', '--engine', 'z', '--', 'ls'], /--engine: [\s\S]*--replay: [\s\S]*--share: /],
];

const WRONG_FILES: readonly [args: readonly string[], says: RegExp][] = [
  [['nowhere'], /^FOLDER: the folder "nowhere" .*does not exist/],
  [['a.txt'], /^FOLDER: the folder "a\.txt" .*is a file, not a folder/],
  [['sub', 'site'], /serves one folder; "site" is one too many/],
  [['-d', 'sub'], /no flag -d; did you mean FOLDER\?/],
  [['--port', '80'], /did you mean -l PORT\?/],
  [['--share', 'all'], /no flag --share/],
  [['--open'], /did you mean --open-to LAN\?/],
];

for (const [verb, lines] of [
  [run, WRONG_RUN],
  [files, WRONG_FILES],
] as const)
  for (const [args, says] of lines)
    test(`the line is wrong: ${verb.name} ${args.join(' ')}`, async (t) => {
      const folder = folderWith(t, {
        empty: '# nobody yet\n',
        plain: 'secret\n',
        'a.txt': '',
        'sub/b.txt': '',
        'site/c.txt': '',
      });
      const given = args.map((word) => (FILES.has(word) ? join(folder, word) : word));
      await assert.rejects(runLine(verb, given), (error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message.replaceAll(`${folder}/`, ''), says);
        assert.doesNotMatch(error.message, /secret/, 'what may be a password is not repeated');
        return true;
      });
    });

async function runLine(verb: Verb, args: readonly string[]): Promise<number> {
  const line = parseCommandLine(verb, args);
  assert.ok(line !== 'help');
  return await verb.run(line);
}

test('help: three examples, and where it listens', () => {
  const help = verbHelp(run);
  assert.equal(help.match(/^ {2}runnel run .*-- /gm)?.length, 3, help);
  assert.match(help, /default 127\.0\.0\.1:8080, for this machine alone/);
});
