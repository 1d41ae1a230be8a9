/** The command line of websocketd: what is read, and what is refused with which exit code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineError, readCommandLine } from '../../../src/cli/websocketd/command-line.ts';

const READ: readonly [
  name: string,
  args: readonly string[],
  flags: { readonly [name: string]: unknown },
  command: readonly string[],
][] = [
  [
    'nothing is set',
    ['cat'],
    {
      port: 0,
      loglevel: 'access',
      maxforks: 1024,
      maxframesize: 1048576,
      passenv: 'PATH,LD_LIBRARY_PATH',
      binary: false,
      address: [],
      origin: '',
    },
    ['cat'],
  ],
  ['--name=value', ['--port=8080', 'cat'], { port: 8080 }, ['cat']],
  ['--name value', ['--port', '8080', 'cat'], { port: 8080 }, ['cat']],
  ['-name=value and -name value', ['-port=8080', '-maxforks', '2', 'cat'], { port: 8080, maxforks: 2 }, ['cat']],
  ['a value with "="', ['--header=X-A: b=c', 'cat'], { header: ['X-A: b=c'] }, ['cat']],
  ['a value over lines', ['--passenv=A,\nB', 'cat'], { passenv: 'A,\nB' }, ['cat']],
  ['an empty value', ['--origin=', 'cat'], { origin: '' }, ['cat']],
  ['a boolean alone does not take the next word', ['--binary', 'true'], { binary: true }, ['true']],
  ['a boolean with a value', ['--binary=false', '--devconsole=T', 'cat'], { binary: false, devconsole: true }, ['cat']],
  ['flags of the command are its own', ['--port=1', 'cat', '--port=2', '-n'], { port: 1 }, ['cat', '--port=2', '-n']],
  ['"--" begins the command', ['--port=1', '--', '--odd'], { port: 1 }, ['--odd']],
  ['a lone dash is a word', ['-', 'x'], {}, ['-', 'x']],
  ['a list', ['--address=127.0.0.1', '--address', '[::1]', 'cat'], { address: ['127.0.0.1', '[::1]'] }, ['cat']],
  ['the last one counts', ['--port=1', '--port=2', 'cat'], { port: 2 }, ['cat']],
  ['a negative number', ['--maxforks=-1', '--maxframesize', '-5', 'cat'], { maxforks: -1, maxframesize: -5 }, ['cat']],
  [
    'folders instead of a command',
    ['--dir=a', '--staticdir=b', '--cgidir=c'],
    { dir: 'a', staticdir: 'b', cgidir: 'c' },
    [],
  ],
  [
    'TLS',
    ['--ssl', '--sslcert=c', '--sslkey=k', '--sslca=a', 'cat'],
    { ssl: true, sslcert: 'c', sslkey: 'k', sslca: 'a' },
    ['cat'],
  ],
  [
    'the rest',
    [
      '--unixsocket=/s',
      '--redirport=1',
      '--reverselookup',
      '--sameorigin',
      '--header-ws=A: b',
      '--header-http=C: d',
      '--pingms=5',
      '--closems=6',
      '--passstderr',
      '--print-config',
      '--loglevel=none',
      'cat',
    ],
    {
      unixsocket: '/s',
      redirport: 1,
      reverselookup: true,
      sameorigin: true,
      'header-ws': ['A: b'],
      'header-http': ['C: d'],
      pingms: 5,
      closems: 6,
      passstderr: true,
      'print-config': true,
      loglevel: 'none',
    },
    ['cat'],
  ],
];

for (const [name, args, flags, command] of READ) {
  test(`websocketd's line: ${name}`, () => {
    const line = readCommandLine(args);
    assert.ok(typeof line === 'object');
    assert.deepEqual(line.command, command);
    const all: { readonly [name: string]: unknown } = { ...line.flags };
    for (const [flag, value] of Object.entries(flags)) assert.deepEqual(all[flag], value, flag);
  });
}

const ASKS: readonly [args: readonly string[], what: string][] = [
  [['--help'], 'help'],
  [['-help'], 'help'],
  [['-h'], 'help'],
  [['--port=1', '--help', '--nonsense'], 'help'],
  [['--version'], 'version'],
  [['--license'], 'license'],
  [['--version', '--ssl'], 'version'],
];

for (const [args, what] of ASKS)
  test(`websocketd's line: ${args.join(' ')}`, () => assert.equal(readCommandLine(args), what));

const REFUSED: readonly [args: readonly string[], exit: number, message: RegExp][] = [
  [[], 1, /arguments are missing/],
  [['--nonsense', 'cat'], 2, /not defined: --nonsense$/],
  [['--prot=80', 'cat'], 2, /not defined: --prot; did you mean --port\?/],
  [['---port=80', 'cat'], 2, /not defined/],
  [['--=80', 'cat'], 2, /not defined/],
  [['--port'], 2, /needs an argument: --port/],
  [['--port=http', 'cat'], 2, /invalid value "http" for flag --port/],
  [['--port=', 'cat'], 2, /invalid value/],
  [['--port=70000', 'cat'], 2, /a port is from 1 to 65535/],
  [['--redirport=-1', 'cat'], 2, /for flag --redirport/],
  [['--pingms=-1', 'cat'], 2, /from 0 on/],
  [['--binary=maybe', 'cat'], 2, /true or false/],
  [['--loglevel=loud', 'cat'], 1, /Incorrect loglevel flag 'loud'/],
  [['--ssl', 'cat'], 1, /--sslcert and --sslkey/],
  [['--ssl', '--sslcert=c', 'cat'], 1, /--sslcert and --sslkey/],
  [['--sslcert=c', 'cat'], 1, /no --ssl option/],
  [['--binary', '--passstderr', 'cat'], 1, /--binary and --passstderr/],
  [['--port=80'], 1, /Please specify COMMAND/],
  [['--dir=a', 'cat'], 1, /ambiguous/],
  [['--devconsole', '--staticdir=a', 'cat'], 4, /--devconsole cannot be used with --staticdir/],
  [['--devconsole', '--cgidir=a', 'cat'], 4, /--devconsole cannot be used with --cgidir/],
];

for (const [args, exit, message] of REFUSED) {
  test(`websocketd's line is refused: ${args.join(' ') || '(nothing)'}`, () => {
    assert.throws(
      () => readCommandLine(args),
      (error) => {
        assert.ok(error instanceof LineError);
        assert.match(error.message, message);
        assert.equal(error.exit, exit);
        return true;
      },
    );
  });
}
