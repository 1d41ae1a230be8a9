// What is in the image, in two layers: what runnel and its programs need of Debian, which seldom changes, and runnel.
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tree } from './tree.mjs';

/** The user of the gateway and its programs: a number that no system gives to a person. */
export const USER = 65532;

/** What is taken of Debian. busybox is the shell and the tools of CGI programs and of what feeds streams. */
export const PACKAGES = {
  // gcc-14-base has nothing but the licence of the two before it.
  own: ['libc6', 'libgcc-s1', 'libstdc++6', 'gcc-14-base', 'busybox-static'],
  common: ['ca-certificates', 'tzdata'],
};

/** Of libc6 without the tables of old character sets and what is for debuggers. libnss_*: the static busybox looks names up by them. */
const LIBRARIES = /^(ld-linux.*|lib(c|m|dl|pthread|rt|util|resolv|nss_files|nss_dns|gcc_s|stdc\+\+)\.so\.\d+(\.\d+)*)$/;

/** Links of a system whose /bin is /usr/bin. */
const MERGED = { bin: 'usr/bin', lib: 'usr/lib', lib64: 'usr/lib64', sbin: 'usr/sbin' };

/** `packages` are those of one processor, `triplet` is the name of its folder of libraries, `applets` are the names of busybox. */
export function baseLayer(packages, triplet, applets) {
  const tree = new Tree();
  for (const [name, target] of Object.entries(MERGED)) {
    tree.folder(target);
    tree.link(name, target);
  }
  for (const folder of ['dev', 'proc', 'sys', 'etc/runnel']) tree.folder(folder);
  for (const folder of ['tmp', 'var/tmp']) tree.folder(folder, { mode: 0o1777 });
  const unpacked = mkdtempSync(join(tmpdir(), 'runnel-image-'));
  try {
    for (const one of packages) addPackage(tree, one, join(unpacked, one.name), triplet);
  } finally {
    rmSync(unpacked, { recursive: true });
  }
  for (const applet of applets) if (applet !== 'busybox') tree.link(`usr/bin/${applet}`, 'busybox');
  tree.file(
    'etc/passwd',
    `root:x:0:0:root:/root:/sbin/nologin\nrunnel:x:${USER}:${USER}:runnel:/var/lib/runnel:/sbin/nologin\n`,
  );
  tree.file('etc/group', `root:x:0:\nrunnel:x:${USER}:\n`);
  tree.file('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n');
  return tree;
}

function addPackage(tree, { name, file }, folder, triplet) {
  mkdirSync(folder);
  const archive = execFileSync('dpkg-deb', ['--fsys-tarfile', file], { maxBuffer: 1 << 30 });
  execFileSync('tar', ['-x', '--no-same-owner', '-C', folder], { input: archive });
  // Where scanners of images look for what is inside, and in which version.
  tree.file(`var/lib/dpkg/status.d/${name}`, execFileSync('dpkg-deb', ['--field', file]));
  const papers = `usr/share/doc/${name}`;
  // A link where it is that of another package.
  if (lstatSync(join(folder, papers)).isSymbolicLink()) tree.copy(papers, join(folder, papers));
  else tree.copy(`${papers}/copyright`, join(folder, papers, 'copyright'));
  if (name === 'ca-certificates') {
    const certificates = join(folder, 'usr/share/ca-certificates/mozilla');
    const texts = readdirSync(certificates)
      .sort()
      .map((one) => readFileSync(join(certificates, one), 'utf8').trim());
    tree.file('etc/ssl/certs/ca-certificates.crt', `${texts.join('\n')}\n`);
  } else if (name === 'tzdata') {
    tree.copy('usr/share/zoneinfo', join(folder, 'usr/share/zoneinfo'));
  } else if (name === 'busybox-static') {
    tree.copy('usr/bin/busybox', join(folder, 'usr/bin/busybox'));
  } else {
    for (const library of [`usr/lib/${triplet}`, 'usr/lib', 'usr/lib64']) addLibraries(tree, folder, library);
  }
}

function addLibraries(tree, folder, library) {
  let names = [];
  try {
    names = readdirSync(join(folder, library)).sort();
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  for (const name of names.filter((one) => LIBRARIES.test(one)))
    tree.copy(`${library}/${name}`, join(folder, library, name));
}

export function runnelLayer(executable) {
  const tree = new Tree();
  tree.file('usr/bin/runnel', readFileSync(executable), { mode: 0o755 });
  tree.file('etc/runnel/runnel.toml', readFileSync('deploy/image/runnel.toml'));
  tree.copy('usr/share/runnel/demo', 'config/demo');
  tree.copy('www', 'deploy/image/www');
  tree.folder('cgi-bin');
  tree.folder('var/lib/runnel', { owner: USER });
  tree.file('usr/share/doc/runnel/copyright', readFileSync('LICENSE'));
  tree.file('usr/share/doc/runnel/third-party.txt', readFileSync('dist/LICENSES'));
  tree.file('usr/share/doc/runnel/runnel.cdx.json', readFileSync('dist/runnel.cdx.json'));
  return tree;
}
