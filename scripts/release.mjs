// Makes a release ready: checks, writes CHANGELOG.md, tests, makes dist/ with everything that is published, and says what to do next.
// It never tags, pushes or publishes. CONTRIBUTING.md ("A release") says how to use it.
//
//   npm run release                 everything of .ci/run, as root on Debian 12, then the files of all processors
//   npm run release -- --quick      a rehearsal: lint, types, build, and the files of x64
//   npm run release -- --check      looks only, and changes nothing
//   --published FOLDER              a copy of the Debian repository as it is published: its older versions stay
//
// With RUNNEL_APT_KEY_FILE or RUNNEL_APT_KEY it makes dist/apt, too (scripts/package-apt.mjs).
// Status 1 where something has to be done first: each problem is a line with the place and what to do there.
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { changelogProblems, writeChangelog } from './release/changelog.mjs';
import { findProblems, readVersion, treeProblems } from './release/checks.mjs';
import { makeFiles, nextCommands } from './release/files.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    published: { type: 'string' },
  },
});
const published = options.published === undefined ? undefined : resolve(options.published);
process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));

try {
  process.exitCode = release() ? 0 : 1;
} catch (error) {
  // Others are mistakes of this program.
  if (error.constructor !== Error) throw error;
  console.error(`release: ${error.message}`);
  process.exitCode = 1;
}

/** @returns whether all of it is done */
function release() {
  const version = readVersion();
  const problems = findProblems(version, { published, all: !options.quick && !options.check });
  if (options.check) problems.push(...changelogProblems(version));
  if (problems.length > 0) return refuse(problems);
  if (options.check) {
    console.log(`release: ${version} can be made`);
    return true;
  }
  if (writeChangelog(version)) {
    console.log(`release: CHANGELOG.md has a new text for ${version}. Read it, shorten it, and commit it:

  git add CHANGELOG.md && git commit -m 'What is new in ${version}'

Then run this again.`);
    return false;
  }
  const files = makeFiles(version, { quick: options.quick, published });
  const changed = treeProblems();
  if (changed.length > 0) return refuse(changed.map((problem) => `${problem} The build has changed them.`));
  console.log(nextCommands(version, files, options.quick));
  return true;
}

function refuse(problems) {
  for (const problem of problems) console.error(`release: ${problem}`);
  return false;
}
