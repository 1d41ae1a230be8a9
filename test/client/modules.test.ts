/** What `import 'runnel/client'` brings along: nothing of the gateway; and its types work where nothing else of the project does. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { folderWith, startGateway } from '../support/gateway.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Reports every module that it loads, then uses each transport once. */
const SCRIPT = `
import { register } from 'node:module';
import { MessageChannel } from 'node:worker_threads';
const { port1, port2 } = new MessageChannel();
const seen = new Set();
port1.on('message', (url) => seen.add(url));
port1.unref();
const hooks = 'let port; export const initialize = (data) => { port = data; }; export const resolve = async (name, context, next) => { const found = await next(name, context); port.postMessage(found.url); return found; };';
register('data:text/javascript,' + encodeURIComponent(hooks), { data: port2, transferList: [port2] });
const { connect } = await import('runnel/client');
for (const transport of ['websocket', 'events', 'poll']) {
  const connection = await connect(process.argv[1], { transports: [transport] });
  await connection.close();
}
await new Promise((resolve) => setTimeout(resolve, 50));
console.log(JSON.stringify([...seen]));
process.exit(0);
`;

const ALLOWED =
  /^(node:.*|dist\/src\/client\/.*|dist\/src\/upstream\/(connecting|event-stream|frames\/[a-z]+)\.js|dist\/src\/engine\/socket-rules\.js|dist\/src\/ownership\/(deferred|held)\.js|dist\/src\/ops\/system-errors\.js)$/;

test('it loads no code of the gateway', async (t) => {
  const gateway = await startGateway(t, {
    config: '[[listen]]\naddress = "127.0.0.1:0"\n[stream."/x"]\ncommand = ["cat"]\nshare = "all"\n',
  });
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', SCRIPT, gateway.url('/x')], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  });
  assert.equal(stderr, '');
  const loaded = (JSON.parse(stdout) as string[]).map((url) => (url.startsWith('file:') ? fileURLToPath(url) : url));
  const names = loaded.map((path) =>
    path.startsWith('/')
      ? path.includes('/node_modules/')
        ? path.slice(path.indexOf('node_modules/'))
        : relative(root, path)
      : path,
  );
  assert.ok(names.includes('dist/src/client/client.js'));
  assert.ok(names.includes('dist/src/client/transports/poll.js'));
  assert.deepEqual(
    names.filter((name) => !ALLOWED.test(name)),
    [],
  );
});

test('a TypeScript program that uses it compiles, strict, with nothing but its declarations', (t) => {
  const folder = folderWith(t, {
    'package.json': '{ "type": "module" }',
    'program.ts': `import { connect, ConnectionError, type Connection, type Ending } from 'runnel/client';
const connection: Connection = await connect('wss://board.lan/live', { tls: { pin: 'sha256//' }, reconnect: 'unless-ended' });
for await (const message of connection.readable) console.log(typeof message === 'string' ? message : message.byteLength);
const ending: Ending = await connection.closed;
const failure = (error: unknown): string => (error instanceof ConnectionError ? error.failure : 'other');
console.log(ending.code, failure(undefined), connection.facts.session);
`,
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        target: 'es2022',
        lib: ['es2023'],
        module: 'nodenext',
        strict: true,
        noEmit: true,
        types: ['node'],
        typeRoots: [`${root}node_modules/@types`],
        paths: { 'runnel/client': [`${root}dist/src/client/client.d.ts`] },
      },
      files: ['program.ts'],
    }),
  });
  const { status, stdout } = spawnSync(`${root}node_modules/.bin/tsc`, ['-p', folder], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});
