import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { folderWith, type Running, runnel, startGateway } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url));
const PAGE = { 'www/index.html': '<!doctype html><title>x</title>' };
const CONFIG = '[[listen]]\naddress = "127.0.0.1:0"\n[static."/"]\nroot = "www"\n';

/** A gateway that can be found: its socket is there a moment after it is ready. */
async function findable(t: TestContext, config = CONFIG, files: { readonly [path: string]: string } = PAGE) {
  const running = await startGateway(t, { config, files });
  await until('it is found', async () => (await runnel(['reload', '--pid', String(running.pid)], '/')).code === 0);
  return running;
}

const file = ({ folder }: Running): string => join(folder, 'runnel.toml');

test('reload: tells what has changed, and the problems of a wrong configuration', async (t) => {
  const running = await findable(t);
  writeFileSync(file(running), `${CONFIG}[static."/more/"]\nroot = "www"\n[processes]\nspawner = "child_process"\n`);
  const good = await runnel(['reload', '-c', 'runnel.toml'], running.folder);
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stdout, new RegExp(`^reloaded: process ${running.pid} \\(runnel [^ ]+, ${file(running)}\\)$`, 'm'));
  assert.match(good.stdout, /^ {2}added static\."\/more\/"\n {2}changed processes\n {2}kept 2 routes and listeners$/m);
  assert.match(good.stderr, /^warning: a restart is needed for processes\.spawner$/m);

  writeFileSync(file(running), `${CONFIG}[static."/more/"]\nrot = "www"\n`);
  const bad = await runnel(['reload', '-c', file(running)], '/');
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /runnel\.toml:6:1: static\."\/more\/"\.rot: unknown key; did you mean "root"\?/);
  assert.match(bad.stderr, /keeps the old configuration/);
  assert.equal((await fetch(running.url('/more/'))).status, 200);
});

test('reload: a port that another program has is told', async (t) => {
  const running = await findable(t);
  const other = createServer().listen(0, '127.0.0.1');
  t.after(() => other.close());
  await until('it listens', () => other.listening);
  const { port } = other.address() as { port: number };
  writeFileSync(file(running), `[[listen]]\naddress = "127.0.0.1:${port}"\n${CONFIG}`);
  const { code, stderr } = await runnel(['reload', '-c', file(running)], '/');
  assert.equal(code, 1);
  assert.match(stderr, /cannot listen on 127\.0\.0\.1:\d+: .*in use/);
});

test('without a file that is usual the only fitting one is meant, and several are listed', async (t) => {
  const [one, other] = [await findable(t), await findable(t)];
  const empty = folderWith(t, {});
  const both = await runnel(['reload'], empty);
  assert.equal(both.code, 2);
  for (const { pid, folder } of [one, other])
    assert.match(both.stderr, new RegExp(`process ${pid} \\(runnel [^ ]+, ${folder}/runnel\\.toml\\), the user \\w+`));
  const elsewhere = folderWith(t, { 'runnel.toml': CONFIG });
  const none = await runnel(['stop'], elsewhere);
  assert.equal(none.code, 69, 'never one that has another file');
  assert.match(none.stderr, /no gateway with \S+runnel\.toml (is running|answers)/);
  assert.equal((await fetch(one.url('/'))).status, 200);
});

test('stop: says what it waits for, and returns when the process is gone', async (t) => {
  const running = await findable(t, `stop_timeout = "10m"\n${CONFIG}[cgi."/slow"]\ncommand = ["./slow.cgi"]\n`, {
    ...PAGE,
    'slow.cgi':
      '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\nbegin\\n"\nwhile [ ! -e go ]; do sleep 0.1; done\necho end\n',
  });
  const slow = fetch(running.url('/slow')).then((answer) => answer.text());
  const stopping = spawn(process.execPath, [MAIN, 'stop', '-c', file(running)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => stopping.kill('SIGKILL'));
  let said = '';
  stopping.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await until('it waits', () => said.includes('waiting for'));
  assert.match(said, /^waiting for 1 request or WebSocket under way, 1 connection, 1 program; \d+ s at most$/m);
  const asked = await runnel(['status', '-c', file(running)], '/');
  assert.equal(asked.code, 1);
  assert.match(asked.stdout, /not ready[\s\S]*the gateway is stopping/);
  writeFileSync(join(running.folder, 'go'), '');
  assert.equal(await slow, 'begin\nend\n');
  await until('it is over', () => stopping.exitCode !== null);
  assert.equal(stopping.exitCode, 0);
  assert.match(said, new RegExp(`^stopped: process ${running.pid} `, 'm'));
  assert.equal(existsSync(`/proc/${running.pid}/fd`) && running.process.exitCode === null, false);
  assert.equal(await running.stop(), 0);
});

for (const [flags, before] of [
  [['--now'], []],
  [['--timeout', '50ms'], []],
  [['--now'], ['SIGTERM']],
] as const)
  test(`stop ${flags.join(' ')} cuts what is under way${before.length > 0 ? ', also after a signal' : ''}`, async (t) => {
    const running = await findable(t, `stop_timeout = "10m"\n${CONFIG}[cgi."/stuck"]\ncommand = ["sleep", "1000"]\n`);
    const stuck = new Promise((resolve) =>
      request(running.url('/stuck')).on('error', resolve).on('response', resolve).end(),
    );
    await until('the program runs', async () => (await fetch(running.url('/'))).status === 200);
    for (const signal of before) {
      running.process.kill(signal);
      await running.logged(({ message }) => message === `${signal}: stopping`);
    }
    const { code, stdout } = await runnel(['stop', '-c', file(running), ...flags], '/');
    assert.equal(code, 0, stdout);
    assert.equal(await running.stop(), 0);
    await stuck;
  });

test('a gateway that was killed is not found, and its socket is taken away by the next one', async (t) => {
  const killed = await findable(t);
  const { folder, name } = socketOf(killed.pid);
  await killed.stop('SIGKILL');
  assert.ok(existsSync(join(folder, name)), 'nobody has taken it away');
  assert.equal((await runnel(['stop', '-c', file(killed)], '/')).code, 69);
  await findable(t);
  await until('it is gone', () => !existsSync(join(folder, name)));
});

test('a gateway that is stopped by a signal says nothing, and that is told', async (t) => {
  const running = await findable(t);
  running.process.kill('SIGSTOP');
  t.after(() => running.process.kill('SIGCONT'));
  const { code, stderr } = await runnel(['reload', '--pid', String(running.pid)], '/');
  assert.equal(code, 69);
  assert.match(stderr, /has said nothing within 5 s: it hangs or is stopped/);
});

test('another user may not, and is told whose it is', { skip: process.getuid?.() !== 0 && 'needs root' }, async (t) => {
  const running = await findable(t);
  const lib = fileURLToPath(new URL('../../..', import.meta.url));
  const readable = spawnSync('setpriv', [
    '--reuid=65534',
    '--clear-groups',
    process.execPath,
    '-e',
    `fs.readdirSync(${JSON.stringify(lib)})`,
  ]);
  if (readable.status !== 0) return t.skip('nobody may not read this build');
  const { status, stderr } = spawnSync(
    'setpriv',
    ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, MAIN, 'stop', '--pid', String(running.pid)],
    { encoding: 'utf8', cwd: '/' },
  );
  assert.equal(status, 77, stderr);
  assert.match(stderr, new RegExp(`process ${running.pid} is a gateway of the user root: use sudo`));
  assert.equal((await fetch(running.url('/'))).status, 200);
});

test('a socket that somebody else has laid there is believed nothing', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async (t) => {
  const running = await findable(t);
  const folder = '/tmp/runnel-65534';
  const path = join(folder, '1.sock');
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  // It claims to be the gateway, but the socket is not of the gateway's user.
  const claim = JSON.stringify({ pid: running.pid, user: 0, version: 'x', config: file(running), started: 'now' });
  const liar = spawn(
    process.execPath,
    [
      '-e',
      `fs.chownSync; net.createServer((s) => s.write(${JSON.stringify(`${claim}\n`)})).listen(${JSON.stringify(path)}, () => { fs.chownSync(${JSON.stringify(path)}, 65534, 65534); console.log('ready'); })`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  t.after(() => liar.kill('SIGKILL'));
  await until('it listens', () => existsSync(path));
  const { code, stdout } = await runnel(['reload', '-c', file(running)], '/');
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`^reloaded: process ${running.pid} \\(runnel 0`));
});

test('the command line is checked', async (t) => {
  const folder = folderWith(t, {});
  for (const [args, says] of [
    [['stop', '--now', '--timeout', '1s'], /--timeout and --now cannot be set together/],
    [['stop', '--timeout', 'soon'], /--timeout must be a time with its unit/],
    [['reload', '--pid', 'x'], /--pid must be a process id/],
  ] as const) {
    const { code, stderr } = await runnel(args, folder);
    assert.equal(code, 2);
    assert.match(stderr, says);
  }
});

function socketOf(pid: number): { folder: string; name: string } {
  const folders = ['/run/runnel-0', `${process.env['XDG_RUNTIME_DIR']}/runnel`, `/tmp/runnel-${process.getuid?.()}`];
  for (const folder of folders) {
    if (!existsSync(folder)) continue;
    const name = readdirSync(folder).find((entry) => entry.startsWith(`${pid}`) && entry.endsWith('.sock'));
    if (name !== undefined) return { folder, name };
  }
  throw new Error(`no socket of ${pid}`);
}
