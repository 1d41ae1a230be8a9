/** `runnel run`: one command as a stream at /, and a page that shows it, without a file. */
import { constants } from 'node:os';
import type { RawTable } from '../config/values/tables.ts';
import { openAssets } from '../ops/assets.ts';
import { thisUser } from '../ops/system-errors.ts';
import { Deferred } from '../ownership/deferred.ts';
import type { Exit } from '../process/spawn.ts';
import { announce } from './one-line/announcement.ts';
import { tellNotListening } from './one-line/free-port.ts';
import { INSTEAD, OPENING_FLAGS, planOpening } from './one-line/opening.ts';
import { shellIn } from './one-line/shell.ts';
import { pageBefore, pictureStreamPage, streamPage } from './one-line/stream-page.ts';
import { quotesMeant } from './running/habits.ts';
import { serveUntilSignal } from './serve.ts';
import { type CommandLine, UsageError, type Verb, verbHelp } from './verb.ts';

/** How long viewers have for what the command has printed last. */
const LAST_WORDS = '30s';

export const run: Verb = {
  name: 'run',
  usage: 'runnel run [FLAG…] -- COMMAND [ARGUMENT…]',
  brief: 'stream the output of one command to a page',
  doc: `Serves a page that shows the output of a command, line by line, as it is printed. Each viewer gets a process of its own, and a
line that the viewer types goes to its input. Only this machine can open the page, unless --open-to or -l says otherwise. Ctrl-C stops
it. The page is for browsers; at the same address are a WebSocket, an event stream and text (curl -NH Accept:text/plain).

Examples:
  runnel run -- vmstat -n 1
  runnel run --open-to LAN --read-only --share all --history 100 -- tail -F /var/log/syslog
  runnel run -l :9000 --tls --password-file users --once -- ./upgrade.sh`,
  flags: {
    ...OPENING_FLAGS,
    share: {
      value: 'WHO',
      choices: ['client', 'all', 'query'],
      doc: 'who shares a process: client (default) starts one for each viewer, all one for all viewers, query one for each distinct query string',
    },
    history: { value: 'N', doc: 'with --share: keep the last N lines for viewers that come later or come again' },
    replay: {
      value: 'WHICH',
      choices: ['none', 'last', 'all'],
      doc: 'with --share: what of the history a new viewer gets: none, last or all (default: all with --history, otherwise none)',
    },
    'read-only': { doc: 'viewers cannot type: a WebSocket that sends something is closed with 1008, a POST gets 405' },
    once: {
      doc: 'let the command run once: when it has ended and its viewers have got everything, end with its exit status (128 and the number of a signal)',
    },
    'max-clients': { value: 'N', doc: 'how many viewers there may be at once; further ones get 503' },
    framing: {
      value: 'NAME',
      choices: ['lines', 'jpeg'],
      doc: 'how messages lie in the output: lines (default), or jpeg: pictures, as a camera program prints them, on a page that shows the newest; one process for all viewers',
    },
    unbuffer: { doc: 'make the command print each line at once, as on a terminal (this is the default)' },
    buffered: { doc: 'leave the buffering to the command: lines may come late, in blocks' },
    directory: { short: 'd', value: 'FOLDER', doc: 'the working directory of the command' },
  },
  instead: {
    ...INSTEAD,
    '-o': '--once',
    '-m': '--max-clients N',
    '-w': '--directory FOLDER',
    '--cwd': '--directory FOLDER',
    '-R': '--read-only',
    '-W': 'nothing: viewers can type unless --read-only is set',
    '--writable': 'nothing: viewers can type unless --read-only is set',
  },
  words: 'command',
  operands: ['command'],
  async run(line) {
    const { flags, words } = line;
    if (words.length === 0)
      throw new UsageError(`${verbHelp(run)}\nrunnel run needs a command: runnel run -- vmstat -n 1`);
    const quoted = quotesMeant(words);
    if (quoted !== undefined) throw new UsageError(quoted);
    const opening = planOpening(
      line,
      { kind: 'stream', keys: streamKeys(line), ...(flags['once'] === undefined ? {} : { stopTimeout: LAST_WORDS }) },
      FLAG_OF,
    );
    const page = showsPictures(line)
      ? pictureStreamPage(openAssets())
      : streamPage(openAssets(), {
          shared: (flags['share'] ?? 'client') !== 'client',
          input: flags['read-only'] === undefined,
          unbuffered: flags['buffered'] === undefined,
        });
    const ended = new Deferred<Exit>();
    return await serveUntilSignal(opening.config, {
      wrap: (_key, handler) => pageBefore(handler, page, words.join(' ')),
      ...(flags['once'] === undefined ? {} : { programOver: ended.resolve }),
      done: ended.promise.then((exit) => ({ reason: 'the program has ended', code: exitStatus(exit) })),
      failed: (message, code) => tellNotListening(opening.config, message, code),
      started: (listening, log) =>
        announce(opening, listening, log, { qr: flags['qr'] !== undefined, dangers: dangersOf(line) }),
    });
  },
};

const FLAG_OF = {
  share: '--share',
  history: '--history',
  replay: '--replay',
  max_clients: '--max-clients',
  directory: '--directory',
  command: 'the command',
};

/** The flags as the configuration has them; what is wrong with a value is told there. */
function streamKeys(line: CommandLine): RawTable {
  const { flags, words } = line;
  const isPictures = showsPictures(line);
  const { share = isPictures ? 'all' : 'client', history, replay, directory, 'max-clients': maxClients } = flags;
  for (const name of ['history', 'replay'])
    if (flags[name] !== undefined && share === 'client')
      throw new UsageError(
        `--${name} needs --share all: otherwise each viewer has a process of its own, which begins with the viewer`,
      );
  if (flags['unbuffer'] !== undefined && flags['buffered'] !== undefined)
    throw new UsageError('--unbuffer and --buffered cannot be set together');
  return {
    command: words,
    // A person is watching: lines are to come as they are printed.
    unbuffer: flags['buffered'] === undefined && !isPictures,
    // For the page; other clients get stdout alone.
    ...(isPictures ? { framing: 'jpeg' } : { stderr: 'event', partial_lines: true }),
    share,
    ...(history === undefined ? {} : { history: number(history) }),
    ...(replay === undefined ? {} : { replay }),
    ...(directory === undefined ? {} : { directory }),
    ...(maxClients === undefined ? {} : { max_clients: number(maxClients) }),
    ...(flags['read-only'] === undefined ? {} : { read_only: true }),
    ...(flags['once'] === undefined ? {} : { restart: 'never', max_processes: 1 }),
  };
}

/** Throws a `UsageError` for a framing that has no page. */
function showsPictures({ flags }: CommandLine): boolean {
  const { framing = 'lines' } = flags;
  if (framing !== 'lines' && framing !== 'jpeg')
    throw new UsageError(`--framing takes lines or jpeg, not "${framing}"`);
  if (framing === 'jpeg' && flags['unbuffer'] !== undefined)
    throw new UsageError('--unbuffer is for text, and --framing jpeg is for pictures');
  return framing === 'jpeg';
}

function number(text: string): number | string {
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}

/** What is to be said where others than this machine's users get to the command. */
function dangersOf({ flags, words }: CommandLine): readonly string[] {
  const name = words.map((word) => (/^[\w./=:@%+,-]+$/.test(word) ? word : `"${word}"`)).join(' ');
  const asks = flags['password-file'] !== undefined || flags['token-file'] !== undefined;
  const shell = shellIn(words);
  const dangers: string[] = [];
  const isReadOnly = flags['read-only'] !== undefined || flags['framing'] === 'jpeg';
  if (!isReadOnly && shell !== undefined)
    dangers.push(
      `${asks ? 'everybody who signs in' : 'everybody who reaches this address'} can run any command on this machine as ${thisUser()}, because "${shell}" takes commands as input${asks ? '' : '; --password-file asks for a password'}; --read-only keeps viewers from typing`,
    );
  else if (!isReadOnly && !asks)
    dangers.push(`everybody who reaches this address can type into "${name}"; --read-only keeps viewers from typing`);
  if (asks && flags['tls'] === undefined) dangers.push('passwords and tokens travel in the clear; --tls encrypts them');
  return dangers;
}

function exitStatus({ code, signal }: Exit): number {
  return signal === undefined ? code : 128 + (constants.signals[signal as NodeJS.Signals] ?? 0);
}
