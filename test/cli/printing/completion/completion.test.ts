/** The completion of the command line, asked of the shells themselves. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { completionScript, type Shell } from '../../../../src/cli/printing/completion/completion.ts';
import { VERBS } from '../../../../src/cli/verbs.ts';

const DEADLINE = 60_000;

/** What is typed, what must be offered, and what must not be. */
const CASES: readonly [line: string, offered: readonly string[], not: readonly string[]][] = [
  ['runnel ch', ['check'], ['serve', '--config']],
  ['runnel tls ', ['check', 'self-signed'], ['serve', 'gateway.toml']],
  ['runnel tls se', ['self-signed'], ['check']],
  ['runnel tls check ga', ['gateway.toml'], ['self-signed']],
  ['runnel help to', ['token'], ['tls']],
  ['runnel completion z', ['zsh'], ['bash']],
  ['runnel serve -c ga', ['gateway.toml'], []],
  ['runnel check --config=ga', ['gateway.toml'], []],
  ['runnel -c ga', ['gateway.toml'], []],
  ['runnel check --as roo', ['root'], ['gateway.toml']],
  ['runnel run --sh', ['--share'], ['--config', 'sh']],
  ['runnel run --share ', ['client', 'all', 'query'], ['gateway.toml']],
  ['runnel run -d pa', ['pages'], []],
  ['runnel run --directory ', ['pages'], ['gateway.toml']],
  ['runnel run --share all -- envsub', ['envsubst-of-a-test'], ['--share']],
  ['runnel run --share all -- cat ga', ['gateway.toml'], ['--share']],
  ['runnel files pa', ['pages'], []],
  ['runnel files ', ['pages'], ['gateway.toml']],
  ['runnel connect --framing le', ['length-prefixed'], ['raw']],
  ['runnel connect ws://board/ --re', ['--reconnect'], []],
  ['runnel connect --token-file ga', ['gateway.toml'], []],
];

describe('completion', () => {
  let folder: string;
  const scripts = new Map<Shell, string>();

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'runnel-completion-'));
    for (const name of ['pages', 'bin', 'home']) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'gateway.toml'), '');
    writeFileSync(join(folder, 'bin/envsubst-of-a-test'), '#!/bin/sh\n', { mode: 0o755 });
    const verbs = await Promise.all([...VERBS.values()].map((load) => load()));
    for (const shell of ['bash', 'zsh', 'fish'] as const) {
      const file = join(folder, shell === 'zsh' ? '_runnel' : `runnel.${shell}`);
      writeFileSync(file, completionScript(shell, verbs));
      scripts.set(shell, file);
    }
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const [shell, driver] of Object.entries({ bash, zsh, fish })) {
    const found = spawnSync(shell, ['--version']).status === 0;
    test(`${shell} completes commands, second words, flags, their values and files`, {
      skip: !found && `needs ${shell}`,
    }, () => {
      const script = scripts.get(shell as Shell) ?? '';
      const program = join(folder, `${shell}.program`);
      writeFileSync(
        program,
        driver(
          script,
          CASES.map(([line]) => line),
        ),
      );
      const run = spawnSync(shell, [...WITHOUT_FILES[shell as Shell], program], {
        cwd: folder,
        encoding: 'utf8',
        timeout: DEADLINE,
        env: {
          PATH: `${folder}/bin:${process.env['PATH']}`,
          HOME: join(folder, 'home'),
          TERM: 'dumb',
          LC_ALL: 'C.UTF-8',
        },
      });
      const answers = run.stdout.split('=== END\n');
      assert.equal(answers.length, CASES.length + 1, `${run.stdout}${run.stderr}`);
      for (const [at, [line, offered, not]] of CASES.entries()) {
        // A folder may have its slash; a flag with "=" may be whole.
        const words = (answers[at] ?? '').split('\n').map((word) => word.replace(/^--config=(?=.)|[/ ]$/g, ''));
        for (const word of offered) assert.ok(words.includes(word), `${line}: ${word} is not in ${words.join(' | ')}`);
        for (const word of not) assert.ok(!words.includes(word), `${line}: ${word} is in ${words.join(' | ')}`);
      }
    });
  }
});

/** Flags that keep a shell from reading what its user has set up. */
const WITHOUT_FILES = { bash: ['--norc', '--noprofile'], zsh: ['-f'], fish: ['--no-config'] };

/** As readline asks: words, split at "=" too. */
function bash(script: string, lines: readonly string[]): string {
  const asked = lines.map((line) => {
    const words = line.replaceAll('=', ' = ').split(/ +/);
    return `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
_runnel runnel '' ''; printf '%s\\n' "\${COMPREPLY[@]}"; echo '=== END'\n`;
  });
  return `. '${script}'\n${asked.join('')}`;
}

function fish(script: string, lines: readonly string[]): string {
  const asked = lines.map((line) => `complete -C '${line}' | string replace -r '\\t.*' ''; echo '=== END'\n`);
  return `source '${script}'\n${asked.join('')}`;
}

/** Its completion works only in its line editor: one in a pseudo-terminal, which writes down what is added to the list. */
function zsh(script: string, lines: readonly string[]): string {
  const out = `${script}.out`;
  const setup = `
PROMPT= PS2= RPROMPT=
unset zle_bracketed_paste
fpath=('${join(script, '..')}' $fpath)
autoload -Uz compinit && compinit -u -D
zstyle ':completion:*' menu no
# The list of these is emptied at each completion.
ended() { print -r -- '=== END' >>'${out}'; comppostfuncs=(ended) }
comppostfuncs=(ended)
compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
  local -a hits
  builtin compadd -A hits "$@"
  print -rl -- $hits >>'${out}'
  builtin compadd "$@"
}
bindkey '^I' list-choices
bindkey '^U' kill-whole-line
print -r -- ready >'${out}.ready'`;
  const asked = lines.map(
    (line, at) => `zpty -w -n z '${line}'$'\\t'
until [[ $(grep -c '=== END' '${out}' 2>/dev/null) -ge ${at + 1} ]]; do zselect -t 2; zpty -r -t z rest; done
zpty -w -n z $'\\C-u'\n`,
  );
  return `zmodload zsh/zpty zsh/zselect
zpty z zsh -f -i
cat >'${script}.setup' <<'SETUP'${setup}
SETUP
zpty -w z "source '${script}.setup'"
until [[ -e '${out}.ready' ]]; do zselect -t 2; zpty -r -t z rest; done
${asked.join('')}
zpty -d z
cat '${out}'
`;
}
