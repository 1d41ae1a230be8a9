/** Applications as they are, behind a proxy route as docs/proxy.md configures it: socket.io 4 and 2 in Node and in Chromium, old web servers, curl. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type BothEngines, startBoth } from '../../support/both-engines.ts';
import { noBrowser, testBrowser } from '../../support/browser.ts';
import { ask } from '../../support/client.ts';
import { folderWith } from '../../support/gateway.ts';
import { freePort } from '../../support/ports.ts';
import { until } from '../../support/processes.ts';
import { soon } from '../../support/proxy.ts';
import { recipe, startApplication } from '../../support/recipe.ts';

const CURL = '/usr/bin/curl';
const BUSYBOX = '/usr/bin/busybox';
const LIGHTTPD = '/usr/sbin/lighttpd';
const require = createRequire(import.meta.url);

// ---- socket.io ----

/** @param script the client: of version 4 as its server serves it through the route. (The server of version 2 finds that of 4 first, where both are installed.) */
const PAGE = (script: string): string => `<!doctype html><meta charset="utf-8"><title>socket.io</title>
<script src="${script}"></script>
<script>
  const transports = new URLSearchParams(location.search).get('transports').split(',');
  const got = [];
  const socket = io({ transports });
  socket.on('echo', (value) => got.push(typeof value === 'string' ? value : 'binary ' + new Uint8Array(value).join()));
  const transport = () => socket.io.engine && socket.io.engine.transport.name;
</script>
`;

/** Prints its port; sends each "echo" back. */
const SERVER = (module: string): string => `
const io = require(${JSON.stringify(module)});
const http = require('node:http').createServer((_, response) => response.writeHead(404).end());
const server = io.Server ? new io.Server(http) : io(http);
server.on('connection', (socket) => socket.on('echo', (value) => socket.emit('echo', value)));
http.listen(0, '127.0.0.1', () => console.log(http.address().port));
`;

interface IoClient {
  readonly connected: boolean;
  readonly io: { readonly engine: { readonly transport: { readonly name: string } } };
  on(event: string, listener: (value: unknown) => void): void;
  emit(event: string, value: unknown): void;
  close(): void;
}
type Connect = (
  url: string,
  options: { readonly transports: readonly string[]; readonly forceNew?: boolean },
) => IoClient;

const VERSIONS = [
  { name: 'socket.io 4', server: 'socket.io', client: 'socket.io-client', script: '/socket.io/socket.io.js' },
  { name: 'socket.io 2', server: 'socket.io-2', client: 'socket.io-client-2', script: '/client.js' },
] as const;

const TRANSPORTS = [
  { transports: ['polling', 'websocket'], settles: 'websocket' },
  { transports: ['polling'], settles: 'polling' },
  { transports: ['websocket'], settles: 'websocket' },
] as const;

describe('socket.io', () => {
  const chromium = testBrowser();

  async function behind(t: TestContext, { server, client, script }: (typeof VERSIONS)[number]): Promise<BothEngines> {
    const folder = folderWith(t, { 'server.cjs': SERVER(require.resolve(server)) });
    const application = startApplication(t, process.execPath, ['server.cjs'], folder);
    await until('the application listens', () => application.lines.length > 0);
    return await startBoth(t, {
      config: `${await recipe(t, 'socket.io', Number(application.lines[0]))}\n[static."/"]\nroot = "site"\n`,
      files: {
        'site/index.html': PAGE(script),
        ...(script === '/client.js'
          ? { 'site/client.js': readFileSync(join(dirname(require.resolve(client)), '../dist/socket.io.js')) }
          : {}),
      },
    });
  }

  for (const version of VERSIONS) {
    const { name, client } = version;
    test(`${name}: its client in Node`, async (t) => {
      const gateway = await behind(t, version);
      const connect = require(client) as Connect & { readonly io?: Connect };
      for (const [engine, port] of gateway.engines)
        for (const { transports, settles } of TRANSPORTS) {
          const what = `${engine} ${transports}`;
          const got: unknown[] = [];
          const socket = (connect.io ?? connect)(`http://127.0.0.1:${port}`, { transports, forceNew: true });
          socket.on('echo', (value) => got.push(value));
          await until(`${what}: connected`, () => socket.connected);
          for (let at = 0; at < 50; at++) socket.emit('echo', `${at}`);
          await until(`${what}: transport`, () => socket.io.engine.transport.name === settles);
          socket.emit('echo', Buffer.from([0, 1, 0xff]));
          socket.emit('echo', 'x'.repeat(200_000));
          await until(`${what}: all of it`, () => got.length === 52);
          assert.deepEqual(
            got.slice(0, 50),
            Array.from({ length: 50 }, (_, at) => `${at}`),
            what,
          );
          assert.ok(Buffer.from([0, 1, 0xff]).equals(got[50] as Buffer), what);
          assert.equal(String(got[51]).length, 200_000);
          socket.close();
        }
    });

    test(`${name}: its client in Chromium`, { skip: noBrowser }, async (t) => {
      const gateway = await behind(t, version);
      for (const [engine, port] of gateway.engines)
        for (const { transports, settles } of TRANSPORTS) {
          const what = `${engine} ${transports}`;
          const page = await (await chromium()).newPage();
          await page.goto(`http://127.0.0.1:${port}/?transports=${transports}`);
          await page.waitForFunction('socket.connected', undefined, { timeout: 60_000 });
          await page.evaluate(`for (let at = 0; at < 20; at++) socket.emit('echo', String(at))`);
          await page.waitForFunction(`transport() === '${settles}'`, undefined, { timeout: 60_000 });
          await page.evaluate(`socket.emit('echo', new Uint8Array([0, 1, 255]).buffer)`);
          await page.waitForFunction('got.length === 21', undefined, { timeout: 60_000 });
          const got = (await page.evaluate('got')) as string[];
          assert.deepEqual(got, [...Array.from({ length: 20 }, (_, at) => `${at}`), 'binary 0,1,255'], what);
          await page.close();
        }
    });
  }
});

// ---- files ----

const FILES = {
  'site/index.html': '<h1>old</h1>',
  'site/data.bin': Buffer.alloc(300_000, 'abc'),
  'site/sub/a.txt': 'a',
};

async function filesThrough(gateway: BothEngines, prefix: string): Promise<void> {
  for (const [engine, port] of gateway.engines) {
    assert.equal((await ask(port, `${prefix}/index.html`)).body, '<h1>old</h1>', engine);
    assert.equal((await ask(port, `${prefix}/data.bin`)).body.length, 300_000, engine);
    assert.equal((await ask(port, `${prefix}/missing`)).status, 404, engine);
    const head = await ask(port, `${prefix}/index.html`, { method: 'HEAD' });
    assert.deepEqual([head.status, head.body], [200, ''], engine);
    // A folder without its slash: the server redirects to a path of its own.
    const folder = await ask(port, `${prefix}/sub`);
    assert.ok([301, 302].includes(folder.status), engine);
    assert.equal(String(folder.headers.location).replace(/^http:\/\/127\.0\.0\.1:\d+/, ''), `${prefix}/sub/`, engine);
  }
}

test('busybox httpd, which keeps its port', { skip: !existsSync(BUSYBOX) && 'needs busybox' }, async (t) => {
  const folder = folderWith(t, FILES);
  const port = await freePort();
  startApplication(t, BUSYBOX, ['httpd', '-f', '-p', `127.0.0.1:${port}`, '-h', 'site'], folder);
  await soon(
    () => ask(port, '/index.html'),
    () => '',
  );
  await filesThrough(
    await startBoth(t, { config: await recipe(t, 'An old web server that keeps its port', port) }),
    '',
  );
});

test('lighttpd, which keeps its port', { skip: !existsSync(LIGHTTPD) && 'needs lighttpd' }, async (t) => {
  const port = await freePort();
  const folder = folderWith(t, FILES);
  writeFileSync(
    join(folder, 'lighttpd.conf'),
    `server.document-root = "${folder}/site"
server.bind = "127.0.0.1"
server.port = ${port}
server.errorlog = "${folder}/error.log"
index-file.names = ("index.html")
mimetype.assign = (".html" => "text/html")
`,
  );
  startApplication(t, LIGHTTPD, ['-D', '-f', 'lighttpd.conf'], folder);
  await soon(
    () => ask(port, '/index.html'),
    () => '',
  );
  const gateway = await startBoth(t, { config: await recipe(t, 'An old web server that keeps its port', port) });
  await filesThrough(gateway, '');
  for (const [engine, own] of gateway.engines) {
    const part = await ask(own, '/data.bin', { headers: { range: 'bytes=299990-' } });
    assert.deepEqual([part.status, part.body], [206, FILES['site/data.bin'].toString('latin1', 299_990)], engine);
    const etag = String((await ask(own, '/index.html')).headers['etag']);
    assert.equal((await ask(own, '/index.html', { headers: { 'if-none-match': etag } })).status, 304, engine);
    assert.equal((await ask(own, '/index.html', { method: 'DELETE' })).status, 501, engine);
  }
});

test("curl's uploads", { skip: !existsSync(CURL) && 'needs curl' }, async (t) => {
  const folder = folderWith(t, {
    'server.cjs': `
const http = require('node:http').createServer((request, response) => {
  let bytes = 0;
  request.on('data', (chunk) => { bytes += chunk.length; }).on('end', () => response.end(request.method + ' ' + bytes));
});
http.listen(0, '127.0.0.1', () => console.log(http.address().port));
`,
    large: Buffer.alloc(5_000_000),
  });
  const application = startApplication(t, process.execPath, ['server.cjs'], folder);
  await until('the application listens', () => application.lines.length > 0);
  const gateway = await startBoth(t, {
    config: `[proxy."/"]\nupstream = "http://127.0.0.1:${application.lines[0]}"\n`,
  });
  const curl = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(CURL, ['-sS', '--noproxy', '*', '-m', '60', ...args], { cwd: folder })).stdout;
  for (const [engine, port] of gateway.engines) {
    const url = `http://127.0.0.1:${port}/x`;
    assert.equal(await curl('-T', 'large', url), 'PUT 5000000', engine);
    assert.equal(await curl('-T', 'large', '-H', 'Transfer-Encoding: chunked', url), 'PUT 5000000', engine);
    assert.equal(await curl('--data-binary', '@large', '-H', 'Expect: 100-continue', url), 'POST 5000000', engine);
    assert.match(await curl('-F', 'file=@large', url), /^POST 5000\d{3}$/, engine);
    // HTTP/1.0 is what a door gives to the other engine.
    if (engine === 'node') assert.equal(await curl('--http1.0', '-d', 'a=b', url), 'POST 3');
  }
});
