/** The completion for zsh: a file _runnel in a folder of fpath. */
import type { Operand } from '../../verb.ts';
import type { CompletedCommand, CompletedFlag } from './words.ts';

export function zshScript(commands: readonly CompletedCommand[]): string {
  const list = commands.map(({ name, brief }) => `    '${quoted(`${name.replaceAll(':', '\\:')}:${brief}`)}'`);
  return `#compdef runnel

_runnel() {
  local -a verbs
  verbs=(
${list.join('\n')}
  )
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _describe -t commands command verbs
    return
  fi
  local verb=$words[2]
  if [[ $verb == -* ]]; then
    verb=serve
  else
    shift words
    (( CURRENT-- ))
  fi
  case $verb in
${commands.map(commandCase).join('\n')}
  esac
}

_runnel "$@"
`;
}

function commandCase({ name, flags, operands }: CompletedCommand): string {
  const specs = [...flags.map(flagSpec), ...operands.flatMap(operandSpecs)];
  return `    ${name})\n      _arguments -S${specs.map((spec) => ` \\\n        ${spec}`).join('')}\n      ;;`;
}

/** Both spellings of a flag exclude each other. */
function flagSpec({ spellings, doc, value, place }: CompletedFlag): string {
  // With "=" its value may stand in the same word.
  const written = spellings.map((spelling) =>
    value !== undefined && spelling.startsWith('--') ? `${spelling}=` : spelling,
  );
  const names = spellings.length > 1 ? `'(${spellings.join(' ')})'{${written.join(',')}}` : written.join('');
  const argument = value === undefined ? '' : `:${escaped(value)}:${actionOf(place)}`;
  return `${names}'[${quoted(escaped(doc))}]${argument}'`;
}

function operandSpecs(operand: Operand, at: number, all: readonly Operand[]): readonly string[] {
  // A command ends what is ours: its own flags are its own.
  if (operand === 'command') return [`'(-)${at + 1}:command:_command_names -e'`, `'*::argument:_normal'`];
  const isLast = at === all.length - 1;
  return operand.length === 0 && isLast ? [] : [`'${isLast ? '*' : String(at + 1)}: :${actionOf(operand)}'`];
}

function actionOf(operand: Operand): string {
  if (operand === 'file') return '_files';
  if (operand === 'folder') return '_files -/';
  if (operand === 'user') return '_users';
  if (operand === 'command') return '_command_names -e';
  return operand.length === 0 ? ' ' : `(${operand.join(' ')})`;
}

/** In the brackets of a description. */
function escaped(text: string): string {
  return text.replaceAll('\\', '').replaceAll(/[[\]:]/g, '\\$&');
}

function quoted(text: string): string {
  return text.replaceAll("'", "'\\''");
}
