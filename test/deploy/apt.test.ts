/** The Debian repository of scripts/package-apt.mjs, made of small packages: what is in it, what it refuses, and that every page has its address. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const ADDRESS = readFileSync(join(ROOT, 'deploy/apt/address'), 'utf8').trim();
const PASSPHRASE = 'of a test';

const missing = ['dpkg-deb', 'dpkg-scanpackages', 'gpg', 'gpg-agent', 'gpgv', 'xz'].filter(
  (program) => spawnSync(program, ['--version']).error !== undefined,
);
const needs = missing.length === 0 ? false : `needs ${missing.join(', ')}`;

const work = mkdtempSync(join(tmpdir(), 'runnel-apt-'));
after(() => rmSync(work, { recursive: true }));

/** Runs a program that has to succeed. */
function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, ...env } });
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** A secret key in a file, and a file with its passphrase, as the environment names them. */
function makeKey(name: string): NodeJS.ProcessEnv {
  const GNUPGHOME = join(work, name);
  mkdirSync(GNUPGHOME, { mode: 0o700 });
  const secret = ['--batch', '--quiet', '--pinentry-mode', 'loopback', '--passphrase', PASSPHRASE];
  run('gpg', [...secret, '--quick-generate-key', name, 'ed25519', 'sign', 'never'], { GNUPGHOME });
  const [RUNNEL_APT_KEY_FILE, RUNNEL_APT_PASSPHRASE_FILE] = [
    join(work, `${name}.key`),
    join(work, `${name}.passphrase`),
  ];
  writeFileSync(RUNNEL_APT_KEY_FILE, run('gpg', [...secret, '--armor', '--export-secret-keys'], { GNUPGHOME }));
  writeFileSync(RUNNEL_APT_PASSPHRASE_FILE, PASSPHRASE);
  run('gpgconf', ['--kill', 'gpg-agent'], { GNUPGHOME });
  return { RUNNEL_APT_KEY_FILE, RUNNEL_APT_PASSPHRASE_FILE };
}

/** Making one takes a while: the tests share it. */
let key: NodeJS.ProcessEnv = {};
before(() => {
  if (needs === false) key = makeKey('own');
});

/** A folder with a package for each of `architectures`, with nothing but `content` in it. */
function packages(version: string, content: string, architectures = ['amd64', 'arm64', 'armhf']): string {
  const folder = mkdtempSync(join(work, 'debs-'));
  for (const architecture of architectures) {
    const unpacked = join(work, 'unpacked');
    mkdirSync(join(unpacked, 'DEBIAN'), { recursive: true });
    writeFileSync(join(unpacked, 'content'), content);
    const control = {
      Package: 'runnel',
      Version: version,
      Architecture: architecture,
      Maintainer: 'nobody',
      Description: 'test',
    };
    const lines = Object.entries(control).map(([name, value]) => `${name}: ${value}\n`);
    writeFileSync(join(unpacked, 'DEBIAN/control'), lines.join(''));
    run('dpkg-deb', ['--build', unpacked, join(folder, `runnel_${version}_${architecture}.deb`)]);
    rmSync(unpacked, { recursive: true });
  }
  return folder;
}

interface Published {
  readonly status: number | null;
  readonly said: string;
}

function publish(into: string, from: string, time: number, key: NodeJS.ProcessEnv): Published {
  const args = [join(ROOT, 'scripts/package-apt.mjs'), '--into', into, '--from', from];
  // Whoever makes a release may have a key of their own.
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('RUNNEL_APT_'));
  const env = { ...Object.fromEntries(own), ...key, SOURCE_DATE_EPOCH: String(time) };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  return { status, said: `${stdout}${stderr}` };
}

/** Each file below a folder and its digest. */
function digests(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, path, name }) => join(parentPath ?? path, name)).sort();
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), sha256(readFileSync(path))]));
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/** That gpgv takes both signatures with the key of the repository, and that each digest in Release is that of a file, by both names. */
function assertSigned(folder: string): void {
  const suite = join(folder, 'dists/stable');
  const ring = join(work, 'ring.gpg');
  rmSync(ring, { force: true });
  run('gpg', ['--batch', '--dearmor', '--output', ring, join(folder, 'runnel.asc')]);
  run('gpgv', ['--keyring', ring, join(suite, 'Release.gpg'), join(suite, 'Release')]);
  const clear = run('gpgv', ['--keyring', ring, '--output', '-', join(suite, 'InRelease')]);
  const release = readFileSync(join(suite, 'Release'), 'utf8');
  assert.equal(clear, release);
  const lines = [...release.matchAll(/^ ([0-9a-f]{64}) (\d+) (main\/binary-(?:amd64|arm64|armhf)\/)(Packages.*)$/gm)];
  assert.equal(lines.length, 9);
  for (const [, digest = '', size, path = '', name = ''] of lines) {
    for (const file of [join(path, name), join(path, 'by-hash/SHA256', digest)]) {
      const content = readFileSync(join(suite, file));
      assert.deepEqual([sha256(content), String(content.length)], [digest, size], file);
    }
  }
}

test('a repository is signed, complete and equal twice but for its signatures; a version joins it, and none changes', {
  skip: needs,
}, () => {
  const site = join(work, 'site');
  const old = packages('1.0', 'old');
  const first = publish(site, old, 1_000_000, key);
  assert.equal(first.status, 0, first.said);
  assertSigned(site);
  const again = join(work, 'again');
  assert.equal(publish(again, old, 1_000_000, key).status, 0);
  const [one, other] = [digests(site), digests(again)];
  for (const signature of ['InRelease', 'Release.gpg']) {
    delete one[`dists/stable/${signature}`];
    delete other[`dists/stable/${signature}`];
  }
  assert.deepEqual(one, other);
  assert.match(readFileSync(join(site, 'dists/stable/Release'), 'utf8'), /^Date: Mon, 12 Jan 1970 13:46:40 UTC$/m);

  // What people read.
  const fingerprint = /[0-9A-F]{40}/.exec(first.said)?.[0] ?? 'none';
  const sources = readFileSync(join(site, 'runnel.sources'), 'utf8');
  assert.ok(sources.includes(`\nURIs: ${ADDRESS}\n`) && sources.includes(fingerprint));
  const page = readFileSync(join(site, 'index.html'), 'utf8');
  assert.ok(page.replaceAll(' ', '').includes(fingerprint));
  const lines =
    readFileSync(join(ROOT, 'deploy/apt/README.md'), 'utf8').match(/^sudo (curl|apt update|apt install).*$/gm) ?? [];
  assert.equal(lines.length, 3);
  assert.ok(page.includes(lines.join('\n')));

  const kept = readFileSync(join(site, 'dists/stable/main/binary-armhf/Packages'));
  const same = publish(site, old, 2_000_000, key);
  assert.match(same.said, /nothing is new/);
  assert.deepEqual({ ...digests(site), ...one }, digests(site), 'the same again changes nothing');

  const changed = publish(site, packages('1.0', 'new', ['armhf']), 2_000_000, key);
  assert.deepEqual(
    [changed.status, /runnel_1\.0_armhf\.deb .*new version/.test(changed.said)],
    [1, true],
    changed.said,
  );
  const next = packages('1.10', 'next', ['armhf']);
  const early = publish(site, next, 1_000_000, key);
  assert.deepEqual([early.status, /has to be newer/.test(early.said)], [1, true], early.said);
  const strange = publish(site, next, 2_000_000, makeKey('strange'));
  assert.deepEqual([strange.status, /signed by/.test(strange.said)], [1, true], strange.said);
  const upgraded = publish(site, next, 2_000_000, key);
  assert.equal(upgraded.status, 0, upgraded.said);
  assertSigned(site);
  const versions = readFileSync(join(site, 'dists/stable/main/binary-armhf/Packages'), 'utf8').match(/^Version: .*$/gm);
  assert.deepEqual(versions?.sort(), ['Version: 1.0', 'Version: 1.10']);
  // Who has the list of before still gets what it names.
  assert.ok(existsSync(join(site, 'dists/stable/main/binary-armhf/by-hash/SHA256', sha256(kept))));
  assert.equal(publish(site, packages('1.11', 'more', ['armhf']), 3_000_000, key).status, 0);
  assert.ok(!existsSync(join(site, 'dists/stable/main/binary-armhf/by-hash/SHA256', sha256(kept))));
});

test('without a key, with a wrong passphrase and without packages it says what to do, and leaves nothing', {
  skip: needs,
}, () => {
  const none = publish(join(work, 'none'), packages('1.0', 'x', ['amd64']), 1, {});
  assert.match(none.said, /RUNNEL_APT_KEY_FILE/);
  writeFileSync(join(work, 'wrong'), 'wrong');
  const wrong = publish(join(work, 'none'), packages('1.0', 'x', ['amd64']), 1, {
    ...key,
    RUNNEL_APT_PASSPHRASE_FILE: join(work, 'wrong'),
  });
  assert.equal(wrong.status, 1);
  assert.match(wrong.said, /gpg refused/);
  assert.ok(!existsSync(join(work, 'none/dists/stable/Release')));
  const empty = publish(join(work, 'none'), work, 1, key);
  assert.match(empty.said, /there is no package in .*package:debian/);
  cpSync(packages('1.0', 'x', ['amd64']), join(work, 'other'), { recursive: true });
  cpSync(join(work, 'other/runnel_1.0_amd64.deb'), join(work, 'other/runnel_1.0_mips.deb'));
  assert.match(publish(join(work, 'none'), join(work, 'other'), 1, key).said, /mips\.deb is for none of/);
});

test('every page that shows where the packages are has the address of deploy/apt/address', () => {
  const folders = ['docs', 'deploy', 'site'].filter((folder) => existsSync(join(ROOT, folder)));
  const below = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const pages = ['README.md', ...below].filter((name) => /(\.(md|html|yaml)|Dockerfile)$/.test(name));
  const shown = pages.flatMap((page) =>
    [...readFileSync(join(ROOT, page), 'utf8').matchAll(/(\S*)\/runnel\.sources(?= *$)/gm)]
      .map(([, address = '']) => ({ page, address }))
      .filter(({ address }) => address.includes('://')),
  );
  assert.ok(shown.some(({ page }) => page === 'deploy/apt/README.md'));
  assert.deepEqual(
    shown.filter(({ address }) => address !== ADDRESS),
    [],
  );
});
