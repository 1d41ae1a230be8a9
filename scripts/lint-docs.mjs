// Checks the words of the documentation: spelling with cspell (British English), then the style rules below. Of the source it checks the
// spelling of strings that are sentences: help, errors, lines of the log. Part of `npm run lint`.
//   npm run lint:docs                    all pages, and the source
//   npm run lint:docs -- docs/tls.md     these pages only
//   npm run lint:docs -- --count         for each page: sentences, long ones, words that a rule refuses; always status 0
// Words that cspell does not know: .ci/words.txt. Refused words, each with advice: .ci/style.json.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** More words than this in one sentence is a problem. */
const LONGEST = 25;

const RULES = JSON.parse(readFileSync('.ci/style.json', 'utf8')).map(([pattern, advice]) => [
  new RegExp(pattern, 'g'),
  advice,
]);

const given = process.argv.slice(2);
const counting = given.includes('--count');
const named = given.filter((name) => name !== '--count');
const pages = named.length > 0 ? named : allPages();
const sources = named.length > 0 ? [] : ['src/**/*.ts'];

if (counting) count();
else check();

function allPages() {
  const below = (folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) =>
      folder === '.' ? name : `${folder}/${name}`,
    );
  // Its lines are the titles of commits.
  const top = readdirSync('.').filter((name) => name.endsWith('.md') && name !== 'CHANGELOG.md');
  return [...top, ...below('docs'), ...below('deploy')].filter((name) => name.endsWith('.md')).sort();
}

function check() {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      'node_modules/cspell/bin.mjs',
      'lint',
      '--config',
      '.ci/spelling.json',
      '--no-progress',
      '--no-summary',
      ...pages,
      ...sources,
    ],
    { encoding: 'utf8' },
  );
  if (status !== 0) {
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    console.log(
      'Spelling: correct the word, put it in `code` if it is code, or add it to .ci/words.txt (a word of the field).',
    );
  }
  const problems = pages.flatMap((page) => problemsOf(page));
  for (const problem of problems) console.log(problem);
  if (problems.length > 0)
    console.log(
      `Style: ${problems.length} problems. The rules and their advice are in .ci/style.json and scripts/lint-docs.mjs.`,
    );
  process.exit(status === 0 && problems.length === 0 ? 0 : 1);
}

function count() {
  const totals = [0, 0, 0];
  for (const page of pages) {
    const sentences = sentencesOf(page);
    const long = sentences.filter(({ text }) => words(text) > LONGEST).length;
    const refused = sentences.reduce((sum, { text, heading }) => sum + (heading ? 0 : refusedIn(text).length), 0);
    [sentences.length, long, refused].forEach((figure, index) => {
      totals[index] += figure;
    });
    console.log(`${page}: ${sentences.length} sentences, ${long} over ${LONGEST} words, ${refused} refused words`);
  }
  console.log(`all: ${totals[0]} sentences, ${totals[1]} over ${LONGEST} words, ${totals[2]} refused words`);
}

function problemsOf(page) {
  return sentencesOf(page).flatMap(({ text, line, heading }) => {
    const length = words(text);
    const long =
      length > LONGEST ? [`a sentence of ${length} words (at most ${LONGEST}): split it. It is: ${text}`] : [];
    const refused = heading
      ? []
      : refusedIn(text).map(({ word, advice }) => `"${word}": better: ${advice}. In: ${text}`);
    return [...long, ...refused].map((problem) => `${page}:${line}: ${problem}`);
  });
}

function refusedIn(text) {
  return RULES.flatMap(([pattern, advice]) =>
    [...text.matchAll(pattern)].map(([word]) => ({ word: word.trim(), advice })),
  );
}

function words(text) {
  return text.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
}

/** The sentences of a page, without code, HTML and the targets of links. A cell of a table, an item of a list and a heading are texts of their own. */
function sentencesOf(page) {
  const sentences = [];
  let block = [];
  let start = 0;
  let fence = '';
  const add = (text, line, heading = false) => {
    const plain = text
      .replaceAll(/<!--.*?-->/gs, '')
      .replaceAll(
        /(`+)[^`].*?\1/gs,
        (code) => `\`${code.length > 3 ? code.slice(1, -1).replaceAll(/[\s.!?;:]+/g, '_') : ''}\``,
      )
      .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replaceAll(/<\/?[a-z][^>]*>/g, ' ')
      .replaceAll(/\*\*|__/g, '')
      .replaceAll(/\s+/g, ' ')
      .trim();
    for (const sentence of plain.split(/(?<=[.!?]["')*]*) (?=["'(*`]*(?:[\p{Lu}\d`]|runnel |client\.js)|"\p{Ll})/u))
      if (sentence !== '') sentences.push({ text: sentence, line, heading });
  };
  const flush = () => {
    if (block.length > 0) add(block.join(' '), start);
    block = [];
  };
  const lines = readFileSync(page, 'utf8').split('\n');
  lines.forEach((line, index) => {
    const mark = /^\s*(```|~~~)/.exec(line)?.[1];
    if (fence !== '') {
      if (mark === fence) fence = '';
      return;
    }
    if (mark !== undefined) {
      flush();
      fence = mark;
    } else if (/^\s*$/.test(line)) flush();
    else if (/^#+ /.test(line)) {
      flush();
      add(line.replace(/^#+ /, ''), index + 1, true);
    } else if (/^\s*\|/.test(line)) {
      flush();
      // The row above "| --- |" has the titles of the columns.
      const heading = /^\s*\|[\s|:-]+$/.test(lines[index + 1] ?? '');
      for (const cell of line.split(/(?<!\\)\|/)) add(cell, index + 1, heading);
    } else {
      if (/^\s*(?:[-*>]|\d+\.) /.test(line)) flush();
      if (block.length === 0) start = index + 1;
      block.push(line.replace(/^\s*(?:[-*>]|\d+\.) /, ''));
    }
  });
  flush();
  return sentences;
}
