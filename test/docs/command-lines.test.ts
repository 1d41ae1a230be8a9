/** Every command line of runnel on a page for users is one that runnel takes: its command and its flags are there, and their values fit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCommandLine, UsageError } from '../../src/cli/verb.ts';
import { VERBS } from '../../src/cli/verbs.ts';
import { LineError, readCommandLine } from '../../src/cli/websocketd/command-line.ts';
import { commandsOf, type Page, readPages } from './pages.ts';
import { runnelLines } from './shell.ts';

const pages = readPages();

interface Line {
  readonly at: string;
  readonly words: readonly string[];
  /** Within a sentence: the value of its last flag may be left out. */
  readonly isNamed: boolean;
}

/** In blocks of commands, in what is shown of a terminal ("$ runnel …"), and in code within a sentence. */
function linesOf({ path, blocks, prose }: Page): readonly Line[] {
  const inBlocks = blocks.flatMap(({ language, line, text }) => {
    const typed = language === 'sh' ? text : text.replaceAll(/^(?!\$ ).*\n/gm, '').replaceAll(/^\$ /gm, '');
    if (!['sh', 'text', ''].includes(language) || /^#!/.test(typed)) return [];
    return commandsOf(typed).flatMap((command) =>
      runnelLines(command).map((words) => ({ at: `${path}:${line}`, words, isNamed: false })),
    );
  });
  const named = prose.flatMap(({ line, text }) =>
    [...text.matchAll(/`((?:sudo |npx )?runnel [^`]*)`/g)].flatMap(([, code = '']) =>
      runnelLines(code).map((words) => ({ at: `${path}:${line}`, words, isNamed: true })),
    ),
  );
  return [...inBlocks, ...named];
}

/** What runnel says against it; undefined for nothing. */
async function objection({ words, isNamed }: Line): Promise<string | undefined> {
  const [first = '', ...rest] = words;
  if (['--version', '--help', 'help'].includes(first))
    return rest.every((name) => VERBS.has(name)) ? undefined : `there is no command "${rest.join(' ')}"`;
  const load = VERBS.get(first.startsWith('-') ? 'serve' : first);
  if (load === undefined) return `there is no command "${first}"`;
  // "…" stands for what the reader puts in.
  const args = (first.startsWith('-') ? words : rest).filter((word) => word !== '…');
  try {
    if (first === 'websocketd') readCommandLine(args.length === 0 ? ['true'] : args);
    else parseCommandLine(await load(), args);
  } catch (error) {
    if (isNamed && error instanceof UsageError && error.message.includes('needs a value')) return undefined;
    if (isNamed && error instanceof LineError && args.includes('--print-config')) return undefined;
    if (error instanceof UsageError || error instanceof LineError) return error.message;
    throw error;
  }
  if (first === 'tls' && !['check', 'self-signed', undefined].includes(rest[0]))
    return `runnel tls has no "${rest[0]}"`;
  return undefined;
}

test('there are command lines to look at', () => {
  const verbs = new Set(pages.flatMap(linesOf).map(({ words: [verb = ''] }) => verb));
  assert.deepEqual(
    ['serve', 'check', 'status', 'reload', 'stop', 'run', 'files', 'connect', 'tls', 'token'].filter(
      (verb) => !verbs.has(verb),
    ),
    [],
  );
});

test('the command lines of every page', async () => {
  const found: string[] = [];
  for (const line of pages.flatMap(linesOf)) {
    const said = await objection(line);
    if (said !== undefined) found.push(`${line.at}: runnel ${line.words.join(' ')}: ${said}`);
  }
  assert.deepEqual(found, []);
});
