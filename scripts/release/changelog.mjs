// CHANGELOG.md: a section for each version, written from the titles of commits, which a person edits afterwards.
//
// A section remembers the last commit that it knows in a comment. So a later run adds what is new since then, and keeps what was edited.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { entryDate } from './checks.mjs';
import { git, gitMaybe } from './git.mjs';

const FILE = 'CHANGELOG.md';
const HEAD = `# Changes

The newest version is first. The form is that of [Keep a Changelog](https://keepachangelog.com/en/1.1.0/).
`;
/** Nobody who uses runnel sees a change of these alone. */
const UNSEEN = ['CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'src/README.md', 'test', '.ci', '.github'];
/** In their order. What has no such word is a change. */
const GROUPS = ['Added', 'Changed', 'Removed', 'Fixed', 'Security'];
const WORDS = [
  ['Security', /\b(?:security|vulnerabilit|CVE-\d)/i],
  ['Fixed', /^(?:fix|mend|repair)|\b(?:no longer|not .* any more)\b/i],
  ['Removed', /^(?:remove|drop|delete)/i],
  ['Added', /^(?:add|new)\b/i],
];

/** @returns whether the file is another one now */
export function writeChangelog(version) {
  const { before, after } = texts(version);
  if (before === after) return false;
  writeFileSync(FILE, after);
  return true;
}

/** @returns a line where a run would write something */
export function changelogProblems(version) {
  try {
    const { before, after } = texts(version);
    return before === after ? [] : [`${FILE}: it lacks what is new in ${version}. "npm run release" writes it.`];
  } catch (error) {
    return [error.message];
  }
}

function texts(version) {
  const before = existsSync(FILE) ? readFileSync(FILE, 'utf8') : '';
  const parts = (before === '' ? HEAD : before).split(/^(?=## )/m);
  const at = parts.findIndex((part) => part.startsWith(`## [${version}]`));
  const last = gitMaybe('describe', '--tags', '--abbrev=0', '--match', 'v[0-9]*', '--exclude', `v${version}`, 'HEAD');
  if (at !== -1) parts[at] = last === undefined ? parts[at] : extended(parts[at], version);
  else {
    const head = `## [${version}] - ${entryDate()}\n`;
    const text = last === undefined ? `${head}\nThe first release.\n` : added(`${head}\n${mark()}\n`, titles(last));
    if (!parts[0].endsWith('\n\n')) parts[0] += '\n';
    parts.splice(1, 0, parts.length > 1 ? `${text}\n` : text);
  }
  return { before, after: parts.join('') };
}

const mark = () => `<!-- up to ${git('rev-parse', 'HEAD')} -->`;

/** A section with what is new since the commit that it names. One without such a name is whole: a person has taken it out. */
function extended(section, version) {
  const [comment, known] = /<!-- up to ([0-9a-f]{40,64}) -->/.exec(section) ?? [];
  if (known === undefined) return section;
  if (gitMaybe('merge-base', '--is-ancestor', known, 'HEAD') === undefined)
    throw new Error(
      `${FILE}: the section of ${version} goes up to the commit ${known.slice(0, 12)}, which is not in this branch. Write the commit up to which it is right there, or delete the section.`,
    );
  const found = titles(known);
  return found.length === 0 ? section : added(section.replace(comment, mark()), found);
}

/** The titles of the commits since one, oldest first. */
function titles(since) {
  const paths = UNSEEN.map((path) => `:(exclude)${path}`);
  return git('log', '--no-merges', '--reverse', '--format=%s', `${since}..HEAD`, '--', '.', ...paths)
    .split('\n')
    .filter(Boolean);
}

/** A section with further lines, each in its group. */
function added(section, lines) {
  const [head, ...rest] = section.trimEnd().split(/^### /m);
  const groups = new Map(
    rest.map((part) => [part.slice(0, part.indexOf('\n')).trim(), part.slice(part.indexOf('\n'))]),
  );
  for (const line of lines) {
    const [group] = WORDS.find(([, pattern]) => pattern.test(line)) ?? ['Changed'];
    groups.set(group, `${(groups.get(group) ?? '\n').trimEnd()}\n${groups.has(group) ? '' : '\n'}- ${plain(line)}\n`);
  }
  const place = (name) => (GROUPS.includes(name) ? GROUPS.indexOf(name) : GROUPS.length);
  const sorted = [...groups].sort(([one], [other]) => place(one) - place(other));
  const texts = sorted.map(([name, text]) => `### ${name}\n\n${text.trim()}\n`);
  const end = /\n\n$/.test(section) ? '\n' : '';
  return `${[`${head.trimEnd()}\n`, ...texts].join('\n')}${end}`;
}

/** A title is no Markdown. */
function plain(title) {
  return title.replaceAll(/[\\<[\]*_`]/g, '\\$&');
}
