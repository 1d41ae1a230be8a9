/** The status page in a browser: what it shows, what can be done, by keyboard too, and what axe-core finds. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { ask, TestSocket } from '../support/client.ts';
import { type Running, startGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';

const CONFIG = `
[[listen]]
address = "127.0.0.1:0"
[static."/"]
root = "www"
[cgi."/cgi/"]
root = "cgi"
[stream."/numbers"]
command = ["sh", "-c", "echo '<img src=x onerror=document.title=1>\\u202e\\u001b[2J'; exec cat"]
share = "all"
history = 5
[stream."/cat"]
command = ["cat"]
[admin]
listen = "127.0.0.1:0"
`;
const FILES = { 'www/index.html': 'hello', 'cgi/fails': '#!/bin/sh\necho "why it failed" >&2\nexit 1\n' };
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

interface Finding {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

describe('the status page', { skip: noBrowser }, () => {
  const browser = testBrowser();
  const open = async (
    t: TestContext,
    more: string,
    options: { readonly width?: number; readonly dark?: boolean } = {},
  ): Promise<{ running: Running; page: Page; admin: number; errors: string[]; elsewhere: string[] }> => {
    const running = await startGateway(t, { config: CONFIG + more, files: FILES });
    const admin = running.ports.at(-1) ?? 0;
    const { width = 390, dark = false } = options;
    const context = await (await browser()).newContext({
      viewport: { width, height: 844 },
      colorScheme: dark ? 'dark' : 'light',
      reducedMotion: 'reduce',
    });
    t.after(() => context.close());
    // Injected, because the page's own policy lets no other script work in it.
    await context.addInitScript({ content: readFileSync(AXE, 'utf8') });
    const page = await context.newPage();
    const [errors, elsewhere]: [string[], string[]] = [[], []];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (protocol !== 'data:' && origin !== `http://127.0.0.1:${admin}`) elsewhere.push(request.url());
    });
    await page.goto(`http://127.0.0.1:${admin}/`);
    await shows(page, '#live', 'live');
    return { running, page, admin, errors, elsewhere };
  };
  const shows = (page: Page, selector: string, text: string | RegExp): Promise<void> =>
    page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout: 60_000 });
  const serious = async (page: Page): Promise<readonly string[]> => {
    const found = await page.evaluate(async () => {
      const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: readonly Finding[] }> } };
      return (await axe.run()).violations;
    });
    return found
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
  };

  for (const [width, dark] of [
    [390, false],
    [1280, true],
  ] as const)
    test(`is full at once, and axe-core finds nothing serious: ${width} px, ${dark ? 'dark' : 'light'}`, async (t) => {
      const { running, page, admin, errors, elsewhere } = await open(t, 'actions = true\n', { width, dark });
      const viewer = await TestSocket.open(`ws://127.0.0.1:${running.port}/numbers`);
      await viewer.first(1);
      await ask(running.port, '/');
      await ask(running.port, '/cgi/fails');
      await shows(page, '#stream-list li', '<img src=x');
      await shows(page, '#stream-list li', '1 (1 websocket)');
      await shows(page, '#route-table tr', '/cgi/');
      await shows(page, '#listener-list li', String(running.port));
      await shows(page, '#program-table tr', '/numbers');
      await shows(page, '#failure-list li', 'why it failed');
      await shows(page, '#error-list li', 'id=');
      assert.equal(await page.locator('#main img').count(), 0);
      const link = page.locator('#stream-list a', { hasText: 'Open' }).first();
      assert.equal(await link.getAttribute('href'), running.url('/numbers'));
      assert.deepEqual(await serious(page), []);
      const wide = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
      assert.equal(wide, false, 'wider than the window');
      assert.deepEqual([errors, elsewhere], [[], []]);
      const served = await ask(admin, '/');
      assert.ok(Buffer.byteLength(served.body) < 60 * 1024, `${served.body.length} bytes`);
      t.diagnostic(`${Math.round(served.body.length / 1024)} KiB`);
      assert.match(String(served.headers['content-security-policy']), /default-src 'none'; script-src 'sha256-/);
    });

  test('asks before it does something, by keyboard too, and tells what came of it', async (t) => {
    const { running, page, errors } = await open(t, 'actions = true\n');
    await page.focus('#reload');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('#told').textContent(), '');
    await page.focus('#reload');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await shows(page, '#told', 'the configuration is reloaded');
    await page.getByRole('button', { name: /^Take down/ }).click();
    await page.getByRole('button', { name: 'Yes' }).click();
    await shows(page, '#ready', 'not ready');
    await shows(page, '#not-ready', 'down for maintenance');
    assert.equal((await ask(running.port, '/')).status, 200);
    assert.deepEqual(errors, []);
  });

  test('tries a stream by each of its transports', async (t) => {
    const { page, errors } = await open(t, 'actions = true\n', { width: 1280 });
    for (const transport of ['websocket', 'numbered', 'events', 'long-poll']) {
      const stream = transport === 'long-poll' ? '/numbers' : '/cat';
      await page.fill('#c-path', stream);
      await page.selectOption('#c-transport', transport);
      await page.click('#c-open');
      // An event stream tells its session first, without which nothing can be sent. What is sent to a WebSocket waits until it is open.
      if (transport === 'events') await shows(page, '#c-output .note', 'joined');
      else if (transport === 'long-poll') {
        await shows(page, '#c-output .note', /^200 /);
        // What nobody sees, and what turns the direction of writing.
        await shows(page, '#c-output .came', 'document.title=1>\\u202e');
      }
      await page.fill('#c-text', `hello by ${transport}`);
      await page.keyboard.press('Enter');
      await shows(page, '#c-output .came', `hello by ${transport}`);
      await page.click('#c-open');
      await until('it is closed', async () => (await page.textContent('#c-open')) === 'Open');
    }
    assert.deepEqual(errors, []);
  });

  test('shows no button where nothing may be done', async (t) => {
    const { page } = await open(t, '');
    await shows(page, '#no-console', 'actions = true');
    assert.equal(await page.locator('main button:visible').count(), 0);
  });
});
