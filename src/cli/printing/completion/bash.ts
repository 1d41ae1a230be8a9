/** The completion for bash. It works with bash alone, and completes the command of `run` by the package bash-completion where that is loaded. */
import type { Operand } from '../../verb.ts';
import type { CompletedCommand, CompletedFlag } from './words.ts';

export function bashScript(commands: readonly CompletedCommand[]): string {
  return `# bash completion for runnel                                            -*- shell-script -*-

_runnel() {
  local cur=\${COMP_WORDS[COMP_CWORD]} verb=\${COMP_WORDS[1]-} flags= valued= option= place= word
  local -i start=2 i count=0 first=0 ended=0
  COMPREPLY=()
  if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')}' -- "$cur"))
    return
  fi
  if [[ $verb == -* ]]; then verb=serve start=1; fi
  case $verb in
${commands.map(flagsOf).join('\n')}
  esac
  # What stands before the cursor: a flag that waits for its value, and how many words are of no flag.
  for ((i = start; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ -n $option && $word == = ]]; then continue; fi
    if [[ -n $option ]]; then
      option=
    elif [[ $word == -- ]] && ((!ended)); then
      ended=1
    elif [[ $word == -* ]] && ((!ended)); then
      if [[ $valued == *" $word "* ]]; then option=$word; fi
    else
      if ((count == 0 || ended && !first)); then first=i; fi
      count+=1
    fi
  done
  if [[ $cur == = ]]; then cur=; fi
  if [[ -n $option ]]; then
    case "$verb $option" in
${commands.flatMap(valuesOf).join('\n')}
    esac
  else
    case $verb in
${commands.flatMap(operandsOf).join('\n')}
    esac
    if [[ $cur == -* && $place != rest ]] && ((!ended)); then place="= $flags"; fi
  fi
  case $place in
    file)
      compopt -o filenames 2>/dev/null
      COMPREPLY=($(compgen -f -- "$cur"))
      ;;
    folder)
      compopt -o filenames 2>/dev/null
      COMPREPLY=($(compgen -d -- "$cur"))
      ;;
    user) COMPREPLY=($(compgen -u -- "$cur")) ;;
    command) COMPREPLY=($(compgen -c -- "$cur")) ;;
    rest)
      if declare -F _command_offset >/dev/null; then
        _command_offset $first
      else
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -f -- "$cur"))
      fi
      ;;
    '= '*) COMPREPLY=($(compgen -W "\${place#= }" -- "$cur")) ;;
  esac
} &&
  complete -F _runnel runnel
`;
}

function flagsOf({ name, flags }: CompletedCommand): string {
  const valued = flags.filter(({ value }) => value !== undefined).flatMap(({ spellings }) => spellings);
  const long = flags.map(({ spellings }) => spellings.at(-1));
  return `    ${name}) flags='${long.join(' ')}' valued=' ${valued.join(' ')} ' ;;`;
}

function valuesOf({ name, flags }: CompletedCommand): readonly string[] {
  return flags.flatMap((flag) => {
    const place = placeOf(flag.place);
    return flag.value === undefined || place === undefined
      ? []
      : [`      ${patterns(name, flag)}) place='${place}' ;;`];
  });
}

function patterns(verb: string, { spellings }: CompletedFlag): string {
  return spellings.map((spelling) => `'${verb} ${spelling}'`).join(' | ');
}

function operandsOf({ name, operands }: CompletedCommand): readonly string[] {
  const cases = operands.map((operand, at) => {
    const pattern = at === operands.length - 1 ? '*' : String(at);
    if (operand !== 'command') return `        ${pattern}) place='${placeOf(operand) ?? ''}' ;;`;
    // A command is one word, and then whatever that command takes.
    return `        ${at}) place=command ;;\n        *) if ((count > ${at})); then place=rest; fi ;;`;
  });
  return cases.length === 0 ? [] : [`      ${name}) case $count in\n${cases.join('\n')}\n      esac ;;`];
}

function placeOf(operand: Operand): string | undefined {
  if (typeof operand === 'string') return operand;
  return operand.length === 0 ? undefined : `= ${operand.join(' ')}`;
}
