/** Command lines: each verb says once which flags it has; parsing, errors and help come out of that. */
import { parseArgs } from 'node:util';
import { nearest } from '../config/reading/suggest.ts';

export interface Flag {
  readonly short?: string;
  /** What the help calls the flag's value; undefined for a flag without one. */
  readonly value?: string;
  readonly doc: string;
}

export interface Verb {
  readonly name: string;
  readonly usage: string;
  /** A few words for the overview. */
  readonly brief: string;
  readonly doc: string;
  readonly flags: { readonly [name: string]: Flag };
  /** Whether words that are no flags are allowed. */
  readonly words: boolean;
  run(given: Given): Promise<number>;
}

export interface Given {
  readonly flags: { readonly [name: string]: string | true | undefined };
  readonly words: readonly string[];
}

/** A command line that is wrong; the message says what was meant. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Parses what follows the verb. Everything after `--`, or after the first word, is words. */
export function parseFlags(verb: Verb, args: readonly string[]): Given {
  const options = Object.fromEntries(
    Object.entries(verb.flags).map(([name, flag]) => [
      name,
      {
        type: flag.value === undefined ? ('boolean' as const) : ('string' as const),
        ...(flag.short === undefined ? {} : { short: flag.short }),
      },
    ]),
  );
  const { tokens } = parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true });
  const flags: { [name: string]: string | true } = {};
  for (const token of tokens) {
    if (token.kind === 'positional' || token.kind === 'option-terminator') {
      const words = args.slice(token.kind === 'positional' ? token.index : token.index + 1);
      if (words.length > 0 && !verb.words) throw new UsageError(`runnel ${verb.name} takes no "${words[0]}"`);
      return { flags, words };
    }
    const flag = verb.flags[token.name];
    if (flag === undefined) throw new UsageError(unknownFlag(verb, token.rawName));
    if (flag.value === undefined && token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`);
    if (flag.value !== undefined && token.value === undefined)
      throw new UsageError(`${token.rawName} needs a value: ${token.rawName} ${flag.value}`);
    flags[token.name] = token.value ?? true;
  }
  return { flags, words: [] };
}

function unknownFlag(verb: Verb, raw: string): string {
  const known = Object.keys(verb.flags);
  const meant = nearest(raw.replace(/^-+/, ''), known);
  const hint =
    meant === undefined
      ? known.length > 0
        ? `; it has ${known.map((name) => `--${name}`).join(', ')}`
        : ''
      : `; did you mean --${meant}?`;
  return `runnel ${verb.name} has no flag ${raw}${hint}`;
}

/** The help of one verb. */
export function verbHelp(verb: Verb): string {
  const rows = Object.entries(verb.flags).map(([name, flag]) => {
    const long = `--${name}${flag.value === undefined ? '' : ` ${flag.value}`}`;
    return [flag.short === undefined ? `    ${long}` : `-${flag.short}, ${long}`, flag.doc] as const;
  });
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  const flags = rows.map(([left, doc]) => `  ${left.padEnd(width)}  ${doc}\n`).join('');
  return `${verb.usage}\n\n${verb.doc}\n${flags === '' ? '' : `\n${flags}`}`;
}
