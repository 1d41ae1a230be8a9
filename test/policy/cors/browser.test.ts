/** CORS as a browser enforces it: pages of three origins, and of none, against one gateway on both engines. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { startCrossOrigin } from '../../support/cross-origin.ts';

const CHROMIUM = '/usr/bin/chromium';

interface Ask {
  readonly path: string;
  readonly method?: string;
  readonly headers?: { readonly [name: string]: string };
  readonly credentials?: 'include' | 'omit';
  /** A WebSocket instead. */
  readonly socket?: true;
}

/** From which page, what, and what its script is to see: text and shown header fields, or "refused". */
const ROWS: readonly [name: string, from: 'page' | 'stranger' | 'nobody' | 'board', ask: Ask, seen: RegExp][] = [
  ['simple', 'page', { path: '/api/echo.cgi' }, /^200 GET/],
  ['refused', 'stranger', { path: '/api/echo.cgi' }, /^refused/],
  [
    'not configured: the two origins that the program names are one too many',
    'page',
    { path: '/closed/echo.cgi' },
    /^refused/,
  ],
  ['preflighted', 'page', { path: '/api/echo.cgi', method: 'PUT', headers: { 'X-Thing': 'thing' } }, /^200 PUT.*thing/],
  ['preflighted, a method that is not listed', 'page', { path: '/api/echo.cgi', method: 'DELETE' }, /^refused/],
  [
    'preflighted, a field that is not listed',
    'page',
    { path: '/api/echo.cgi', headers: { 'X-Other': '1' } },
    /^refused/,
  ],
  ['preflighted, another origin', 'stranger', { path: '/api/echo.cgi', method: 'PUT' }, /^refused/],
  ['credentialed', 'page', { path: '/api/echo.cgi', credentials: 'include' }, /^200 GET.*crumb=1/],
  ['without credentials', 'page', { path: '/api/echo.cgi', credentials: 'omit' }, /^200 GET(?!.*crumb)/],
  ['credentialed, another origin', 'stranger', { path: '/api/echo.cgi', credentials: 'include' }, /^refused/],
  ['exposed', 'page', { path: '/api/echo.cgi' }, /x-shown=shown x-hidden=null/],
  ['redirected', 'page', { path: '/api/echo.cgi?to=/api/echo.cgi' }, /^200 GET/],
  ['redirected to where it may not', 'page', { path: '/api/echo.cgi?to=/closed/echo.cgi' }, /^refused/],
  ['an error can be read', 'page', { path: '/api/none.cgi' }, /^404 404 Not Found/],
  ['null, where it is named', 'nobody', { path: '/sandbox/echo.cgi' }, /^200 GET/],
  ['null, where it is not', 'nobody', { path: '/api/echo.cgi' }, /^refused/],
  ['everybody', 'stranger', { path: '/everybody/a.txt' }, /^200 abcdefgh/],
  ['everybody, but not with credentials', 'stranger', { path: '/everybody/a.txt', credentials: 'include' }, /^refused/],
  ['a WebSocket of the page', 'page', { path: '/live-for-page', socket: true }, /^open/],
  ['a WebSocket of another page', 'stranger', { path: '/live-for-page', socket: true }, /^refused/],
  ['a WebSocket without a name', 'nobody', { path: '/live-for-page', socket: true }, /^refused/],
  ['a WebSocket of the same origin', 'board', { path: '/live', socket: true }, /^open/],
  [
    'a WebSocket of the listed page to a stream that is not for it',
    'page',
    { path: '/live', socket: true },
    /^refused/,
  ],
];

test('CORS in a browser', { skip: existsSync(CHROMIUM) ? false : 'needs chromium' }, async (t) => {
  const port = await servePages(t);
  const gateway = await startCrossOrigin(t, `http://app.board.test:${port}`);
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--host-resolver-rules=MAP *.test 127.0.0.1'],
  });
  t.after(() => browser.close());
  for (const [engine, at] of [
    ['uws', gateway.ports[0] ?? 0],
    ['node', gateway.ports[1] ?? 0],
  ] as const) {
    const target = `http://board.test:${at}`;
    const scripts = await openPages(browser, port, target);
    for (const [name, from, ask, seen] of ROWS) {
      await t.test(`${engine}: ${name}`, async () => assert.match(await scripts[from](target, ask), seen));
    }
  }
});

// Chromium 156 sends no private-network preflight any more, whatever the flags: its user is asked instead, and a page without that
// permission does not reach the gateway at all. What is held here: with the permission the rules of `cors` decide, and nothing more.
test('a page from the Internet, the gateway on a private network', {
  skip: existsSync(CHROMIUM) ? false : 'needs chromium',
}, async (t) => {
  const port = await servePages(t);
  const gateway = await startCrossOrigin(t, `http://localhost:${port}`);
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--host-resolver-rules=MAP *.test 127.0.0.1',
      `--ip-address-space-overrides=127.0.0.1:${port}=public,${gateway.ports.map((at) => `127.0.0.1:${at}=private`).join()}`,
    ],
  });
  t.after(() => browser.close());
  const put = { path: '/api/echo.cgi', method: 'PUT', headers: { 'X-Thing': 'thing' } };
  for (const [name, permissions, ask, seen] of [
    ['permitted, simple', ['local-network-access'], { path: '/api/echo.cgi' }, /^200 GET/],
    ['permitted, preflighted', ['local-network-access'], put, /^200 PUT.*thing/],
    ['permitted, but not by cors', ['local-network-access'], { path: '/closed/echo.cgi' }, /^refused/],
    ['not permitted', [], { path: '/api/echo.cgi' }, /^refused/],
  ] as const) {
    const context = await browser.newContext({ permissions: [...permissions] });
    const page = await context.newPage();
    await page.goto(`http://localhost:${port}/`);
    for (const [engine, at] of [
      ['uws', gateway.ports[0] ?? 0],
      ['node', gateway.ports[1] ?? 0],
    ] as const)
      await t.test(`${engine}: ${name}`, async () =>
        assert.match(await scriptIn(page)(`http://board.test:${at}`, ask), seen),
      );
    await context.close();
  }
});

/** A page on this port, on every host of this machine. */
async function servePages(t: TestContext): Promise<number> {
  const pages = createServer((_request, response) => response.setHeader('content-type', 'text/html').end('<p>a page'));
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    pages.close();
    pages.closeAllConnections();
  });
  return (pages.address() as AddressInfo).port;
}

type Script = (target: string, ask: Ask) => Promise<string>;

/** A page of each origin, with a cookie for the gateway; what comes back runs in it. */
async function openPages(browser: Browser, port: number, target: string) {
  const context = await browser.newContext();
  await context.addCookies([{ name: 'crumb', value: '1', url: target }]);
  const open = async (url: string): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(url);
    return page;
  };
  const [page, stranger, board] = [
    await open(`http://app.board.test:${port}/`),
    await open(`http://stranger.test:${port}/`),
    await open(`${target}/everybody/a.txt`),
  ];
  const outer = await open(`http://app.board.test:${port}/`);
  await outer.evaluate(`document.body.innerHTML = '<iframe sandbox="allow-scripts" srcdoc="<p>nobody"></iframe>'`);
  const frame = await (await outer.waitForSelector('iframe')).contentFrame();
  assert(frame !== null);
  return { page: scriptIn(page), stranger: scriptIn(stranger), board: scriptIn(board), nobody: scriptIn(frame) };
}

function scriptIn(where: { evaluate(code: string): Promise<unknown> }): Script {
  return async (base, ask) =>
    String(await where.evaluate(`(${IN_PAGE})(${JSON.stringify(base)}, ${JSON.stringify(ask)})`));
}

/** Text, because it is compiled nowhere: it runs in the page. */
const IN_PAGE = `async (base, ask) => {
  if (ask.socket) return await new Promise((resolve) => {
    const socket = new WebSocket(base.replace('http', 'ws') + ask.path);
    socket.onopen = () => { socket.close(); resolve('open'); };
    socket.onerror = () => resolve('refused');
  });
  try {
    const { path, ...init } = ask;
    const reply = await fetch(base + path, { cache: 'no-store', ...init });
    const text = (await reply.text()).replace(/\\n/g, ' ');
    return reply.status + ' ' + text + ' x-shown=' + reply.headers.get('x-shown') + ' x-hidden=' + reply.headers.get('x-hidden');
  } catch (error) {
    return 'refused ' + error;
  }
}`;
