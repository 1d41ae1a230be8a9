// The folder of a Debian repository: what comes in, in which order it changes, and what stays.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { digestsOf, sha256, timeOf } from './indexes.mjs';

const POOL = 'pool/main/r/runnel';
const SUITE = 'dists/stable';

/** Copies packages into the pool. One that is there with other bytes is refused before anything is copied: some boards have it already. */
export function addToPool(folder, packages) {
  const pool = join(folder, POOL);
  const other = packages.find((file) => {
    const there = join(pool, basename(file));
    return existsSync(there) && !readFileSync(there).equals(readFileSync(file));
  });
  if (other !== undefined)
    throw new Error(
      `${basename(other)} is in the repository with other content: what was published never changes; give it a new version`,
    );
  mkdirSync(pool, { recursive: true });
  for (const file of packages) {
    const there = join(pool, basename(file));
    if (existsSync(there)) continue;
    copyFileSync(file, `${there}.new`);
    renameSync(`${there}.new`, there);
  }
}

/**
 * Makes the indexes what apt gets to see. While it runs, apt finds the old ones or the new ones, never a mixture: each index has its digest for
 * a name, too (by-hash), those of the last time stay, and the signed file that names them is replaced last.
 * Answers false where nothing is new.
 */
export function publish(folder, indexes, release, key, pages) {
  checkKey(folder, key);
  const suite = join(folder, SUITE);
  const former = existsSync(join(suite, 'Release')) ? readFileSync(join(suite, 'Release'), 'utf8') : undefined;
  const changed = former === undefined || digestsOf(former).join() !== digestsOf(release).join();
  if (changed) {
    // apt takes a list that is older than the one that it has for an attack, and ignores it.
    if (former !== undefined && timeOf(release) <= timeOf(former))
      throw new Error(
        `what is published has the time ${timeOf(former).toUTCString()}: this one has to be newer (SOURCE_DATE_EPOCH)`,
      );
    const signed = key.sign(release);
    const kept = new Set([...digestsOf(former ?? ''), ...digestsOf(release)]);
    for (const { files } of indexes) {
      for (const [path, content] of files) put(join(suite, dirname(path), 'by-hash/SHA256', sha256(content)), content);
      for (const [path, content] of files) put(join(suite, path), content);
    }
    put(join(suite, 'Release'), release);
    put(join(suite, 'Release.gpg'), signed.detached);
    put(join(suite, 'InRelease'), signed.clear);
    for (const { architecture } of indexes) dropOthers(join(suite, `main/binary-${architecture}/by-hash/SHA256`), kept);
  }
  put(join(folder, 'runnel.asc'), key.publicKey);
  for (const [name, text] of Object.entries(pages)) put(join(folder, name), text);
  return changed;
}

/** Users have the public key in a file: with another key no update reaches them. */
function checkKey(folder, key) {
  const file = join(folder, 'runnel.asc');
  const former = existsSync(file) ? key.fingerprintOf(readFileSync(file, 'utf8')) : key.fingerprint;
  if (former !== key.fingerprint)
    throw new Error(
      `the repository is signed by ${former}, not by ${key.fingerprint}. To change the key remove ${file}; every user has to fetch runnel.sources again`,
    );
}

function dropOthers(folder, kept) {
  for (const name of readdirSync(folder)) if (!kept.has(name)) rmSync(join(folder, name));
}

/** Whoever reads the file while it is written gets the old content or the new. */
function put(file, content) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, content);
  renameSync(`${file}.new`, file);
}
