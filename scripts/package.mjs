// Makes the single executables, dist/runnel-linux-*, with SHA256SUMS, a bill of materials and the licences of what is inside.
// `docs/binary.md` draws what comes out and says why it is made this way.
//
//   node scripts/package.mjs [target …]        without a target: all of scripts/package/targets.mjs
//
// Offline but for npm, and there only for Node's own binaries and add-ons, which are checked against pinned digests.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';
import postject from 'postject';
import { generateBlob, writeBlob32 } from './package/blob.mjs';
import { dropNeeded, replaceText } from './package/elf.mjs';
import { locked, unpack } from './package/fetch.mjs';
import { billOfMaterials, bundledPackages, licences } from './package/inside.mjs';
import { origins } from './package/origins.mjs';
import { compileStarter } from './package/starter.mjs';
import { writeSums } from './package/sums.mjs';
import { appendTail } from './package/tail.mjs';
import { TARGETS } from './package/targets.mjs';

const WORK = 'dist/package';
const MAIN = 'runnel.cjs';
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const named = process.argv.slice(2);
for (const name of named) {
  if (!Object.hasOwn(TARGETS, name)) {
    console.error(`no target ${name}; there are ${Object.keys(TARGETS).join(', ')}`);
    process.exit(2);
  }
}
const wanted = named.length > 0 ? named : Object.keys(TARGETS);
rmSync(WORK, { recursive: true, force: true });
mkdirSync(WORK, { recursive: true });
const metafile = await bundle();
for (const name of wanted) await makeTarget(name, TARGETS[name]);
writePapers();
rmSync(WORK, { recursive: true });

/** All JavaScript in one file. Names stay, and lines stay short: Node prints the line of an uncaught error into the log. */
async function bundle() {
  const result = await esbuild.build({
    entryPoints: ['src/main.ts'],
    outfile: join(WORK, MAIN),
    bundle: true,
    metafile: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    // A single executable of Node 20.11 has no import(): it becomes require(), which knows Node's own modules.
    supported: { 'dynamic-import': false },
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    legalComments: 'none',
    // Paths in the bundle stay relative to the project, also where node_modules is a link.
    preserveSymlinks: true,
    // Never reached in the executable: the add-ons come out of its tail, and ws works without its optional helpers.
    external: ['uWebSockets.js', 'bufferutil', 'utf-8-validate'],
    // A module without a file has no URL; ops/assets.ts knows this one.
    define: { 'import.meta.url': '"single:"' },
    logLevel: 'warning',
  });
  const out = join(WORK, MAIN);
  writeFileSync(out, onlyAscii(readFileSync(out, 'utf8')));
  return result.metafile;
}

/** V8 keeps the text of a program with two bytes for each character as soon as one needs them; esbuild leaves such in regular expressions. */
function onlyAscii(source) {
  return source.replace(/[^\x00-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

async function makeTarget(name, target) {
  const started = Date.now();
  const work = join(WORK, name);
  mkdirSync(work);
  const executable = unpack(target.node, 'bin/node', work);
  const blob = makeBlob(target);
  // Before anything is added: strip would drop what lies behind the ELF.
  strip(target.strip, executable, name);
  if (target.execArgv === undefined) hardenOldNode(executable, target);
  // postject complains about every note section of Node that it does not know; only its own failure matters.
  await quietly(() => postject.inject(executable, 'NODE_SEA_BLOB', blob, { sentinelFuse: FUSE }));
  appendTail(executable, version, [
    ['uws.node', target.uws],
    ['koffi.node', unpack(locked(target.koffi.package), target.koffi.file, work)],
    ...starter(name, target, work),
    ...pages(),
  ]);
  checkPaths(executable);
  chmodSync(executable, 0o755);
  const out = `dist/runnel-${name}`;
  renameSync(executable, out);
  const megabytes = (statSync(out).size / 1e6).toFixed(1);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${out}: runnel ${version} on Node ${target.node.version}, ${megabytes} MB, made in ${seconds} s`);
}

function makeBlob(target) {
  if (target.execArgv === undefined) return writeBlob32(MAIN, readFileSync(join(WORK, MAIN)));
  const host = Object.values(TARGETS).find(({ node }) => node.package === `node-linux-${process.arch}`);
  if (host?.node.version !== target.node.version)
    throw new Error(`this machine (${process.arch}) has no Node ${target.node.version} that could make the blob`);
  const generator = unpack(host.node, 'bin/node', join(WORK, 'host'));
  return generateBlob(generator, target.execArgv, WORK, MAIN, target.node.package === host.node.package);
}

/** What newer ones are told by options inside of the blob, and a library that is not needed. */
function hardenOldNode(executable, target) {
  const elf = readFileSync(executable);
  // A name with "=" cannot be set in an environment: nothing is read from there any more.
  replaceText(elf, 'NODE_OPTIONS', '=ODE_OPTIONS');
  replaceText(elf, 'OPENSSL_CONF', '=PENSSL_CONF');
  dropNeeded(elf, target.unneeded);
  writeFileSync(executable, elf);
}

/** What starts programs, as a pair of name and file. Without its compiler it is left out: the executable starts them by posix_spawn then. */
function starter(name, target, work) {
  const file = join(work, 'starter');
  const missing = compileStarter(target.cc, file, { arm: target.debian === 'armhf', strict: true });
  if (missing === undefined) return [[`process/starter/starter-${target.arch}`, file]];
  if (process.env.CI) throw new Error(missing);
  console.log(`${missing}: ${name} has no starter`);
  return [];
}

function strip(program, file, name) {
  const run = spawnSync(program, [file], { encoding: 'utf8' });
  if (run.error?.code === 'ENOENT') console.log(`${program} is not installed: ${name} keeps its symbols (18 MB)`);
  else if (run.status !== 0) throw new Error(`${program} failed: ${run.stderr}`);
}

/** The pages as pairs of name and file, in the order of their names. */
function pages() {
  return readdirSync('src/browser', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/(?<!\.d)\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
    .map((path) => [path.slice('src/'.length), path]);
}

/** SHA256SUMS, the bill of materials, the licences and the origins, for what was made now. */
function writePapers() {
  const targets = wanted.map((name) => TARGETS[name]);
  const nodes = targets.map(({ node }) => ({ node, licence: readFileSync(unpack(node, 'LICENSE', WORK), 'utf8') }));
  const addons = targets.map(({ koffi }) => `node_modules/${koffi.package}`);
  const packages = [...bundledPackages(metafile), 'node_modules/uWebSockets.js', ...addons].sort();
  writeFileSync('dist/runnel.cdx.json', billOfMaterials(version, nodes, packages));
  writeFileSync('dist/LICENSES', licences(nodes, packages));
  const made = origins(targets, WORK);
  writeFileSync('dist/ORIGINS', made);
  process.stdout.write(made);
  const files = [...wanted.map((name) => `runnel-${name}`), 'runnel.cdx.json', 'LICENSES', 'ORIGINS'];
  // Packages that were made of other executables are not listed any more.
  writeSums(files, []);
}

/** Nothing of the machine that built it may be in the file. */
function checkPaths(executable) {
  if (readFileSync(executable).includes(root)) throw new Error(`${executable} contains the path ${root}`);
}

async function quietly(action) {
  const warn = console.warn;
  const log = console.log;
  console.warn = console.log = () => {};
  try {
    await action();
  } finally {
    console.warn = warn;
    console.log = log;
  }
}
