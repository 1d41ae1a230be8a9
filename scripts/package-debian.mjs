// Makes the Debian packages, dist/runnel_VERSION_ARCHITECTURE.deb, out of the executables that scripts/package.mjs has made.
//
//   npm run package:debian [-- TARGET …]          all three, or those that are named (linux-arm64 …)
//   node scripts/package-debian.mjs [--fast] [--executables] [TARGET …]
//
// --fast compresses little: for tests. --executables makes the executables first.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { completionScript } from '../dist/src/cli/printing/completion/completion.js';
import { commandPage, configPage } from './package/man.mjs';
import { formerSums, writeSums } from './package/sums.mjs';
import { TARGETS } from './package/targets.mjs';
import { readVerbs } from './package/verbs.mjs';

const DEMO = '/usr/share/runnel/demo';
const DOCS = '/usr/share/runnel/docs';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const changelog = readFileSync('deploy/debian/changelog', 'utf8');
if (!changelog.startsWith(`runnel (${version}) `))
  throw new Error(`deploy/debian/changelog has no entry for ${version}`);
// Of the entry, so that two builds are equal.
const date = new Date(/ {2}(\w{3}, .*)$/m.exec(changelog)[1]);
const verbs = await readVerbs();
const begun = Date.now();
const fast = process.argv.includes('--fast');
const named = process.argv.slice(2).filter((word) => !word.startsWith('--'));
if (process.argv.includes('--executables')) {
  console.log(
    `making ${named.length > 0 ? named.join(', ') : 'all targets'}: compressing takes about a minute and a half of one processor for each`,
  );
  execFileSync(process.execPath, ['scripts/package.mjs', ...named], { stdio: 'inherit' });
}
const made = (named.length > 0 ? named : Object.keys(TARGETS)).map((name) => makePackage(name, TARGETS[name]));
writeSums(made, formerSums());
console.log(`in ${join(process.cwd(), 'dist')}, with SHA256SUMS; ${Math.round((Date.now() - begun) / 1000)} s`);

function makePackage(name, target) {
  const root = `dist/debian-${target.debian}`;
  rmSync(root, { recursive: true, force: true });
  put(root, 'usr/bin/runnel', readFileSync(`dist/runnel-${name}`), 0o755);
  put(root, 'etc/runnel/runnel.toml', configuration());
  cpSync('config/demo', join(root, DEMO), { recursive: true });
  // Not below /usr/share/doc: small systems leave that out, and the demo serves these pages.
  cpSync('dist/site', join(root, DOCS), { recursive: true });
  mkdirSync(join(root, 'usr/share/doc/runnel'), { recursive: true });
  symlinkSync('../../runnel/docs', join(root, 'usr/share/doc/runnel/html'));
  put(root, 'lib/systemd/system/runnel.service', readFileSync('deploy/systemd/runnel.service'));
  put(root, 'etc/logrotate.d/runnel', readFileSync('deploy/debian/logrotate'));
  put(root, 'usr/share/bash-completion/completions/runnel', completionScript('bash', verbs));
  put(root, 'usr/share/zsh/vendor-completions/_runnel', completionScript('zsh', verbs));
  put(root, 'usr/share/fish/vendor_completions.d/runnel.fish', completionScript('fish', verbs));
  const day = date.toISOString().slice(0, 10);
  putGzip(root, 'usr/share/man/man1/runnel.1.gz', commandPage(verbs, version, day));
  putGzip(root, 'usr/share/man/man5/runnel.toml.5.gz', configPage(version, day));
  putGzip(root, 'usr/share/doc/runnel/changelog.gz', changelog);
  put(root, 'usr/share/doc/runnel/copyright', copyright());
  putGzip(root, 'usr/share/doc/runnel/third-party.txt.gz', readFileSync('dist/LICENSES'));
  put(root, 'usr/share/doc/runnel/runnel.cdx.json', readFileSync('dist/runnel.cdx.json'));
  for (const example of [
    'grafana/runnel.json',
    'prometheus/runnel-alerts.yml',
    'prometheus/runnel-alerts.test.yml',
    'avahi/runnel.service',
    'apparmor/usr.bin.runnel',
  ])
    put(root, `usr/share/doc/runnel/examples/${example}`, readFileSync(`deploy/${example}`));
  putExamples(root);
  put(root, 'usr/share/lintian/overrides/runnel', readFileSync('deploy/debian/lintian-overrides'));
  const files = settle(root);
  const kibibytes = files.reduce((sum, file) => sum + Math.ceil(statSync(file).size / 1024), 0);
  const control = readFileSync('deploy/debian/control', 'utf8')
    .replace('@VERSION@', version)
    .replace('@ARCHITECTURE@', target.debian)
    .replace('@SIZE@', String(kibibytes))
    .replace('@NODE@', target.node.version);
  put(root, 'DEBIAN/control', control);
  put(root, 'DEBIAN/conffiles', '/etc/runnel/runnel.toml\n/etc/logrotate.d/runnel\n');
  put(root, 'DEBIAN/md5sums', md5sums(root, files));
  for (const script of ['postinst', 'prerm', 'postrm'])
    put(root, `DEBIAN/${script}`, readFileSync(`deploy/debian/${script}`), 0o755);
  settle(join(root, 'DEBIAN'));
  const out = `dist/runnel_${version}_${target.debian}.deb`;
  const compression = fast ? ['-Zgzip', '-z1'] : ['-Zxz', '-z6'];
  const started = Date.now();
  execFileSync('dpkg-deb', ['--root-owner-group', ...compression, '--build', root, out], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(date.getTime() / 1000) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  rmSync(root, { recursive: true });
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${out}: ${(statSync(out).size / 1e6).toFixed(1)} MB, made in ${seconds} s`);
  return basename(out);
}

/** They name the demo's programs where the package has them. */
function putExamples(root) {
  const folder = join(root, 'usr/share/doc/runnel/examples');
  cpSync('config/examples', folder, { recursive: true });
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.toml'))) {
    const path = join(folder, name);
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll('"../demo/', `"${DEMO}/`));
  }
}

/** The demo's configuration, at the demo's new place, with another head, and for this machine alone. */
function configuration() {
  const demo = readFileSync('config/demo.toml', 'utf8');
  const head = `# The gateway's configuration; "man runnel.toml" has every key. After a change:
#
#   sudo runnel check && sudo systemctl reload runnel
#
# As it comes, it serves a page about this machine on port 8080, from ${DEMO}, and to this machine alone.
# Paths are relative to this file.
`;
  const open = `# Where browsers come in: port 8080 on every address of the machine, IPv4 and IPv6.
# Write "127.0.0.1:8080" to keep it on this machine. Another [[listen]] table adds another address.
[[listen]]
address = ":8080"
`;
  if (!demo.includes(open)) throw new Error('config/demo.toml has another [[listen]]: see what the package is to have');
  const own = `# Where browsers come in: port 8080, from this machine only.
# Write ":8080" for every address of the machine, IPv4 and IPv6. Another [[listen]] table adds another address.
[[listen]]
address = "127.0.0.1:8080"
`;
  return (
    head +
    demo
      .replace(open, own)
      .slice(demo.indexOf('\n\n') + 1)
      .replaceAll('"demo/', `"${DEMO}/`)
      .replace('"../dist/site"', `"${DOCS}"`)
  );
}

/** In Debian's machine-readable form. The texts of what is inside of the executable are in a file beside it. */
function copyright() {
  const licence = readFileSync('LICENSE', 'utf8');
  const [, holder] = /^Copyright \(c\) (.*)$/m.exec(licence);
  const mit = licence.slice(licence.indexOf('Permission is hereby')).trim().split('\n');
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: runnel
Comment:
 The executable carries Node.js, uWebSockets.js and other software under
 licences of their own: /usr/share/doc/runnel/third-party.txt.gz has their
 names, their authors and the texts. Those under the Apache License 2.0 refer
 to /usr/share/common-licenses/Apache-2.0.

Files: *
Copyright: ${holder}
License: Expat

License: Expat
${mit.map((line) => ` ${line.trim() === '' ? '.' : line.trimEnd()}`).join('\n')}
`;
}

function put(root, path, content, mode = 0o644) {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
}

/** Without a name and a time inside, so that two builds are equal. */
function putGzip(root, path, text) {
  put(root, path, gzipSync(text, { level: 9 }));
}

/** Gives everything below a folder the modes and the time that it has in the package. Answers with the files, sorted. */
function settle(root) {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  const files = [];
  for (const entry of entries) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isFile()) files.push(path);
    if (entry.isSymbolicLink()) {
      lutimesSync(path, date, date);
      continue;
    }
    chmodSync(path, entry.isDirectory() || (statSync(path).mode & 0o100) !== 0 ? 0o755 : 0o644);
    utimesSync(path, date, date);
  }
  chmodSync(root, 0o755);
  return files.sort();
}

function md5sums(root, files) {
  const conffile = join(root, 'etc/runnel/runnel.toml');
  const paths = files.filter((file) => file !== conffile).map((file) => file.slice(root.length + 1));
  return execFileSync('md5sum', paths, { cwd: root });
}
