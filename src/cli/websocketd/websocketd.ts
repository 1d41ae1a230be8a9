/** `runnel websocketd`: takes the command line of websocketd. It is translated into a configuration; the gateway is the same. */
import { readConfig } from '../../gateway/config.ts';
import type { ExtraRoute } from '../../gateway/routes.ts';
import { openAssets } from '../../ops/assets.ts';
import { Log } from '../../ops/log.ts';
import { VERSION } from '../../ops/version.ts';
import { visible, visibleLines } from '../../ops/visible.ts';
import { streamPage } from '../one-line/stream-page.ts';
import { serveUntilSignal } from '../serve.ts';
import { EXIT, type Verb } from '../verb.ts';
import { LineError, readCommandLine, type WebsocketdLine } from './command-line.ts';
import { plainRequests, tooManyIs429 } from './handlers.ts';
import { HELP, LICENSE, SHORT_HELP, VERSION_LINE } from './help.ts';
import { fatalLine, logLines } from './log-lines.ts';
import { writeToml } from './toml.ts';
import { headerFields, type TomlTable, translate } from './translate.ts';

/** As websocketd exits when it cannot listen, and when its command line is wrong. */
const NOT_STARTED = 3;
const WRONG_LINE = 1;

export const websocketd: Verb = {
  name: 'websocketd',
  usage: 'runnel websocketd [OPTION…] COMMAND [ARGUMENT…]',
  brief: 'do what websocketd does with this command line',
  doc: HELP,
  flags: {},
  words: 'command',
  operands: ['command'],
  run: ({ words }) => runLine(words),
};

/** @returns the exit code */
export async function runLine(args: readonly string[]): Promise<number> {
  try {
    const line = readCommandLine(args);
    if (line === 'help') process.stdout.write(HELP);
    else if (line === 'version') process.stdout.write(`${VERSION_LINE}\n`);
    else if (line === 'license') process.stdout.write(LICENSE);
    else return await serve(line);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof LineError)) throw error;
    process.stderr.write(`${visibleLines(error.message)}\n${SHORT_HELP}`);
    return error.exit;
  }
}

async function serve(line: WebsocketdLine): Promise<number> {
  const { flags } = line;
  const table = translate(line, VERSION);
  forgetLocale(flags.passenv);
  const result = readConfig(table, 'the command line');
  if (!result.ok) throw new LineError(result.problems.map(problemText).join('\n'), WRONG_LINE);
  if (flags['print-config']) {
    process.stdout.write(`${preamble(line)}${writeToml(table)}`);
    return EXIT.ok;
  }
  const log = new Log({ format: logLines(flags.loglevel), level: 'debug', colour: false, descriptor: 1 });
  for (const words of announcements(line, table)) log.info(words);
  return await serveUntilSignal(result.config, {
    wrap: (_key, handler) => tooManyIs429(handler),
    extra: plainRoute(line),
    log,
    failed(message, code) {
      const why = code === 'EADDRINUSE' ? `${message} (address already in use)` : message;
      process.stdout.write(`${visible(fatalLine(`Can't start server: ${why}`, new Date()))}\n`);
      return NOT_STARTED;
    },
  });
}

/** What the gateway serves at every path where there are neither files nor CGI programs. */
function plainRoute({ flags }: WebsocketdLine): readonly ExtraRoute[] {
  if (flags.staticdir !== '' || flags.cgidir !== '') return [];
  const console = flags.devconsole
    ? streamPage(openAssets(), { shared: false, input: true, unbuffered: false })
    : undefined;
  const headers = [...headerFields([...flags.header, ...flags['header-http']])].flatMap(([name, values]) =>
    values.map((value) => [name, value] as const),
  );
  return [{ key: '/', handler: plainRequests(console), headers }];
}

/** These our programs get in any case; from websocketd they get them only by --passenv. */
function forgetLocale(passenv: string): void {
  const passed = passenv.split(',');
  for (const name of ['LANG', 'LC_ALL', 'TZ']) if (!passed.includes(name)) delete process.env[name];
}

function problemText({ path, message, hint }: { path: string; message: string; hint: string | undefined }): string {
  return `${path}: ${message}${hint === undefined ? '' : `; ${hint}`}`;
}

/** What the tables cannot say. */
function preamble({ flags }: WebsocketdLine): string {
  const lines = [
    'The same as a configuration of runnel. Run it with: runnel serve -c FILE',
    'What websocketd does and the file does not: LANG, LC_ALL and TZ do not reach a program; no room is 429, not 503;',
    'the log has the form of websocketd.',
    ...(flags.devconsole ? ['The page of --devconsole is that of "runnel run"; a file has no such page.'] : []),
  ];
  return `${lines.map((line) => `# ${line}\n`).join('')}\n`;
}

/** What websocketd says first, in its words. */
function announcements({ flags, command }: WebsocketdLine, { listen }: TomlTable): readonly string[] {
  const secure = flags.ssl ? 's' : '';
  const addresses = (Array.isArray(listen) ? listen : []).map((each: TomlTable) => String(each['address']));
  const redirects = flags.redirport === 0 ? [] : addresses.filter((address) => address.endsWith(`:${flags.redirport}`));
  const [sockets, servers] = [true, false].map((unix) =>
    addresses.filter((address) => address.startsWith('unix:') === unix && !redirects.includes(address)),
  );
  return [
    ...(command.length > 0 ? [`Serving using application   : ${command.join(' ')}`] : []),
    ...(flags.dir === '' ? [] : [`Serving from directory      : ${flags.dir}`]),
    ...(flags.staticdir === '' ? [] : [`Serving static content from : ${flags.staticdir}`]),
    ...(flags.cgidir === '' ? [] : [`Serving CGI scripts from    : ${flags.cgidir}`]),
    ...(servers ?? []).map((address) => `Starting WebSocket server   : ws${secure}://${address}/`),
    ...(flags.devconsole
      ? (servers ?? []).map((address) => `Developer console enabled   : http${secure}://${address}/`)
      : []),
    ...redirects.map((address) => `Starting redirect server    : http://${address}/`),
    ...(sockets ?? []).map(
      (address) => `Starting WebSocket server   : unix socket at ${address.slice('unix:'.length)}`,
    ),
  ];
}
