// What has to hold before a release, and what to do where it does not.
import { existsSync, readFileSync } from 'node:fs';
import { git, gitMaybe } from './git.mjs';

const DEBIAN = 'deploy/debian/changelog';
/** How many changed files a message names. */
const NAMED = 5;

/** The version of package.json, of which everything else has to be. */
export function readVersion() {
  return JSON.parse(readFileSync('package.json', 'utf8')).version;
}

/**
 * @param version of package.json
 * @param want `all`: .ci/run will be run; `published`: the folder that --published names
 * @returns a line for each problem
 */
export function findProblems(version, { all, published }) {
  const problems = [...treeProblems(), ...versionProblems(version), ...tagProblems(version)];
  if (all && process.getuid?.() !== 0)
    problems.push('.ci/run needs root on Debian 12. Run this in a container of it, or rehearse with --quick.');
  if (published !== undefined && !existsSync(`${published}/dists/stable/Release`))
    problems.push(`--published ${published}: no Debian repository. Name the folder that has "dists" and "pool".`);
  return problems;
}

/** A release is made of a commit, and of nothing that only this machine has. */
export function treeProblems() {
  const changed = git('status', '--porcelain').split('\n').filter(Boolean);
  if (changed.length === 0) return [];
  const names = changed.slice(0, NAMED).map((line) => line.slice(3));
  const more = changed.length > NAMED ? `, and ${changed.length - NAMED} more` : '';
  return [
    `the working tree has changes: ${names.join(', ')}${more}. Commit them, or put them away with "git stash -u".`,
  ];
}

function versionProblems(version) {
  if (!/^\d+\.\d+\.\d+$/.test(version))
    return [`package.json: the version "${version}" has to be three numbers, as 0.2.0. Write one.`];
  const problems = [];
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  const locked = [lock.version, lock.packages?.['']?.version].find((each) => each !== version);
  if (locked !== undefined)
    problems.push(
      `package-lock.json: the version is ${locked}, and package.json has ${version}. Run "npm install --package-lock-only".`,
    );
  const [first = ''] = readFileSync(DEBIAN, 'utf8').split('\n');
  const debian = /^runnel \(([^)]+)\) /.exec(first)?.[1];
  if (debian !== version)
    problems.push(
      `${DEBIAN}: its first entry is for ${debian ?? 'no version'}, and package.json has ${version}. Write an entry for ${version} at its top, with a date.`,
    );
  else if (entryDate() === undefined)
    problems.push(
      `${DEBIAN}: the first entry has no date. Its last line has to be " -- NAME <MAIL>  DATE", with the date as "date -R" prints it.`,
    );
  return problems;
}

/** The day of the first entry of Debian's changelog, as 2026-11-20; undefined where it has none. */
export function entryDate() {
  const [, text = ''] = /^ -- .*> {2}(.*)$/m.exec(readFileSync(DEBIAN, 'utf8')) ?? [];
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString().slice(0, 10);
}

function tagProblems(version) {
  const tagged = gitMaybe('rev-parse', '--verify', '--quiet', `v${version}^{commit}`);
  if (tagged === undefined || tagged === git('rev-parse', 'HEAD')) return [];
  return [
    `the tag v${version} is on another commit (${tagged.slice(0, 12)}): this version is released. Raise it with "npm version --no-git-tag-version patch", and write an entry in ${DEBIAN}.`,
  ];
}
