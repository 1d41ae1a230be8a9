/**
 * The Markdown pages for users, and what of them a test can run or check: blocks of code, code within a sentence, headings and links.
 *
 * The words behind the language of a block say what is done with it; no reader sees them. Without such a word a block is run or checked.
 *
 * - `shown="why"`: not run, because it needs root, a board or the Internet. Its syntax and what it says to runnel are checked all the same.
 * - `file="runnel.toml"`: the reader saves it, and the commands below use it.
 * - `warns="words"`: a configuration of which `check` has to warn, with these words.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A fenced block of code. */
export interface Block {
  readonly page: string;
  /** Of its first line of code, from 1. */
  readonly line: number;
  /** "" where none is named: what a program prints. */
  readonly language: string;
  /** Why it is neither run nor checked beyond its syntax. */
  readonly shown: string | undefined;
  /** The file that the reader saves it as, from where the reader is. */
  readonly file: string | undefined;
  /** Words of the warning that `runnel check` is to give. */
  readonly warns: string | undefined;
  /** The headings that it is below, the nearest last. */
  readonly headings: readonly string[];
  readonly text: string;
}

export interface Page {
  /** From the root of the repository: "docs/start.md". */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** What stands outside of blocks, with its line. */
  readonly prose: readonly { readonly line: number; readonly text: string }[];
}

function note(info: string, name: string): string | undefined {
  return new RegExp(`\\b${name}="([^"]*)"`).exec(info)?.[1];
}

/** Every page for users: the README, config/, docs/, deploy/. */
export function readPages(): readonly Page[] {
  const below = (folder: string): readonly string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name))
      .sort();
  return ['README.md', ...below('config'), ...below('docs'), ...below('deploy')].map(readPage);
}

export function readPage(path: string): Page {
  const text = readFileSync(path, 'utf8');
  const blocks: Block[] = [];
  const prose: { line: number; text: string }[] = [];
  const headings: string[] = [];
  let open: { line: number; fence: string; info: string; lines: string[] } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^( *)(```+)(.*)$/.exec(line);
    if (open === undefined && fence !== null) {
      open = { line: index + 2, fence: `${fence[1]}${fence[2]}`, info: fence[3]?.trim() ?? '', lines: [] };
    } else if (open === undefined) {
      const heading = /^(#+) (.*)$/.exec(line);
      if (heading !== null) headings.splice((heading[1] ?? '').length - 1, Infinity, heading[2] ?? '');
      prose.push({ line: index + 1, text: line });
    } else if (line.startsWith(open.fence)) {
      const { info, lines } = open;
      const indent = open.fence.length - open.fence.trimStart().length;
      blocks.push({
        page: path,
        line: open.line,
        language: /^\S*/.exec(info)?.[0] ?? '',
        shown: note(info, 'shown'),
        file: note(info, 'file'),
        warns: note(info, 'warns'),
        headings: headings.filter((heading) => heading !== undefined),
        text: lines.map((code) => `${code.slice(indent)}\n`).join(''),
      });
      open = undefined;
    } else open.lines.push(line);
  }
  if (open !== undefined) throw new Error(`${path}:${open.line}: the block has no end`);
  return { path, text, blocks, prose };
}

/**
 * The first block of a page that is meant, as a test gives it to a program.
 *
 * @param below the heading that is nearest above it
 * @param begins how its text begins
 */
export function codeOf(
  path: string,
  language: string,
  { below, begins = '' }: { readonly below?: string; readonly begins?: string },
): string {
  const found = readPage(path).blocks.find(
    (block) =>
      block.language === language &&
      (below === undefined || block.headings.at(-1) === below) &&
      block.text.startsWith(begins),
  );
  if (found === undefined)
    throw new Error(`${path} has no block of ${language} below "${below ?? ''}" that begins with "${begins}"`);
  return found.text;
}

/** The lines of a shell block, each a command: what goes on after a backslash, an operator or within a here-document is one. */
export function commandsOf(text: string): readonly string[] {
  const commands: string[] = [];
  let command = '';
  let hereDocument: string | undefined;
  for (const line of text.split('\n')) {
    if (command === '' && (line.trim() === '' || line.startsWith('#'))) continue;
    command += `${line}\n`;
    if (hereDocument !== undefined) {
      if (line !== hereDocument) continue;
      hereDocument = undefined;
    } else hereDocument = /<<-?\s*'?(\w+)'?/.exec(line)?.[1];
    if (hereDocument !== undefined || /(\\|\||&&)$/.test(line)) continue;
    commands.push(command);
    command = '';
  }
  return command === '' ? commands : [...commands, command];
}
