// dist/ as it is published, with SHA256SUMS over all of it; and what a person does with it.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeSums } from '../package/sums.mjs';
import { git, gitMaybe } from './git.mjs';

/** What is published, by its name in dist. */
const PUBLISHED =
  /^(runnel-linux-[\w-]+|runnel_.*\.deb|runnel-.*\.tgz|runnel-oci\.tar|runnel\.cdx\.json|LICENSES|ORIGINS)$/;

/**
 * Runs all steps. The first that fails ends it.
 * @returns the names below dist that SHA256SUMS has
 */
export function makeFiles(version, { quick, published }) {
  // What an earlier version has left would be published with this one.
  for (const name of namesIn('dist').filter((each) => PUBLISHED.test(each))) rmSync(join('dist', name));
  for (const name of ['apt', 'runnel-oci', 'SHA256SUMS']) rmSync(join('dist', name), { recursive: true, force: true });
  if (quick) rehearse();
  else {
    step('all of .ci/run', '.ci/run');
    // .ci/run compresses little.
    step('Debian packages', process.execPath, 'scripts/package-debian.mjs');
  }
  if (process.env.RUNNEL_APT_KEY_FILE || process.env.RUNNEL_APT_KEY) {
    if (published !== undefined) cpSync(published, 'dist/apt', { recursive: true });
    const into = published === undefined ? [] : ['--into', 'dist/apt'];
    run('Debian repository', process.env, process.execPath, ['scripts/package-apt.mjs', ...into]);
  } else console.log('=== no Debian repository: RUNNEL_APT_KEY_FILE names no key (deploy/apt/README.md)');
  // Without its scripts: they would build everything once more.
  step('npm tarball, starters', process.execPath, 'scripts/prepack.mjs');
  step('npm tarball', 'npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', 'dist');
  const files = [
    ...namesIn('dist').filter((each) => PUBLISHED.test(each)),
    ...filesBelow('dist/apt').map((path) => path.slice('dist/'.length)),
  ].sort();
  writeSums(files, []);
  console.log(`=== dist/SHA256SUMS: ${files.length} files of runnel ${version}`);
  return files;
}

function rehearse() {
  for (const name of ['lint', 'typecheck', 'build']) step(name, 'npm', 'run', '--silent', name);
  step('executable of x64', process.execPath, 'scripts/package.mjs', 'linux-x64');
  step('smoke', process.execPath, 'scripts/smoke.mjs');
  step('Debian package of x64', process.execPath, 'scripts/package-debian.mjs', '--fast', 'linux-x64');
}

/** Without the key of the repository: tests and builds run the programs of many others. */
function step(name, command, ...args) {
  const env = Object.entries(process.env).filter(([variable]) => !variable.startsWith('RUNNEL_APT_'));
  run(name, Object.fromEntries(env), command, args);
}

function run(name, env, command, args) {
  console.log(`=== ${name}`);
  const started = Date.now();
  const { error, status, signal } = spawnSync(command, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error !== undefined) throw new Error(`${name}: ${command} cannot be run: ${error.message}`);
  if (status !== 0)
    throw new Error(
      `${name}: "${[command, ...args].join(' ')}" failed with ${signal ?? `status ${status}`}. Its messages are above.`,
    );
  console.log(`=== ${name}: ${Math.round((Date.now() - started) / 1000)} s`);
}

function namesIn(folder) {
  mkdirSync(folder, { recursive: true });
  return readdirSync(folder);
}

function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** The commands that a person runs next. Nothing here runs them. */
export function nextCommands(version, files, quick) {
  const branch = gitMaybe('symbolic-ref', '--short', 'HEAD') ?? 'HEAD';
  const remote = gitMaybe('remote')?.split('\n')[0] || 'origin';
  const tagged = git('tag', '--points-at', 'HEAD').split('\n').includes(`v${version}`);
  const has = (start) => files.some((file) => file.startsWith(start));
  const lines = [
    ...(tagged ? [] : [`git tag -s v${version} -m 'runnel ${version}'`]),
    `git push ${remote} ${branch} v${version}`,
    '(cd dist && sha256sum --check --quiet SHA256SUMS && gpg --armor --detach-sign SHA256SUMS)',
    ...(has('apt/')
      ? [
          '# The Debian repository, its packages first:',
          'rsync -a dist/apt/pool SERVER:FOLDER/',
          'rsync -a dist/apt/ SERVER:FOLDER/',
        ]
      : []),
    ...(has('runnel-oci.tar')
      ? ['# The image:', `skopeo copy --all oci-archive:dist/runnel-oci.tar docker://REGISTRY/runnel:${version}`]
      : []),
    `# Beside the release: ${files.filter((file) => !file.startsWith('apt/') && file !== 'runnel-oci.tar').join(' ')}, SHA256SUMS, SHA256SUMS.asc`,
  ];
  const head = quick
    ? 'A rehearsal: dist/ has the files of x64 only, and no test has run. After "npm run release" without --quick, you run:'
    : 'Nothing is tagged, pushed or published. You run, in this order:';
  return `\n${head}\n\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
}
