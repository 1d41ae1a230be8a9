// Compares what others have compiled, as it comes from npm, with what they publish themselves: Node's executables byte for byte with
// those of nodejs.org, whose sums are checked, and uWebSockets.js's add-ons with the content of its repository.
//
//   node scripts/compare-upstream.mjs [target …]        fetches 45 MB a target, and clones 600 MB; needs tar and git
//
// With gpg and Node's release keys (https://github.com/nodejs/release-keys) SHASUMS256.txt.asc says that the sums are Node's.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { unpack } from './package/fetch.mjs';
import { gitBlob, nodeArchive, sha256, UWS_GIT } from './package/origins.mjs';
import { TARGETS } from './package/targets.mjs';

const named = process.argv.slice(2);
const wanted = named.length > 0 ? named : Object.keys(TARGETS);
const work = mkdtempSync(join(tmpdir(), 'runnel-upstream-'));
let differing = 0;
try {
  for (const name of wanted) await compareNode(name, TARGETS[name]);
  compareAddons(wanted.map((name) => TARGETS[name].uws));
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exit(differing === 0 ? 0 : 1);

async function compareNode(name, target) {
  const { folder, name: archive, base } = nodeArchive(target);
  const sums = (await fetched(`${base}/SHASUMS256.txt`)).toString();
  const content = await fetched(`${base}/${archive}`);
  if (!sums.includes(`${sha256(content)}  ${archive}\n`)) {
    tell(false, `${archive} is not what its own SHASUMS256.txt says`);
    return;
  }
  const path = join(work, archive);
  writeFileSync(path, content);
  execFileSync('tar', ['-xzf', path, '-C', work, `${folder}/bin/node`]);
  const theirs = readFileSync(join(work, folder, 'bin/node'));
  const ours = readFileSync(unpack(target.node, 'bin/node', join(work, name)));
  tell(ours.equals(theirs), `${name}: ${target.node.package}@${target.node.version} and ${base}/${archive}`);
}

function compareAddons(files) {
  const clone = join(work, 'uws.git');
  mkdirSync(clone);
  execFileSync('git', ['clone', '--quiet', '--bare', UWS_GIT, clone], { stdio: 'inherit' });
  for (const file of new Set(files)) {
    const content = readFileSync(file);
    const commit = spawnSync(
      'git',
      ['-C', clone, 'log', '--all', '-1', '--format=%H %d', `--find-object=${gitBlob(content)}`],
      {
        encoding: 'utf8',
      },
    ).stdout.trim();
    tell(commit !== '', `${basename(file)} and ${UWS_GIT} ${commit === '' ? '(no commit has it)' : `at ${commit}`}`);
  }
}

function tell(equal, what) {
  if (!equal) differing++;
  console.log(`${equal ? 'equal' : 'DIFFERENT'}: ${what}`);
}

async function fetched(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}
