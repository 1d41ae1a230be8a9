// Packages of Debian for any processor, fetched by apt into a cache of our own; the machine's own sources stay as they are.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const SUITE = 'trixie';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** For how long a list of packages is taken as it is. */
const FRESH_MS = 24 * 3_600_000;

/**
 * The newest package of the suite, with its security updates, for each of `architectures`:
 * `{name, version, architecture, file, sha256}`. `own` are the names of those that each processor has, `common` of those that all share. Without a network the lists and packages of the last time serve.
 */
export function fetchPackages({ own, common }, architectures) {
  const state = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'runnel', `image-${SUITE}`);
  for (const folder of ['lists/partial', 'archives/partial', 'debs'])
    mkdirSync(join(state, folder), { recursive: true });
  writeFileSync(join(state, 'status'), '');
  const from = (place, suite) => `deb [signed-by=${KEYRING}] http://deb.debian.org/${place} ${suite} main\n`;
  const sources = from('debian', SUITE) + from('debian-security', `${SUITE}-security`);
  writeFileSync(join(state, 'sources.list'), sources);
  const stdio = ['ignore', 'pipe', 'pipe'];
  const apt = (args, cwd) => execFileSync('apt-get', [...settings(state), ...args], { cwd, encoding: 'utf8', stdio });
  if (!isFresh(join(state, 'updated'))) update(apt, join(state, 'updated'));
  const folder = join(state, 'debs');
  const words = [...architectures.flatMap((architecture) => own.map((name) => `${name}:${architecture}`)), ...common];
  const found = parse(apt(['download', '--print-uris', ...words]), folder);
  const packages = architectures.flatMap((architecture) =>
    [...own, ...common].map((name) => {
      const one = found.find((two) => two.name === name && ['all', architecture].includes(two.architecture));
      if (one === undefined) throw new Error(`Debian ${SUITE} has no ${name} for ${architecture}`);
      return { ...one, architecture };
    }),
  );
  const wordOf = ({ name, architecture }) => (common.includes(name) ? name : `${name}:${architecture}`);
  const missing = new Set(packages.filter(({ file }) => !existsSync(file)).map(wordOf));
  if (missing.size > 0) apt(['download', ...missing], folder);
  for (const { file, sha256 } of packages) {
    const digest = createHash('sha256').update(readFileSync(file)).digest('hex');
    if (digest !== sha256) throw new Error(`${file} has the digest ${digest}, not ${sha256}: remove it`);
  }
  return packages;
}

/** What apt prints of a package: its address, the name of its file, its size and its digest. A colon in a version is written as %3a. */
function parse(text, folder) {
  const lines = text.matchAll(/^'[^']*' ((\S+)_(\S+)_(\S+)\.deb) \d+ SHA256:([0-9a-f]{64})$/gm);
  return [...lines].map(([, file, name, version, architecture, sha256]) => ({
    name,
    version: decodeURIComponent(version),
    architecture,
    file: join(folder, file),
    sha256,
  }));
}

/** A mirror that is being changed, or no network: the lists that are there serve, and it is said. Without any the download fails. */
function update(apt, stamp) {
  try {
    apt(['update']);
    writeFileSync(stamp, '');
  } catch (error) {
    console.warn(`not every list of Debian is the newest: ${error.stderr?.trim() ?? error.message}`);
  }
}

function settings(state) {
  const options = {
    'Dir::State': state,
    'Dir::State::status': join(state, 'status'),
    'Dir::Etc::SourceList': join(state, 'sources.list'),
    'Dir::Etc::SourceParts': '/nonexistent',
    'Dir::Cache': state,
    'APT::Architecture': 'amd64',
    'APT::Architectures': 'amd64,arm64,armhf',
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::PDiffs': 'false',
  };
  return ['-qq', ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
}

function isFresh(stamp) {
  return existsSync(stamp) && Date.now() - statSync(stamp).mtimeMs < FRESH_MS;
}
