/** Whether a command is one into which its input is typed as commands: whoever can type there can do whatever its user can. Pure. */
import { basename } from 'node:path';

/** Without the version that may follow, as in python3.11. */
const SHELLS: ReadonlySet<string> = new Set([
  ...['sh', 'bash', 'dash', 'ash', 'zsh', 'ksh', 'mksh', 'fish', 'csh', 'tcsh', 'rbash', 'pwsh', 'busybox'],
  ...[
    'python',
    'pypy',
    'ipython',
    'perl',
    'ruby',
    'irb',
    'node',
    'deno',
    'bun',
    'lua',
    'luajit',
    'php',
    'tclsh',
    'guile',
    'ghci',
    'R',
  ],
  ...[
    'psql',
    'mysql',
    'mariadb',
    'sqlite',
    'redis-cli',
    'mongosh',
    'gdb',
    'gawk',
    'su',
    'login',
    'screen',
    'tmux',
    'bc',
    'ed',
    'vi',
    'vim',
  ],
]);
/** They reach another machine's. */
const REMOTE: ReadonlySet<string> = new Set(['ssh', 'telnet', 'rlogin', 'mosh', 'picocom', 'minicom']);

/**
 * The last word that is no option says it, so that `sudo -u ann bash -i` and `docker exec -i box sh` are found, and `bash poll.sh` and
 * `sh -c '…'` are not.
 * @returns its name
 */
export function shellIn(command: readonly string[]): string | undefined {
  const first = basename(command[0] ?? '');
  if (REMOTE.has(first)) return first;
  const last = command.findLast((word) => !word.startsWith('-'));
  const name = basename(last ?? '');
  return SHELLS.has(name.replace(/[\d.]+$/, '')) || SHELLS.has(name) ? name : undefined;
}
