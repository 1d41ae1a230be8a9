/** The completion for fish. */
import type { Operand } from '../../verb.ts';
import type { CompletedCommand, CompletedFlag } from './words.ts';

export function fishScript(commands: readonly CompletedCommand[]): string {
  return `# fish completion for runnel

# Whether the command line is one of this command of runnel.
function __runnel_is
    set -l words (commandline -opc)
    set -l verb $words[2]
    if not set -q words[2]; or string match -q -- '-*' $verb
        set verb serve
    end
    test "$verb" = "$argv[1]"
end

# Whether N words that are of no flag stand before the cursor; with "+" also more. Flags that take a value follow.
function __runnel_has
    set -l words (commandline -opc)
    set -l count 0
    set -l waits no
    for word in $words[3..]
        if test $waits = yes
            set waits no
        else if contains -- $word $argv[3..]
            set waits yes
        else if not string match -q -- '-*' $word
            set count (math $count + 1)
        end
    end
    test $count -eq $argv[1]; or test "$argv[2]" = + -a $count -gt $argv[1]
end

# What the command of "runnel run" completes: the command line without what stands before it.
function __runnel_rest
    set -l words (commandline -opc) (commandline -ct)
    set -l waits no
    for at in (seq 3 (count $words))
        set -l word $words[$at]
        if test $waits = yes
            set waits no
        else if contains -- $word $argv
            set waits yes
        else if not string match -q -- '-*' $word; or test $at -eq (count $words)
            complete -C (string join ' ' -- (string escape -- $words[$at..-2]) $words[-1])
            return
        end
    end
end

function __runnel_no_verb
    test (count (commandline -opc)) -eq 1
end

complete -c runnel -f
${commands.map(({ name, brief }) => `complete -c runnel -n __runnel_no_verb -a ${name} -d ${quoted(brief)}`).join('\n')}
${commands.flatMap(linesOf).join('\n')}
`;
}

function linesOf({ name, flags, operands }: CompletedCommand): readonly string[] {
  const valued = flags.filter(({ value }) => value !== undefined).flatMap(({ spellings }) => spellings);
  const flagLines = flags.map((flag) => `complete -c runnel -n '__runnel_is ${name}' ${flagWords(flag)}`);
  const operandLines = operands.flatMap((operand, at) => {
    if (operand.length === 0) return [];
    const isLast = at === operands.length - 1;
    const condition = `'__runnel_is ${name}; and __runnel_has ${at} ${isLast ? '+' : '='} ${valued.join(' ')}'`;
    if (operand === 'command')
      return [`complete -c runnel -n ${condition} -x -a '(__runnel_rest ${valued.join(' ')})'`];
    return [`complete -c runnel -n ${condition} ${argumentOf(operand)}`];
  });
  return [...flagLines, ...operandLines];
}

function flagWords({ spellings, doc, value, place }: CompletedFlag): string {
  const names = spellings.map((spelling) =>
    spelling.startsWith('--') ? `-l ${spelling.slice(2)}` : `-s ${spelling.slice(1)}`,
  );
  return [...names, ...(value === undefined ? [] : [argumentOf(place)]), `-d ${quoted(doc)}`].join(' ');
}

/** Arguments are none of files by themselves (-f at the top). */
function argumentOf(operand: Operand): string {
  if (operand === 'file') return '-r -F';
  if (operand === 'folder') return `-x -a '(__fish_complete_directories (commandline -ct) "")'`;
  if (operand === 'user') return `-x -a '(__fish_complete_users)'`;
  if (operand === 'command') return `-x -a '(__fish_complete_command)'`;
  return operand.length === 0 ? '-x' : `-x -a '${operand.join(' ')}'`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
