/** `runnel completion`: prints a script by which a shell completes the command line. */
import { EXIT, UsageError, type Verb } from '../../verb.ts';
import { bashScript } from './bash.ts';
import { fishScript } from './fish.ts';
import { type CompletedCommand, completedCommands } from './words.ts';
import { zshScript } from './zsh.ts';

export type Shell = 'bash' | 'zsh' | 'fish';

const SCRIPTS: { readonly [S in Shell]: (commands: readonly CompletedCommand[]) => string } = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

export const completion: Verb = {
  name: 'completion',
  usage: 'runnel completion bash|zsh|fish',
  brief: 'print the completion script for a shell',
  doc: `Prints a script that makes a shell complete the commands, the flags and the file names of runnel. The Debian package installs it.

Examples:
  runnel completion bash >~/.local/share/bash-completion/completions/runnel
  runnel completion zsh >~/.zfunc/_runnel       with fpath=(~/.zfunc $fpath) before compinit in ~/.zshrc
  runnel completion fish >~/.config/fish/completions/runnel.fish`,
  flags: {},
  words: 'names',
  operands: [Object.keys(SCRIPTS), []],
  async run({ words: [shell, ...more] }, every = () => Promise.resolve([])) {
    if (shell === undefined || more.length > 0 || !isShell(shell))
      throw new UsageError(`runnel completion needs the name of one shell: ${Object.keys(SCRIPTS).join(', ')}`);
    process.stdout.write(completionScript(shell, await every()));
    return EXIT.ok;
  },
};

/** The script for a shell. `verbs` are in the order in which they are listed. */
export function completionScript(shell: Shell, verbs: readonly Verb[]): string {
  return SCRIPTS[shell](completedCommands(verbs));
}

function isShell(name: string): name is Shell {
  return Object.hasOwn(SCRIPTS, name);
}
