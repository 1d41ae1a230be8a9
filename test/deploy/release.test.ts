/** `npm run release` in a repository of its own: our scripts, with stand-ins for the steps that take minutes. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';

const noGit = spawnSync('git', ['--version']).error === undefined ? false : 'needs git';

/** What the steps leave in dist: a line of the program each. */
const STAND_INS: Readonly<Record<string, string>> = {
  'scripts/package.mjs':
    "for (const f of ['runnel-linux-x64', 'LICENSES', 'ORIGINS', 'runnel.cdx.json']) w('dist/' + f, f);",
  'scripts/package-debian.mjs': "w('dist/runnel_0.2.0_amd64.deb', 'package');",
  'scripts/package-apt.mjs':
    "m('dist/apt/dists/stable', { recursive: true }); w('dist/apt/dists/stable/Release', process.env.RUNNEL_APT_KEY_FILE);",
  // The key is for the repository alone.
  'scripts/smoke.mjs': 'if (process.env.RUNNEL_APT_KEY_FILE) process.exit(9);',
  'scripts/prepack.mjs': '',
};

interface Answer {
  readonly status: number | null;
  readonly said: string;
}

class Repository {
  readonly folder = mkdtempSync(join(tmpdir(), 'runnel-release-'));

  constructor(version: string) {
    cpSync('scripts/release', join(this.folder, 'scripts/release'), { recursive: true });
    cpSync('scripts/release.mjs', join(this.folder, 'scripts/release.mjs'));
    cpSync('scripts/package', join(this.folder, 'scripts/package'), { recursive: true });
    const helpers = "import { mkdirSync as m, writeFileSync as w } from 'node:fs';\n";
    for (const [path, program] of Object.entries(STAND_INS)) this.write(path, `${helpers}${program}\n`);
    this.write('.gitignore', 'dist/\n');
    // The real one takes half a second for each of its calls.
    this.write('bin/npm', '#!/bin/sh\nif [ "$1" = pack ]; then echo tarball >dist/runnel-0.2.0.tgz; fi\n');
    chmodSync(join(this.folder, 'bin/npm'), 0o755);
    this.setVersion(version);
    this.git('init', '--quiet', '--initial-branch', 'main');
    this.git('config', 'user.name', 'a test');
    this.git('config', 'user.email', 'test@runnel.example');
    this.git('config', 'commit.gpgsign', 'false');
    this.commit('Lay the bones');
  }

  setVersion(version: string, locked = version, debian = version): void {
    this.write('package.json', JSON.stringify({ name: 'runnel', version }));
    this.write('package-lock.json', JSON.stringify({ version: locked, packages: { '': { version: locked } } }));
    const date = 'Fri, 20 Nov 2026 06:00:00 +0000';
    this.write(
      'deploy/debian/changelog',
      `runnel (${debian}) unstable\n\n  * New.\n\n -- Us <us@runnel.example>  ${date}\n`,
    );
  }

  write(path: string, content: string): void {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }

  read(path: string): string {
    return readFileSync(join(this.folder, path), 'utf8');
  }

  /** One commit with everything; `path` is changed where there is nothing else. */
  commit(title: string, path?: string): void {
    if (path !== undefined) this.write(path, title);
    this.git('add', '--all');
    this.git('commit', '--quiet', '--message', title);
  }

  git(...args: readonly string[]): string {
    return execFileSync('git', args, { cwd: this.folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  release(args: readonly string[], env: NodeJS.ProcessEnv = {}): Answer {
    const { RUNNEL_APT_KEY: _key, RUNNEL_APT_KEY_FILE: _file, ...rest } = process.env;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(this.folder, 'scripts/release.mjs'), ...args],
      {
        encoding: 'utf8',
        env: { ...rest, PATH: `${join(this.folder, 'bin')}${delimiter}${rest['PATH']}`, ...env },
      },
    );
    return { status, said: stdout + stderr };
  }

  refuses(args: readonly string[], ...patterns: readonly RegExp[]): void {
    const { status, said } = this.release(args);
    assert.equal(status, 1, said);
    for (const pattern of patterns) assert.match(said, pattern);
  }
}

describe('npm run release', { skip: noGit }, () => {
  const repositories: Repository[] = [];
  const repository = (version: string): Repository => {
    const made = new Repository(version);
    repositories.push(made);
    return made;
  };
  after(() => {
    for (const { folder } of repositories) rmSync(folder, { recursive: true });
  });

  test('refuses a tree with changes, and versions that disagree, each with its place', () => {
    const one = repository('0.2.0');
    one.write('src/new.ts', '');
    one.refuses(['--quick'], /working tree has changes: src\/.*git stash/);
    one.setVersion('0.2.0', '0.1.9', '0.1.8');
    one.commit('Wrong versions');
    one.refuses(
      ['--quick'],
      /package-lock\.json: the version is 0\.1\.9.*npm install --package-lock-only/,
      /deploy\/debian\/changelog: its first entry is for 0\.1\.8.*an entry for 0\.2\.0/,
    );
    one.setVersion('next');
    one.commit('A version that is none');
    one.refuses(['--check'], /package\.json: the version "next"/);
    one.setVersion('0.2.0');
    one.commit('Right versions');
    one.git('tag', 'v0.2.0', 'HEAD~1');
    one.refuses(['--check'], /tag v0\.2\.0 is on another commit.*npm version/);
    one.refuses(['--check', '--published', '/nowhere'], /--published \/nowhere: no Debian repository/);
  });

  test('the first release has no list of all commits', () => {
    const one = repository('0.1.0');
    one.refuses(['--check'], /CHANGELOG\.md: it lacks what is new in 0\.1\.0/);
    one.refuses(['--quick'], /CHANGELOG\.md has a new text for 0\.1\.0.*commit/);
    assert.match(one.read('CHANGELOG.md'), /\n\n## \[0\.1\.0\] - 2026-11-20\n\nThe first release\.\n$/);
    one.commit('What is new');
    one.commit('More', 'src/more.ts');
    assert.deepEqual(one.release(['--check']), { status: 0, said: 'release: 0.1.0 can be made\n' });
  });

  test('the change log is written from commits, keeps what was edited, and gets what is new', () => {
    const one = repository('0.1.0');
    one.release(['--quick']);
    one.commit('What is new in 0.1.0');
    one.git('tag', 'v0.1.0');
    one.commit('Add a thing with [links](nowhere) and <img>', 'src/a.ts');
    one.commit('A stream of tests', 'test/b.ts');
    one.commit('Fix a crash', 'src/c.ts');
    one.setVersion('0.2.0');
    one.commit('A faster reply');
    one.refuses(['--quick'], /new text for 0\.2\.0/);
    const written = one.read('CHANGELOG.md');
    const section = `### Added

- Add a thing with \\[links\\](nowhere) and \\<img>

### Changed

- A faster reply

### Fixed

- Fix a crash

## [0.1.0] - 2026-11-20

The first release.
`;
    assert.ok(written.endsWith(section), written);
    assert.match(written, /\n\n## \[0\.2\.0\] - 2026-11-20\n\n<!-- up to [0-9a-f]{40} -->\n\n### Added/);
    one.write('CHANGELOG.md', written.replace('A faster reply', 'Replies take half the time.'));
    one.commit('What is new in 0.2.0');
    assert.equal(one.release(['--check']).status, 0);
    one.commit('A second way', 'src/d.ts');
    one.refuses(['--check'], /lacks what is new in 0\.2\.0/);
    one.refuses(['--quick'], /new text/);
    assert.match(one.read('CHANGELOG.md'), /- Replies take half the time\.\n- A second way\n\n### Fixed/);
    assert.equal(one.read('CHANGELOG.md').split('Fix a crash').length, 2);
  });

  test('makes dist with the sums of all that is published, and says what to do next', () => {
    const one = repository('0.2.0');
    one.release(['--quick']);
    one.commit('What is new in 0.2.0');
    one.write('dist/runnel_0.1.0_amd64.deb', 'of an earlier version');
    one.write('dist/src/main.js', '');
    const { status, said } = one.release(['--quick'], { RUNNEL_APT_KEY_FILE: 'key.asc' });
    assert.equal(status, 0, said);
    const sums = one.read('dist/SHA256SUMS');
    const names = sums.split('\n').map((line) => line.slice(66));
    assert.deepEqual(names, [
      'LICENSES',
      'ORIGINS',
      'apt/dists/stable/Release',
      'runnel-0.2.0.tgz',
      'runnel-linux-x64',
      'runnel.cdx.json',
      'runnel_0.2.0_amd64.deb',
      '',
    ]);
    assert.equal(one.read('dist/apt/dists/stable/Release'), 'key.asc');
    execFileSync('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], { cwd: join(one.folder, 'dist') });
    assert.match(said, /git tag -s v0\.2\.0 .*\n +git push origin main v0\.2\.0\n/);
    assert.match(said, /rsync -a dist\/apt\/pool .*\n +rsync -a dist\/apt\/ /);
    assert.equal(one.git('tag'), '', 'it tags nothing');
    assert.equal(one.git('status', '--porcelain'), '');
    assert.equal(one.release(['--quick'], { RUNNEL_APT_KEY_FILE: 'key.asc' }).status, 0);
    assert.equal(one.read('dist/SHA256SUMS'), sums);
  });

  test('a step that fails ends it, by its name', () => {
    const one = repository('0.2.0');
    one.release(['--quick']);
    one.write('scripts/smoke.mjs', 'process.exit(3);\n');
    one.commit('What is new in 0.2.0');
    one.refuses(['--quick'], /release: smoke: ".*scripts\/smoke\.mjs" failed with status 3/);
  });
});
