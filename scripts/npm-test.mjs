// The npm package as its users get it: packed, installed into an empty folder, and used there.
//
//   node scripts/npm-test.mjs          needs the npm registry, or an npm cache that has the dependencies
//
// Where neither is there it says so and ends with 77: only the tarball was looked at then.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { unpack } from './package/fetch.mjs';
import { TARGETS } from './package/targets.mjs';

/** Milliseconds, on a machine that does much else. */
const PATIENCE = 60_000;
/** What a user needs, and nothing else. */
const ALLOWED = /^(package\.json|README\.md|LICENSE|dist\/src\/.*)$/;
const STARTERS = ['arm', 'arm64', 'x64'].map((arch) => `dist/src/process/starter/starter-${arch}`);

const work = mkdtempSync(join(tmpdir(), 'runnel-npm-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
const project = join(work, 'project');
mkdirSync(project);

const tarball = pack();
install(tarball);
const nodes = [['the Node that is installed', dirname(process.execPath)]];
if (process.platform === 'linux' && process.arch === 'x64') {
  const { node } = TARGETS['linux-x64'];
  nodes.push([
    `Node ${node.version}`,
    dirname(resolve(unpack(node, 'bin/node', join('dist', 'shipped-node', node.version)))),
  ]);
}
const client = compileClient();
for (const [name, folder] of nodes) {
  const log = await runGateway(folder, client);
  if (/"level":"warn"/.test(log)) fail(`with ${name} it is not as it should be:\n${log}`);
  console.log(`npx runnel run works with ${name}, and runnel/client reads from it`);
}
// What a processor or a Node for which there are no add-ons has: they are missing.
renameSync(join(project, 'node_modules/uWebSockets.js'), join(work, 'uWebSockets.js'));
renameSync(join(project, 'node_modules/@koromix'), join(work, '@koromix'));
const log = await runGateway(nodes[0][1], client);
if (!/uWebSockets\.js cannot be loaded/.test(log)) fail(`without add-ons it does not say what it does:\n${log}`);
console.log('without the native add-ons it works, and says what is missing');

function pack() {
  const { stdout } = npm(process.cwd(), 'pack', '--json', '--silent', '--pack-destination', work);
  const answer = JSON.parse(stdout.slice(stdout.search(/^[[{]/m)));
  const [{ filename, files, size, unpackedSize }] = Array.isArray(answer) ? answer : Object.values(answer);
  const paths = files.map(({ path }) => path);
  const strange = paths.filter((path) => !ALLOWED.test(path) || /\.test\.|\.map$|\.tsbuildinfo$/.test(path));
  if (strange.length > 0) fail(`the tarball has what no user needs: ${strange.join(', ')}`);
  const missing = ['dist/src/main.js', 'dist/src/client/client.d.ts', ...(process.env.CI ? STARTERS : [])];
  for (const path of missing) if (!paths.includes(path)) fail(`the tarball has no ${path}`);
  console.log(
    `${filename}: ${Math.round(size / 1000)} KB, ${paths.length} files of ${(unpackedSize / 1e6).toFixed(1)} MB`,
  );
  return join(work, filename);
}

function install(file) {
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }\n');
  const { status, stdout, stderr } = npm(project, 'install', '--prefer-offline', '--no-audit', '--no-fund', file);
  if (status === 0) return;
  if (/ENOTCACHED|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|network/.test(stderr)) {
    console.log('SKIPPED, only the tarball was looked at: the npm registry does not answer');
    process.exit(77);
  }
  fail(`npm install: ${stdout}${stderr}`);
}

/** A user's TypeScript that reads from a stream, checked in both ways in which its imports may be resolved. @returns the compiled file */
function compileClient() {
  const source = `import { type Connection, ConnectionError, connect } from 'runnel/client';

try {
  const connection: Connection = await connect(process.argv[2] ?? '');
  for await (const message of connection.readable) {
    const text: string = typeof message === 'string' ? message : String(message.length);
    console.log(text);
    await connection.close();
  }
} catch (error) {
  console.log(error instanceof ConnectionError ? error.message : error);
}
`;
  writeFileSync(join(project, 'reader.ts'), source);
  mkdirSync(join(project, 'node_modules/@types'), { recursive: true });
  symlinkSync(resolve('node_modules/@types/node'), join(project, 'node_modules/@types/node'));
  const tsc = resolve('node_modules/typescript/bin/tsc');
  for (const [module, resolution] of [
    ['esnext', 'bundler'],
    ['node16', 'node16'],
  ]) {
    const how = ['--module', module, '--moduleResolution', resolution, '--target', 'es2022', '--types', 'node'];
    const run = spawnSync(process.execPath, [tsc, '--strict', ...how, 'reader.ts'], { cwd: project, encoding: 'utf8' });
    if (run.status !== 0) fail(`types of runnel/client, moduleResolution ${resolution}: ${run.stdout}${run.stderr}`);
  }
  console.log('the types of runnel/client satisfy tsc --strict, with moduleResolution bundler and node16');
  return join(project, 'reader.js');
}

/** `npx runnel run` with the Node of that folder, and one reader. Answers with the gateway's log. */
async function runGateway(folder, reader) {
  const env = { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` };
  const words = [
    '--no-install',
    'runnel',
    'run',
    '-l',
    '127.0.0.1:0',
    '--',
    'sh',
    '-c',
    'echo from a program; sleep 600',
  ];
  const gateway = spawn('npx', words, { cwd: project, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let log = '';
  for (const output of [gateway.stdout, gateway.stderr]) output.on('data', (data) => (log += data));
  const ended = new Promise((done) => gateway.on('close', done));
  let deadline;
  try {
    const port = await new Promise((found, late) => {
      const look = () => {
        const match = /"port":(\d+)/.exec(log);
        if (match !== null) found(match[1]);
      };
      gateway.stdout.on('data', look);
      gateway.stderr.on('data', look);
      gateway.on('close', () => late(new Error(`it has ended: ${log}`)));
      deadline = setTimeout(() => late(new Error(`it does not listen: ${log}`)), PATIENCE);
    });
    const read = execFileSync('node', [reader, `ws://127.0.0.1:${port}/`], { cwd: project, env, timeout: PATIENCE });
    if (read.toString() !== 'from a program\n') fail(`a reader got "${read}"`);
  } catch (error) {
    fail(error.message);
  } finally {
    clearTimeout(deadline);
    process.kill(-gateway.pid, 'SIGTERM');
    await ended;
  }
  return log;
}

function npm(cwd, ...words) {
  return spawnSync('npm', words, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 });
}

function fail(reason) {
  throw new Error(reason);
}
