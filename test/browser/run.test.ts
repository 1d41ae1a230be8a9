/** The page of `runnel run` in a browser: what it makes of each kind of output, and what it says of the connection. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { ask } from '../support/client.ts';
import { folderWith, type Running, startRunnel } from '../support/gateway.ts';
import { until } from '../support/processes.ts';

const RUN = ['run', '-l', '127.0.0.1:0', '--'];

/** In the page: what has no name, what scrolls and cannot be reached by keyboard, and whether the page is wider than its window. */
const PROBLEMS = `(() => {
  const isShown = (element) => element.checkVisibility();
  const nameOf = (element) => (element.getAttribute('aria-label') || element.closest('label')?.textContent || element.textContent).trim();
  const nameless = [...document.querySelectorAll('button, input')].filter((element) => isShown(element) && nameOf(element) === '');
  const stuck = [...document.querySelectorAll('main *')].filter((element) =>
    isShown(element) && element.scrollHeight > element.clientHeight + 1 &&
    /auto|scroll/.test(getComputedStyle(element).overflowY) && element.tabIndex < 0);
  const wide = document.documentElement.scrollWidth > innerWidth ? ['wider than the window'] : [];
  return [...nameless, ...stuck].map((element) => element.outerHTML.slice(0, 80)).concat(wide);
})()`;

describe('the page of run', { skip: noBrowser, concurrency: 2 }, () => {
  const browser = testBrowser();
  const open = async (
    t: TestContext,
    ...command: string[]
  ): Promise<{ running: Running; page: Page; errors: string[] }> => {
    const running = await startRunnel(t, [...RUN, ...command], { folder: folderWith(t, {}) });
    const context = await (await browser()).newContext({ viewport: { width: 390, height: 844 } });
    t.after(() => context.close());
    const page = await context.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(running.url('/'));
    return { running, page, errors };
  };
  const shell = (t: TestContext, script: string) => open(t, 'sh', '-c', script);
  const has = (page: Page, selector: string, text: string | RegExp): Promise<void> =>
    page
      .locator(selector)
      .filter({ hasText: text })
      .first()
      .waitFor({ timeout: 60_000 })
      .catch(async (error: Error) => {
        throw new Error(`${error.message}\n${await page.innerText('body')}`);
      });

  test('needs nothing from elsewhere, and what a program prints is text', async (t) => {
    const { running, page, errors } = await shell(
      t,
      `echo '<img src=x onerror="document.title=1">'; printf '\\033[31mred\\033[0m \\033]0;title\\007plain\\n'; read x`,
    );
    const served = await ask(running.port, '/', { headers: { accept: 'text/html,*/*' } });
    assert.match(String(served.headers['content-security-policy']), /default-src 'none'; script-src 'sha256-/);
    assert.doesNotMatch(served.body, /(src|href)="(?!data:)/);
    t.diagnostic(`${Math.round(served.body.length / 1024)} KB`);
    await has(page, '#lines', '<img src=x onerror=');
    await has(page, '#lines span', /^red$/);
    await has(page, '#lines', 'red plain');
    assert.equal(await page.locator('#lines img').count(), 0);
    assert.deepEqual(await page.evaluate(PROBLEMS), []);
    assert.deepEqual(errors, []);
  });

  test('says how the program ended, and its last words on stderr', async (t) => {
    const { page, errors } = await shell(t, 'echo one; ls /nope; exit 3');
    await has(page, '#state', 'ended: exit 3');
    await has(page, '#last', '/nope');
    await has(page, '#lines .stderr', '/nope');
    await page.click('#again');
    await until('it ran twice', async () => (await page.locator('#lines .stderr').count()) > 2);
    assert.deepEqual(await page.evaluate(PROBLEMS), []);
    assert.deepEqual(errors, []);
  });

  test('numbers, objects and screens have views of their own', async (t) => {
    const number = await shell(t, 'for n in 1 2 3; do echo "$n.5 °C"; done; read x');
    await has(number.page, '#number .value', '3.5');
    await has(number.page, '#number .unit', '°C');
    await until('a chart', async () => (await number.page.locator('#number path.line').count()) === 1);
    assert.deepEqual(await number.page.evaluate(PROBLEMS), []);
    const objects = await shell(
      t,
      `for n in 1 2 3; do echo "{\\"load\\":{\\"one\\":$n},\\"host\\":\\"pi\\"}"; sleep 0.1; done; read x`,
    );
    await has(objects.page, '#fields tr', /load\.one\s*3/);
    await has(objects.page, '#fields figure', 'load.one');
    assert.deepEqual(await objects.page.evaluate(PROBLEMS), []);
    const screen = await shell(
      t,
      `for n in 1 2; do printf '\\033[H\\033[2JPID  USER   CPU\\n  %s  root   0.1\\n' $n; sleep 1; done; read x`,
    );
    await has(screen.page, '#screen .heading', 'PID');
    await has(screen.page, '#screen', /^PID {2}USER {3}CPU\s+2 {2}root {3}0\.1\s*$/);
    for (const { errors } of [number, objects, screen]) assert.deepEqual(errors, []);
  });

  test('a line is overwritten; a prompt is answered', async (t) => {
    const { page, errors } = await shell(
      t,
      `printf '10 %%\\r20 %%' >&2; read go; printf '\\rdone\\n' >&2; printf 'Name? '; read name; echo "Hello $name"; read x`,
    );
    await has(page, '.rest.stderr', /^20 %$/);
    await page.fill('#input', 'go');
    await page.press('#input', 'Enter');
    await has(page, '#lines .stderr', /^done$/);
    await has(page, '.rest', /^Name\? $/);
    await page.fill('#input', 'Ann');
    await page.press('#input', 'Enter');
    await has(page, '#lines .sent', 'Name? Ann');
    await has(page, '#lines', /Name\? Ann\s*Hello Ann/);
    assert.deepEqual(errors, []);
  });

  test('the filter says what it finds, and a paused page is not live', async (t) => {
    const { page, running } = await shell(t, 'while :; do echo a line; sleep 0.1; done');
    await has(page, '#state', 'live');
    await page.fill('#filter', 'zebra');
    await has(page, '#verdict', 'No line matches');
    await page.fill('#filter', '/(/');
    await has(page, '#verdict', 'Not a pattern: ');
    await page.fill('#filter', '/^a l/');
    await has(page, '#verdict', /\d+ lines of/);
    await page.click('#pause');
    await has(page, '#state', 'paused');
    await has(page, '#newest', /\d new/);
    await page.click('#pause');
    await has(page, '#state', 'live');
    await running.stop('SIGKILL');
    await has(page, '#state', 'lost, trying again');
    await has(page, '#ending', /Next attempt in|Trying now/);
  });

  test('a flood leaves the page able to act, and what is not shown is counted', async (t) => {
    const { page, errors } = await open(t, 'seq', '-f', 'line %.0f of a flood', '100000000');
    await has(page, '#dropped', /\d not shown/);
    // By the page itself: a click from outside waits for frames of a browser that shares its processors with this flood.
    await page.evaluate(`document.getElementById('pause').click()`);
    await has(page, '#state', 'paused');
    assert.ok((await page.locator('#lines > div:first-child > div').count()) <= 5002);
    assert.deepEqual(errors, []);
  });
});
