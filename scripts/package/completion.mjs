// The completion of the command line for bash, made from the commands.

export function bashCompletion(verbs) {
  const cases = verbs.map(({ name, flags }) => `    ${name}) flags='${flagWords(flags)}' ;;`);
  const files = verbs.flatMap(({ flags }) => valued(flags, 'FILE'));
  const folders = verbs.flatMap(({ flags }) => valued(flags, 'FOLDER'));
  return `# bash completion for runnel                                            -*- shell-script -*-

_runnel() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} verb=\${COMP_WORDS[1]-} flags=
  COMPREPLY=()
  if ((COMP_CWORD == 1)) && [[ $word != -* ]]; then
    COMPREPLY=($(compgen -W '${verbs.map(({ name }) => name).join(' ')} help' -- "$word"))
    return
  fi
  case $previous in
    ${alternatives(files)})
      compopt -o filenames
      COMPREPLY=($(compgen -f -- "$word"))
      return
      ;;
    ${alternatives(folders)})
      compopt -o filenames
      COMPREPLY=($(compgen -d -- "$word"))
      return
      ;;
  esac
  case $verb in
${cases.join('\n')}
    -*) flags='${flagWords(verbs[0].flags)}' ;;
    help) flags='${verbs.map(({ name }) => name).join(' ')}' ;;
  esac
  COMPREPLY=($(compgen -W "$flags" -- "$word"))
} &&
  complete -o default -F _runnel runnel
`;
}

function flagWords(flags) {
  return [...Object.keys(flags).map((name) => `--${name}`), '--help'].join(' ');
}

function valued(flags, value) {
  return Object.entries(flags)
    .filter(([, flag]) => flag.value === value)
    .flatMap(([name, { short }]) => [...(short === undefined ? [] : [`-${short}`]), `--${name}`]);
}

/** A pattern of a shell's case; one that fits nothing where there is nothing. */
function alternatives(words) {
  return words.length === 0 ? "''" : [...new Set(words)].join(' | ');
}
