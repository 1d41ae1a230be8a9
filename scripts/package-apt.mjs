// Makes a signed, static Debian repository, dist/apt, out of the packages that scripts/package-debian.mjs has made. Any web server
// can serve the folder. deploy/apt/README.md says how to publish it and how to keep its key.
//
//   RUNNEL_APT_KEY_FILE=key.asc node scripts/package-apt.mjs [--into FOLDER] [--from FOLDER] [--address URL]
//
// --into FOLDER adds to a repository that is there: its older versions stay. Without it dist/apt is made anew.
// --from FOLDER has the packages; dist without it. --address is where users will find the repository; deploy/apt/address without it.
//
// The key is an armoured secret key of OpenPGP: a file (RUNNEL_APT_KEY_FILE) or the text itself (RUNNEL_APT_KEY).
// RUNNEL_APT_PASSPHRASE_FILE names a file with its passphrase. Needs dpkg-dev, gpg and xz.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { repositoryPage, sourcesFile } from './package/apt/for-people.mjs';
import { ARCHITECTURES, packageIndexes, releaseFile } from './package/apt/indexes.mjs';
import { openKey } from './package/apt/key.mjs';
import { addToPool, publish } from './package/apt/repository.mjs';

const { values: options } = parseArgs({
  options: { into: { type: 'string' }, from: { type: 'string' }, address: { type: 'string' } },
});
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const into = options.into === undefined ? undefined : resolve(options.into);
const from = options.from === undefined ? undefined : resolve(options.from);
process.chdir(root);

try {
  makeRepository(
    into ?? 'dist/apt',
    from ?? 'dist',
    options.address ?? readFileSync('deploy/apt/address', 'utf8').trim(),
  );
} catch (error) {
  // Others are mistakes of this program.
  if (error.constructor !== Error) throw error;
  console.error(`package-apt: ${error.message}`);
  process.exitCode = 1;
}

function makeRepository(folder, packages, address) {
  checkAddress(address);
  const made = packagesIn(packages);
  const key = openKey(process.env);
  try {
    if (into === undefined) rmSync(folder, { recursive: true, force: true });
    addToPool(folder, made);
    const indexes = packageIndexes(folder);
    const release = releaseFile(indexes, releaseTime());
    const versions = versionsIn(indexes);
    const changed = publish(folder, indexes, release, key, {
      'runnel.sources': sourcesFile(address, key),
      'index.html': repositoryPage(address, key, versions),
    });
    const kinds = ARCHITECTURES.filter((architecture) => versions.some((row) => row.architecture === architecture));
    console.log(
      `${folder}: ${versions.length} packages for ${kinds.join(', ')}, signed by ${key.fingerprint}${changed ? '' : '; nothing is new'}`,
    );
  } finally {
    key.close();
  }
}

/** http is for a network of one's own: the signature holds there, too. */
function checkAddress(address) {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!['https:', 'http:'].includes(url?.protocol) || /[\s"'<>\\]|\/$/.test(address))
    throw new Error(`the address "${address}" has to be a URL with https or http, without a slash at its end`);
}

/** The packages of a folder. */
function packagesIn(folder) {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => /^runnel_[^_]+_[^_]+\.deb$/.test(name)) : [];
  if (names.length === 0) throw new Error(`there is no package in ${folder}: "npm run package:debian" makes them`);
  const strange = names.find((name) => !ARCHITECTURES.some((architecture) => name.endsWith(`_${architecture}.deb`)));
  if (strange !== undefined) throw new Error(`${strange} is for none of ${ARCHITECTURES.join(', ')}`);
  return names.sort().map((name) => resolve(folder, name));
}

/** When this was published: SOURCE_DATE_EPOCH, or the time of the commit, so that two builds of it are equal. */
function releaseTime() {
  const { SOURCE_DATE_EPOCH: named } = process.env;
  if (named !== undefined && !/^\d{1,11}$/.test(named))
    throw new Error('SOURCE_DATE_EPOCH has to be a number of seconds');
  const seconds = named ?? execFileSync('git', ['log', '-1', '--format=%ct'], { encoding: 'utf8' }).trim();
  return new Date(Number(seconds) * 1000);
}

/** What the indexes name, as rows of version, architecture and file. */
function versionsIn(indexes) {
  return indexes.flatMap(({ architecture, text }) =>
    [...text.matchAll(/^Version: (.*)$[\s\S]*?^Filename: (.*)$/gm)].map(([, version, file]) => ({
      version,
      architecture,
      file,
      name: basename(file),
    })),
  );
}
