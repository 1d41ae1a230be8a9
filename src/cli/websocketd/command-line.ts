/** The command line of websocketd, read as its Go program reads it: one dash or two, `--flag=value` or `--flag value`, booleans alone or with `=`. */
import { nearest } from '../../config/reading/suggest.ts';

/** How a flag is written, and what it is without being written. */
const FLAGS = {
  address: { type: 'list' },
  binary: { type: 'boolean' },
  cgidir: { type: 'text' },
  closems: { type: 'count', preset: 0 },
  devconsole: { type: 'boolean' },
  dir: { type: 'text' },
  header: { type: 'list' },
  'header-http': { type: 'list' },
  'header-ws': { type: 'list' },
  license: { type: 'boolean' },
  loglevel: { type: 'text', preset: 'access' },
  maxforks: { type: 'integer', preset: 1024 },
  maxframesize: { type: 'integer', preset: 1024 * 1024 },
  origin: { type: 'text' },
  passenv: { type: 'text', preset: 'PATH,LD_LIBRARY_PATH' },
  passstderr: { type: 'boolean' },
  pingms: { type: 'count', preset: 0 },
  port: { type: 'integer', preset: 0 },
  'print-config': { type: 'boolean' },
  redirport: { type: 'integer', preset: 0 },
  reverselookup: { type: 'boolean' },
  sameorigin: { type: 'boolean' },
  ssl: { type: 'boolean' },
  sslca: { type: 'text' },
  sslcert: { type: 'text' },
  sslkey: { type: 'text' },
  staticdir: { type: 'text' },
  unixsocket: { type: 'text' },
  version: { type: 'boolean' },
} as const;

type FlagName = keyof typeof FLAGS;
type FlagType = (typeof FLAGS)[FlagName]['type'];
type Value<T extends FlagType> = T extends 'boolean'
  ? boolean
  : T extends 'list'
    ? readonly string[]
    : T extends 'text'
      ? string
      : number;

/** What every flag is, written or not. "" is a text that is not set. */
export type Flags = { readonly [N in FlagName]: Value<(typeof FLAGS)[N]['type']> };

export type LogLevel = 'debug' | 'trace' | 'access' | 'info' | 'error' | 'fatal' | 'none';
const LOG_LEVELS: readonly string[] = ['debug', 'trace', 'access', 'info', 'error', 'fatal', 'none'];

/** A line that asks for a gateway. */
export interface WebsocketdLine {
  readonly flags: Flags & { readonly loglevel: LogLevel };
  /** Empty where there is none: then there is a folder of programs, files or CGI programs. */
  readonly command: readonly string[];
}

/** A line that cannot be obeyed. */
export class LineError extends Error {
  override readonly name = 'LineError';
  constructor(
    message: string,
    /** As websocketd exits. */
    readonly exit: number,
  ) {
    super(message);
  }
}

/** Exit codes of websocketd. */
const EXIT = { wrong: 1, flag: 2, combination: 4 } as const;

const MAX_PORT = 65535;

/** @returns what a line asks for. Throws a `LineError`. */
export function readCommandLine(args: readonly string[]): WebsocketdLine | 'help' | 'version' | 'license' {
  if (args.length === 0) throw new LineError('Command line arguments are missing.', EXIT.wrong);
  const read = readFlags(args);
  if (read === 'help') return 'help';
  const { flags, command } = read;
  if (flags.version) return 'version';
  if (flags.license) return 'license';
  const problem = problemOf(flags, command);
  if (problem !== undefined) throw problem;
  return { flags: { ...flags, loglevel: flags.loglevel as LogLevel }, command };
}

function readFlags(args: readonly string[]): { flags: Flags; command: readonly string[] } | 'help' {
  const values = Object.fromEntries(Object.entries(FLAGS).map(([name, flag]) => [name, presetOf(flag)]));
  let at = 0;
  for (; at < args.length; at++) {
    const word = args[at] ?? '';
    // As in Go: a lone dash is a word, and what follows "--" are words.
    if (!word.startsWith('-') || word === '-') break;
    if (word === '--') {
      at++;
      break;
    }
    const [, name = '', inline] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === 'help' || name === 'h') return 'help';
    if (!isFlag(name)) throw new LineError(unknownFlag(word, name), EXIT.flag);
    const { type } = FLAGS[name];
    const value = inline ?? (type === 'boolean' ? 'true' : args[++at]);
    if (value === undefined) throw new LineError(`flag needs an argument: --${name}`, EXIT.flag);
    const parsed = parse(type, value);
    if (parsed === undefined)
      throw new LineError(`invalid value "${value}" for flag --${name}: it takes ${EXPECTED[type]}`, EXIT.flag);
    const before = values[name];
    values[name] = Array.isArray(before) ? [...before, value] : parsed;
  }
  // The cast: each value was made by its flag's type.
  return { flags: values as Flags, command: args.slice(at) };
}

function isFlag(name: string): name is FlagName {
  return Object.hasOwn(FLAGS, name);
}

function presetOf(flag: (typeof FLAGS)[FlagName]): unknown {
  if ('preset' in flag) return flag.preset;
  return flag.type === 'boolean' ? false : flag.type === 'list' ? [] : '';
}

function unknownFlag(word: string, name: string): string {
  const meant = nearest(name, Object.keys(FLAGS));
  return `flag provided but not defined: ${word.split('=', 1)[0]}${meant === undefined ? '' : `; did you mean --${meant}?`}`;
}

const EXPECTED: { readonly [type in FlagType]: string } = {
  boolean: 'true or false',
  list: 'a text',
  text: 'a text',
  integer: 'a whole number',
  count: 'a whole number from 0 on',
};
/** What Go's strconv.ParseBool takes. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((word) => [word, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((word) => [word, false] as const),
]);

function parse(type: FlagType, value: string): unknown {
  if (type === 'boolean') return BOOLEANS.get(value);
  if (type === 'text' || type === 'list') return value;
  if (!/^[+-]?\d{1,15}$/.test(value)) return undefined;
  const number = Number(value);
  return type === 'count' && number < 0 ? undefined : number;
}

/** The first thing that speaks against a line, in the order of websocketd. */
function problemOf(flags: Flags, command: readonly string[]): LineError | undefined {
  const wrong = (message: string, exit: number = EXIT.wrong) => new LineError(message, exit);
  const { loglevel, ssl, sslcert, sslkey, dir, staticdir, cgidir, devconsole } = flags;
  for (const name of ['port', 'redirport'] as const)
    if (flags[name] < 0 || flags[name] > MAX_PORT)
      return wrong(`invalid value "${flags[name]}" for flag --${name}: a port is from 1 to ${MAX_PORT}`, EXIT.flag);
  if (!LOG_LEVELS.includes(loglevel))
    return wrong(`Incorrect loglevel flag '${loglevel}'. Use --help to see allowed values.`);
  if (ssl && (sslcert === '' || sslkey === ''))
    return wrong('please specify both --sslcert and --sslkey when requesting --ssl');
  if (!ssl && (sslcert !== '' || sslkey !== ''))
    return wrong('you should not be using --ssl* flags when there is no --ssl option');
  if (flags.binary && flags.passstderr) return wrong('please only specify one of --binary and --passstderr');
  if (command.length === 0 && dir === '' && staticdir === '' && cgidir === '')
    return wrong('Please specify COMMAND or provide --dir, --staticdir or --cgidir argument.');
  if (command.length > 0 && dir !== '')
    return wrong('ambiguous: provided COMMAND and --dir argument, please only specify one');
  if (devconsole && staticdir !== '')
    return wrong('Invalid parameters: --devconsole cannot be used with --staticdir. Pick one.', EXIT.combination);
  if (devconsole && cgidir !== '')
    return wrong('Invalid parameters: --devconsole cannot be used with --cgidir. Pick one.', EXIT.combination);
  return undefined;
}
