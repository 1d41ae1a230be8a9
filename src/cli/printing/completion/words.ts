/** The command line as completion needs it, for whichever shell: what each flag and each word may be. */
import type { Flag, Operand, Verb } from '../../verb.ts';

export interface CompletedFlag {
  /** As they are typed: "-l", "--listen". */
  readonly spellings: readonly string[];
  readonly doc: string;
  /** What the help calls its value; undefined of a flag without one. */
  readonly value: string | undefined;
  readonly place: Operand;
}

export interface CompletedCommand {
  readonly name: string;
  readonly brief: string;
  readonly flags: readonly CompletedFlag[];
  /** What its words are, one behind the other; the last stands for all further ones. */
  readonly operands: readonly Operand[];
}

/** All commands, with `help`. */
export function completedCommands(verbs: readonly Verb[]): readonly CompletedCommand[] {
  const help = {
    name: 'help',
    brief: 'print the help, or that of one command',
    flags: [],
    operands: [verbs.map(({ name }) => name), []],
  };
  return [...verbs.map(completedCommand), help];
}

function completedCommand({ name, brief, flags, operands = [] }: Verb): CompletedCommand {
  return { name, brief, flags: Object.entries({ ...flags, help: HELP }).map(completedFlag), operands };
}

function completedFlag([name, flag]: readonly [string, Flag]): CompletedFlag {
  const { short, value, doc } = flag;
  return {
    spellings: [...(short === undefined ? [] : [`-${short}`]), `--${name}`],
    doc: briefly(doc),
    value,
    place: flag.choices ?? FLAG_PLACES[value ?? ''] ?? [],
  };
}

const HELP: Flag = { short: 'h', doc: 'print the help' };
const FLAG_PLACES: { readonly [value: string]: Operand | undefined } = { FILE: 'file', FOLDER: 'folder', USER: 'user' };

/** The beginning of a description, up to where its details begin: a line of a list. */
function briefly(doc: string): string {
  const [sentence = doc] = doc.split(/[;:(]|, lines as /, 1);
  return sentence.trim();
}
