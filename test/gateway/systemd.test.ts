/** What systemd and the gateway have to do with each other, with systemd's own tools. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { folderWith } from '../support/gateway.ts';
import { until } from '../support/until.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const main = join(root, 'dist/src/main.js');

function needs(t: TestContext, program: string): boolean {
  const found = spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
  if (!found) t.skip(`needs ${program}`);
  return found;
}

test('a socket of systemd is taken over, by name', async (t) => {
  if (!needs(t, 'systemd-socket-activate')) return;
  const folder = folderWith(t, {
    'runnel.toml': '[[listen]]\naddress = "systemd:web"\n[static."/"]\nroot = "www"\n',
    'www/index.html': 'here it is',
  });
  const socketPath = join(folder, 'socket');
  const environment = ['NODE_ENV', 'HOME'].flatMap((name) => ['-E', name]);
  const gateway = [process.execPath, main, 'serve', '-c', join(folder, 'runnel.toml')];
  const args = ['-l', socketPath, '--fdname=web', ...environment, ...gateway];
  const child = spawn('systemd-socket-activate', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  await until(() => existsSync(socketPath), 'the socket');
  // The first connection starts the gateway, and is its first.
  const text = await new Promise<string>((resolve, reject) => {
    const asking = request({ socketPath, path: '/', agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('end', () => resolve(body));
    });
    asking.on('error', (error) => reject(new Error(output, { cause: error })));
    asking.end();
  });
  assert.equal(text, 'here it is');
  assert.match(output, /"message":"listening on systemd:web".*"engine":"auto"/);

  // A reload can make it another one, which goes on with the socket; one that fails leaves it as it is.
  const asked = (): Promise<string> =>
    new Promise((resolve) => {
      request({ socketPath, path: '/', agent: false }, (response) =>
        response.resume().on('end', () => resolve('served')),
      )
        .on('error', ({ message }) => resolve(message))
        .end();
    });
  const other = '[[listen]]\naddress = "systemd:web"\nengine = "node"\n[static."/"]\nroot = "www"\n';
  for (const [text, said] of [
    [other, /the configuration is reloaded/g],
    [`${other}[[listen]]\naddress = "203.0.113.1:0"\n`, /the configuration is not reloaded/g],
    [other.replace('node', 'uws'), /the configuration is reloaded/g],
  ] as const) {
    const before = output.match(said)?.length ?? 0;
    writeFileSync(join(folder, 'runnel.toml'), text);
    child.kill('SIGHUP');
    await until(() => (output.match(said)?.length ?? 0) > before, 'the reload');
    assert.equal(await asked(), 'served');
  }
  child.kill('SIGTERM');
  assert.equal(await exited, 0, output);
});

test('without systemd such a listener says what is missing', (t) => {
  const folder = folderWith(t, {
    'runnel.toml': '[[listen]]\naddress = "systemd:web"\n[static."/"]\nroot = "."\n',
  });
  const run = spawnSync(process.execPath, [main, 'serve', '-c', join(folder, 'runnel.toml')], { encoding: 'utf8' });
  assert.equal(run.status, 71, run.stderr);
  assert.match(run.stdout, /cannot listen on systemd:web: systemd passed no socket/);
});

test('the unit is right, and closed', (t) => {
  if (!needs(t, 'systemd-analyze')) return;
  const unit = readFileSync(join(root, 'deploy/systemd/runnel.service'), 'utf8').replaceAll(
    '/usr/bin/runnel',
    '/bin/true',
  );
  const socket = readFileSync(join(root, 'deploy/systemd/runnel.socket'), 'utf8');
  const folder = folderWith(t, { 'runnel.service': unit, 'runnel.socket': socket });
  const analyze = (...args: string[]): { status: number | null; text: string } => {
    const run = spawnSync('systemd-analyze', args, { encoding: 'utf8', cwd: folder });
    return { status: run.status, text: run.stdout + run.stderr };
  };
  const verified = analyze('verify', '--man=no', 'runnel.service', 'runnel.socket');
  assert.deepEqual(verified, { status: 0, text: '' });
  const { text } = analyze('security', '--offline=true', '--no-pager', 'runnel.service');
  const exposure = Number(/Overall exposure level for runnel.service: ([0-9.]+)/.exec(text)?.[1]);
  assert.ok(exposure <= 2.5, text);
});
