/** What is loaded at start: a configuration that does not need a module does not pay for it. `docs/memory.md` has the list. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TestSocket } from '../support/client.ts';
import { folderWith, startGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';

/** Writes the names of all modules that are loaded when it is signalled. */
const WATCH = `const { Module } = require('node:module');
process.on('SIGUSR2', () => {
  const loaded = { node: process.moduleLoadList.map((name) => name.replace('NativeModule ', '')), files: Object.keys(Module._cache) };
  const path = process.env.LOADED_MODULES;
  require('node:fs').writeFileSync(path + '.new', JSON.stringify(loaded));
  require('node:fs').renameSync(path + '.new', path);
});`;

interface Loaded {
  readonly node: readonly string[];
  readonly files: readonly string[];
}

const ROUTES = '[static."/"]\nroot = "."\n[stream."/echo"]\ncommand = ["cat"]\n';

test('a module is loaded when it is needed, and not before', async (t) => {
  const folder = folderWith(t, { 'watch.cjs': WATCH });
  let turn = 0;
  const start = async (config: string): Promise<{ port: number; loaded: () => Promise<Loaded> }> => {
    turn += 1;
    const path = join(folder, `loaded-${turn}`);
    const env = { NODE_OPTIONS: `--require ${join(folder, 'watch.cjs')}`, LOADED_MODULES: path };
    const gateway = await startGateway(t, { config, env });
    return {
      port: gateway.port,
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

  const plain = await (await start(`[[listen]]\naddress = "127.0.0.1:0"\n${ROUTES}`)).loaded();
  assert.ok(has(plain, 'uWebSockets.js') && has(plain, 'toml'));
  for (const name of ['ws', 'prom-client', 'koffi']) assert.ok(!has(plain, name), name);
  for (const name of ['http', 'https', 'tls', 'http2', 'zlib', 'dns', 'worker_threads', 'inspector'])
    assert.ok(!plain.node.includes(name), name);

  const node = await start(`[[listen]]\naddress = "127.0.0.1:0"\nengine = "node"\n${ROUTES}`);
  const before = await node.loaded();
  assert.ok(before.node.includes('http') && !has(before, 'ws') && !has(before, 'uWebSockets.js'));

  const other = await start(`[[listen]]\naddress = "127.0.0.1:0"\nengine = "node"\n${ROUTES}`);
  const socket = await TestSocket.open(`ws://127.0.0.1:${other.port}/echo`);
  assert.ok(has(await other.loaded(), 'ws'));
  socket.ws.terminate();

  const admin = await start(`[[listen]]\naddress = "127.0.0.1:0"\n[admin]\nlisten = "127.0.0.1:0"\n${ROUTES}`);
  assert.ok(has(await admin.loaded(), 'prom-client'));
});
