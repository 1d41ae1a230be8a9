/** `/.runnel/`: the files that ship for browsers, and the page that says what gets through. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { ask } from '../support/client.ts';
import { type Running, startGateway } from '../support/gateway.ts';
import { NGINX, nginx } from '../support/nginx.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Node's own parser, told to know nothing newer than ECMAScript 5. */
const PARSE = `
const { parse } = require('internal/deps/acorn/acorn/dist/acorn');
let script = '';
process.stdin.on('data', (chunk) => (script += chunk)).on('end', () => parse(script, { ecmaVersion: 5 }));
`;

function parseAsES5(script: string): void {
  execFileSync(process.execPath, ['--expose-internals', '-e', PARSE], {
    input: script,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

const start = (t: TestContext, engine = 'uws'): Promise<Running> =>
  startGateway(t, {
    config: `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n[stream."/cat"]\ncommand = ["cat"]\n`,
  });

describe('the files for browsers', () => {
  test('are served, compressed where asked, and asked for again by their tags', async (t) => {
    const { port } = await start(t);
    const plain = await ask(port, '/.runnel/client.js');
    assert.equal(plain.status, 200);
    assert.equal(plain.headers['content-type'], 'text/javascript; charset=utf-8');
    assert.equal(plain.headers['cache-control'], 'no-cache');
    parseAsES5(plain.body);
    const size = gzipSync(plain.body, { level: 9 }).length;
    t.diagnostic(`${size} bytes compressed`);
    assert.ok(size < 4096, `${size} bytes`);
    const packed = await fetch(`http://127.0.0.1:${port}/.runnel/client.js`, {
      headers: { 'accept-encoding': 'gzip' },
    });
    assert.equal(packed.headers.get('content-encoding'), 'gzip');
    assert.equal(await packed.text(), plain.body);
    assert.notEqual(packed.headers.get('etag'), plain.headers['etag']);
    const again = await ask(port, '/.runnel/client.js', {
      headers: { 'if-none-match': String(plain.headers['etag']) },
    });
    assert.equal(again.status, 304);
    assert.equal((await ask(port, '/.runnel/client.js', { method: 'POST', body: 'x' })).status, 405);
    assert.match((await ask(port, '/.runnel/client.d.ts')).body, /declare class Runnel/);
    assert.equal((await ask(port, '/.runnel/nothing')).status, 404);
    assert.equal((await ask(port, '/.runnel/../.runnel/run.html')).status, 404);
    assert.match((await ask(port, '/.runnel/check')).body, /What gets through/);
    assert.equal((await ask(port, '/.runnel/check/stream', { method: 'POST', body: 'echo' })).body, 'echo');
  });

  test('every browser of the last fifteen years can read them', () => {
    parseAsES5(readFileSync(join(ROOT, 'src/browser/client.js'), 'utf8'));
    const page = readFileSync(join(ROOT, 'src/browser/check.html'), 'utf8');
    parseAsES5(/<script>([\s\S]*)<\/script>/.exec(page)?.[1] ?? '(');
    assert.throws(() => parseAsES5('let newer = 1;'));
  });

  test('the types know what a page does with it', async (t) => {
    const { mkdtempSync, rmSync, writeFileSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    const folder = mkdtempSync(join(tmpdir(), 'runnel-types-'));
    t.after(() => rmSync(folder, { recursive: true }));
    writeFileSync(
      join(folder, 'page.ts'),
      `/// <reference path="${join(ROOT, 'src/browser/client.d.ts')}" />
const stream = new Runnel('/live', { transports: ['events', 'poll'], reconnect: 'unless-ended' });
stream.onmessage = (event) => event.data.toUpperCase();
stream.addEventListener('end', ({ code, reason }) => reason.slice(code));
const bytes = new Runnel<ArrayBuffer>('/bytes');
bytes.onmessage = ({ data }) => data.byteLength;
// @ts-expect-error: no such event
stream.addEventListener('nonsense', () => {});
const sent: boolean = stream.send('x');
stream.close();
export { sent };
`,
    );
    const options = {
      compilerOptions: { strict: true, noEmit: true, types: [], lib: ['es2022', 'dom'] },
      files: ['page.ts'],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(options));
    execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder]);
  });

  test('without a stream there are none', async (t) => {
    const { port } = await startGateway(t, {
      config: '[[listen]]\naddress = "127.0.0.1:0"\n[static."/"]\nroot = "www"\n',
      files: { 'www/index.html': 'page' },
    });
    assert.equal((await ask(port, '/.runnel/client.js')).status, 404);
  });
});

describe('the check page', { skip: noBrowser, concurrency: 3 }, () => {
  const browser = testBrowser();
  const SHOTS = process.env['RUNNEL_SCREENSHOTS'];

  /** What the page judges by is time: a busy machine looks like a bad line, so it is asked again. */
  const check = async (t: TestContext, port: number, shot: string, expected: readonly string[]): Promise<Page> => {
    const context = await (await browser()).newContext({ viewport: { width: 360, height: 740 } });
    t.after(() => context.close());
    const page = await context.newPage();
    const troubles: string[] = [];
    page.on('pageerror', (error) => troubles.push(error.message));
    let states: unknown;
    for (let attempt = 0; attempt < 6 && !isDeepStrictEqual(states, expected); attempt++) {
      await page.goto(`http://127.0.0.1:${port}/.runnel/check`);
      await page.waitForSelector('#verdict.good, #verdict.fair, #verdict.bad', { timeout: 60_000 });
      states = await page.evaluate('[].map.call(document.querySelectorAll("section"), (one) => one.className)');
    }
    assert.deepEqual(states, expected);
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360, 'nothing sticks out on a phone');
    assert.deepEqual(troubles, []);
    if (SHOTS !== undefined) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: join(SHOTS, `check-${shot}-${colorScheme}.png`), fullPage: true });
      }
    }
    return page;
  };

  for (const engine of ['uws', 'node'])
    test(`on a good line, ${engine}`, async (t) => {
      const { port } = await start(t, engine);
      const page = await check(t, port, 'good', ['good', 'good', 'good']);
      assert.match((await page.textContent('#verdict')) ?? '', /All is well/);
    });

  test('without WebSocket on the way', async (t) => {
    const { port } = await start(t);
    const proxy = await tcpProxy(t, { to: port, refuse: /^upgrade: websocket/im });
    const page = await check(t, proxy.port, 'fair', ['bad', 'good', 'good']);
    assert.match((await page.textContent('#verdict')) ?? '', /event streams get through/);
  });

  test('behind a proxy that buffers', { skip: existsSync(NGINX) ? false : 'needs nginx' }, async (t) => {
    const { port } = await start(t, 'node');
    const front = await nginx(t, port, 'proxy_ignore_headers X-Accel-Buffering; proxy_set_header Host $http_host;');
    const page = await check(t, front, 'poll', ['bad', 'bad', 'good']);
    assert.match((await page.textContent('#verdict')) ?? '', /by polling/);
  });
});
