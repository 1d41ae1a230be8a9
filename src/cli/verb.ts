/** The command line. Each file of this folder has one verb, which declares its flags; parsing, errors and help come out of that. */
import { statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { nearest } from '../config/reading/suggest.ts';

/** Exit codes, after sysexits(3) where it has one. */
export const EXIT = {
  ok: 0,
  /** The configuration is wrong. The unit does not start the service again after this one and the next (RestartPreventExitStatus=). */
  config: 1,
  /** The command line is wrong. */
  usage: 2,
  /** No gateway is running that could be told. */
  unavailable: 69,
  /** A mistake of ours. */
  internal: 70,
  /** The system refused: an address in use, no such address. */
  system: 71,
  /** The system refused for want of permission. */
  cannotCreate: 73,
  /** It did not come about in time. */
  late: 75,
  /** The gateway is another user's. */
  noPermission: 77,
} as const;

export interface Flag {
  readonly short?: string;
  /** What the help calls the flag's value; undefined for a flag without one. */
  readonly value?: string;
  readonly doc: string;
  /** All that the value may be, where these are few words. */
  readonly choices?: readonly string[];
}

/** What a word may be, for the completion of shells: one of some words, or something that the shell itself knows. */
export type Operand = 'file' | 'folder' | 'user' | 'command' | readonly string[];

export interface Verb {
  readonly name: string;
  readonly usage: string;
  /** What it does, in a few words, for the overview. */
  readonly brief: string;
  readonly doc: string;
  readonly flags: { readonly [name: string]: Flag };
  /** Flags that other programs have for the same, as they are written, and what to write here. */
  readonly instead?: { readonly [flag: string]: string };
  /**
   * What words that are not flags mean. `none`: they are an error. `names`: flags may stand before, between and after them. `command`: the
   * first word begins a command, and what follows it belongs to that command.
   */
  readonly words: 'none' | 'names' | 'command';
  /** What the words are, one behind the other, as far as a shell can complete them; the last stands for all further ones. */
  readonly operands?: readonly Operand[];
  /**
   * @param every loads all commands, in the order of the help
   * @returns the exit code
   */
  run(line: CommandLine, every?: () => Promise<readonly Verb[]>): Promise<number>;
}

/** What follows the verb. */
export interface CommandLine {
  /** The values of the flags that are set; "" of a flag that takes none. */
  readonly flags: { readonly [name: string]: string | undefined };
  readonly words: readonly string[];
}

/** A command line that is wrong. The message says what to write. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const HELP: Flag = { short: 'h', doc: 'print this help' };

/**
 * Parses what follows the verb; everything after `--` is words. `util.parseArgs` splits the arguments; its strict mode is not used, because it
 * suggests nothing and cannot stop at a command. @returns `help` where the line asks for it. Throws a `UsageError`.
 */
export function parseCommandLine(verb: Verb, args: readonly string[]): CommandLine | 'help' {
  const known: { readonly [name: string]: Flag } = { ...verb.flags, help: HELP };
  const options = Object.fromEntries(
    Object.entries(known).map(([name, { short, value }]) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
  const { tokens } = parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true });
  const flags: { [name: string]: string } = {};
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') {
      if (verb.words === 'none')
        throw new UsageError(`runnel ${verb.name} takes no argument "${token.value}"${fileMeant(verb, token.value)}`);
      if (verb.words === 'command') return { flags, words: args.slice(token.index) };
      words.push(token.value);
      continue;
    }
    const { name, rawName, value, inlineValue } = token;
    const flag = Object.hasOwn(known, name) ? known[name] : undefined;
    if (flag === undefined)
      throw new UsageError(`runnel ${verb.name} has no flag ${rawName}${suggestion(verb, rawName)}`);
    if (flag.value === undefined && value !== undefined) throw new UsageError(`${rawName} takes no value`);
    if (name === 'help') return 'help';
    if (flag.value !== undefined && (value === undefined || (inlineValue === false && /^-./.test(value))))
      throw new UsageError(`${rawName} needs a value: ${rawName} ${flag.value}`);
    flags[name] = value ?? '';
  }
  return { flags, words };
}

/** A word where the file of a flag is likely to be meant. */
function fileMeant({ name, flags }: Verb, word: string): string {
  if (name === 'serve' && isFolder(word)) return `; to serve the files of a folder, write: runnel files ${word}`;
  if (flags['config'] !== undefined) return `; write: runnel ${name} -c ${word}`;
  return name === 'init' ? `; it prints the configuration: runnel init > ${word}` : '';
}

function isFolder(word: string): boolean {
  return statSync(word, { throwIfNoEntry: false })?.isDirectory() === true;
}

function suggestion(verb: Verb, raw: string): string {
  const { instead = {} } = verb;
  const said = Object.hasOwn(instead, raw) ? instead[raw] : undefined;
  // A sentence is one; what is left is to be written.
  if (said?.includes(': ') === true) return `; ${said}`;
  if (Object.hasOwn(instead, raw)) return `; did you mean ${instead[raw]}?`;
  const names = Object.keys(verb.flags);
  const meant = nearest(raw.replace(/^-+/, ''), names);
  if (meant !== undefined) return `; did you mean --${meant}?`;
  return names.length === 0 ? '' : `; its flags are ${names.map((name) => `--${name}`).join(', ')} and --help`;
}

/** The help of one verb. */
export function verbHelp(verb: Verb): string {
  const rows = Object.entries({ ...verb.flags, help: HELP }).map(([name, flag]) => {
    const long = `--${name}${flag.value === undefined ? '' : ` ${flag.value}`}`;
    return [flag.short === undefined ? `    ${long}` : `-${flag.short}, ${long}`, flag.doc] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  const flags = rows.map(([left, doc]) => `  ${left.padEnd(width)}  ${doc}\n`).join('');
  return `usage: ${verb.usage}\n\n${verb.doc}\n\n${flags}`;
}

/** The help of all verbs. It fits on one screen. */
export function overview(verbs: readonly Verb[]): string {
  const usages = [
    ...verbs.map(({ usage, brief }) => [usage, brief] as const),
    ['runnel help [COMMAND]', 'print this help, or the help of one command'] as const,
  ];
  const width = Math.max(...usages.map(([usage]) => usage.length));
  const rows = usages.map(([usage, brief]) => `  ${usage.padEnd(width)}  ${brief}\n`).join('');
  return `runnel serves web pages, CGI programs and live streams of program output, on one port.

${rows}
Example: runnel run -- vmstat -n 1 streams the output of a command to a page, http://127.0.0.1:8080/
`;
}
