/** What is loaded at start: a configuration that does not need a module does not pay for it. `docs/memory.md` has the list. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { Authority } from '../support/certificates.ts';
import { TestSocket } from '../support/client.ts';
import { folderWith, startGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';

/** Writes the names of all modules that are loaded when it is signalled. */
const WATCH = `const { Module, builtinModules } = require('node:module');
const start = new Set(process.moduleLoadList);
process.on('SIGUSR2', () => {
  const all = process.moduleLoadList.map((name) => name.replace('NativeModule ', ''));
  const added = process.moduleLoadList.filter((name) => !start.has(name)).map((name) => name.replace('NativeModule ', ''));
  const loaded = { node: all, added: added.filter((name) => builtinModules.includes(name)), files: Object.keys(Module._cache) };
  const path = process.env.LOADED_MODULES;
  require('node:fs').writeFileSync(path + '.new', JSON.stringify(loaded));
  require('node:fs').renameSync(path + '.new', path);
});`;

/** What of Node's own a plain configuration may load, beyond what Node has at its start; `docs/memory.md` says what for. */
const NODE_MODULES = new Set(
  (
    'child_process cluster crypto dgram diagnostics_channel dns dns/promises fs fs/promises module net os path perf_hooks process stream stream/promises ' +
    'string_decoder timers tty url util v8 vm'
  ).split(' '),
);

/** The native add-ons that a process has mapped, in the order of their names. */
function addons(pid: number): string {
  const maps = readFileSync(`/proc/${pid}/maps`, 'utf8');
  const found = new Set(
    Array.from(maps.matchAll(/\/([^/\n]+)\.node$/gm), ([, name = '']) => name.replace(/_linux.*/, '')),
  );
  return [...found].sort().join();
}

interface Loaded {
  readonly node: readonly string[];
  /** Of `node` those that have names of their own, without what was there before our first line. */
  readonly added: readonly string[];
  readonly files: readonly string[];
}

const ROUTES = '[static."/"]\nroot = "."\n[stream."/echo"]\ncommand = ["cat"]\n';

test('a module is loaded when it is needed, and not before', async (t) => {
  const folder = folderWith(t, { 'watch.cjs': WATCH });
  let turn = 0;
  const start = async (config: string): Promise<{ port: number; pid: number; loaded: () => Promise<Loaded> }> => {
    turn += 1;
    const path = join(folder, `loaded-${turn}`);
    const env = { NODE_OPTIONS: `--require ${join(folder, 'watch.cjs')}`, LOADED_MODULES: path };
    const gateway = await startGateway(t, { config, env });
    return {
      port: gateway.port,
      pid: gateway.pid,
      async loaded() {
        process.kill(gateway.pid, 'SIGUSR2');
        let text = '';
        await until(() => {
          try {
            text = readFileSync(path, 'utf8');
          } catch {
            return false;
          }
          return true;
        }, 'the list');
        return JSON.parse(text) as Loaded;
      },
    };
  };
  const has = ({ files }: Loaded, name: string): boolean =>
    files.some((file) => file.includes(`/node_modules/${name}/`));

  const usual = await start(`[[listen]]\naddress = "127.0.0.1:0"\n${ROUTES}`);
  assert.equal(addons(usual.pid), 'koffi,uws');
  const plain = await usual.loaded();
  assert.ok(has(plain, 'uWebSockets.js') && has(plain, 'toml'));
  for (const name of ['ws', 'koffi']) assert.ok(!has(plain, name), name);
  for (const name of ['http', 'https', 'tls', 'http2', 'zlib', 'worker_threads', 'inspector'])
    assert.ok(!plain.node.includes(name), name);
  assert.ok(plain.added.includes('net'));
  assert.deepEqual(
    plain.added.filter((name) => !NODE_MODULES.has(name)),
    [],
  );

  const { certificate, pem } = new Authority().server(['board.test', '127.0.0.1']);
  const both = join(folder, 'both.pem');
  writeFileSync(both, certificate + pem);
  const secure = await start(
    `[[listen]]\naddress = "127.0.0.1:0"\ntls = { certificate = "${both}", key = "${both}" }\n${ROUTES}`,
  );
  const client = connect({ port: secure.port, host: '127.0.0.1', rejectUnauthorized: false, servername: 'board.test' });
  client.write('GET / HTTP/1.1\r\nHost: board.test\r\n\r\n');
  await once(client, 'data');
  client.destroy();
  const overTls = await secure.loaded();
  for (const name of ['tls', 'https', 'http']) assert.ok(!overTls.node.includes(name), name);

  const node = await start(`[[listen]]\naddress = "127.0.0.1:0"\nengine = "node"\n${ROUTES}`);
  assert.equal(addons(node.pid), 'koffi');
  const before = await node.loaded();
  assert.ok(before.node.includes('http') && !has(before, 'ws') && !has(before, 'uWebSockets.js'));

  const other = await start(`[[listen]]\naddress = "127.0.0.1:0"\nengine = "node"\n${ROUTES}`);
  const socket = await TestSocket.open(`ws://127.0.0.1:${other.port}/echo`);
  assert.ok(has(await other.loaded(), 'ws'));
  socket.ws.terminate();

  const admin = await start(`[[listen]]\naddress = "127.0.0.1:0"\n[admin]\nlisten = "127.0.0.1:0"\n${ROUTES}`);
  const packages = ({ files }: Loaded) => files.filter((file) => file.includes('/node_modules/')).sort();
  assert.deepEqual(packages(await admin.loaded()), packages(plain), '/metrics needs no package');
});
