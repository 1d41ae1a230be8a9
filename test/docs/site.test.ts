/** The documentation as a site: what `npm run docs:site` makes, as files and served by the demo's configuration. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { folderWith, startRunnel } from '../support/gateway.ts';
import { until } from '../support/processes.ts';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const MAX_BYTES = 4 * 1024 * 1024;

const build = (out: string): string =>
  execFileSync(process.execPath, ['scripts/site/build.mjs', out], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

const unescaped = (text: string): string =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&');

describe('the site of the documentation', () => {
  let site = '';
  let files: string[] = [];
  before(() => {
    site = mkdtempSync(join(tmpdir(), 'runnel-site-'));
    build(site);
    files = filesBelow(site);
  });
  after(() => rmSync(site, { recursive: true }));
  const read = (file: string): string => readFileSync(join(site, file), 'utf8');
  const pages = (): string[] => files.filter((file) => file.endsWith('.html'));

  test('has every page of the documentation, and is bounded', () => {
    const sources = ['docs', 'deploy'].flatMap((folder) => filesBelow(folder).filter((file) => file.endsWith('.md')));
    assert.ok(pages().length > sources.length, `${pages().length} pages of ${sources.length} sources`);
    const bytes = files.reduce((sum, file) => sum + statSync(join(site, file)).size, 0);
    assert.ok(bytes < MAX_BYTES, `${bytes} bytes`);
  });

  test('the changes are a page, which the index and the navigation name', () => {
    assert.match(read('project/changelog.html'), /<h2 id="010---2026-11-20">/);
    assert.equal([...read('contents.html').matchAll(/href="project\/changelog\.html"/g)].length >= 2, true);
  });

  test('every relative link and every anchor leads somewhere', () => {
    const anchors = new Map(
      pages().map((file) => [
        file,
        new Set([...read(file).matchAll(/ id="([^"]*)"/g)].map(([, id]) => unescaped(id ?? ''))),
      ]),
    );
    const broken: string[] = [];
    for (const file of pages()) {
      const links = [...read(file).matchAll(/ (?:href|src|srcset|data-index)="([^"]*)"/g)].map(([, link = '']) =>
        unescaped(link),
      );
      for (const link of links.filter((each) => !/^([a-z]+:|\/)/.test(each))) {
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? file : join(dirname(file), decodeURI(path));
        if (!existsSync(join(site, target)) || statSync(join(site, target)).isDirectory())
          broken.push(`${file}: ${link}`);
        else if (anchor !== undefined && anchors.get(target)?.has(decodeURIComponent(anchor)) !== true)
          broken.push(`${file}: ${link}`);
      }
    }
    assert.deepEqual(broken, []);
  });

  test('nothing of it is loaded from elsewhere, no page has a script or a style of its own, no comment is left', () => {
    for (const file of pages()) {
      const text = read(file);
      assert.doesNotMatch(text, /<(script|link|img|iframe)[^>]* (src|href)="(https?:)?\/\//, file);
      assert.doesNotMatch(text, /<script(?![^>]* src=)|<style| style="| on\w+="|<!--/, file);
    }
    assert.doesNotMatch(read('site.css'), /url\(|@import|@font-face/);
  });

  test('two builds are equal', (t) => {
    const again = folderWith(t, {});
    build(again);
    assert.deepEqual(filesBelow(again), files);
    for (const file of files) assert.ok(readFileSync(join(again, file)).equals(readFileSync(join(site, file))), file);
  });

  describe('in a browser', { skip: noBrowser }, () => {
    const browser = testBrowser();
    const SEARCH = '#search';

    /** A page that tells what went wrong in it. */
    async function open(address: string, width: number, colorScheme: 'light' | 'dark' = 'light') {
      const context = await (await browser()).newContext({ viewport: { width, height: 800 }, colorScheme });
      const page = await context.newPage();
      const wrong: string[] = [];
      page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()));
      page.on('pageerror', (error) => wrong.push(error.message));
      await page.goto(address);
      return { page, wrong, close: () => context.close() };
    }

    async function find(page: Page, words: string): Promise<string> {
      await page.keyboard.press('/');
      await page.keyboard.type(words);
      await page.locator('.results a').first().waitFor();
      await page.keyboard.press('ArrowDown');
      await Promise.all([page.waitForURL((url) => url.hash !== ''), page.keyboard.press('Enter')]);
      return page.url();
    }

    test('as files: the search finds by keyboard, and nothing is wider than a phone', async () => {
      const address = (file: string): string => pathToFileURL(join(site, file)).href;
      const { page, wrong, close } = await open(address('index.html'), 390);
      assert.match(await find(page, 'client certificates'), /\/tls\.html#client-certificates$/);
      for (const file of ['configuration.html', 'bench.html', 'deploy/index.html', 'config/demo.toml.html']) {
        await page.goto(address(file));
        assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 390, file);
      }
      await page.click('.menu');
      await page.locator('#pages a').nth(2).waitFor();
      await page.keyboard.press('Escape');
      assert.deepEqual(wrong, []);
      await close();
    });

    test('no finding of axe-core, light and dark, with and without results', async () => {
      for (const colorScheme of ['light', 'dark'] as const) {
        const { page, close } = await open(pathToFileURL(join(site, 'streams.html')).href, 1280, colorScheme);
        await page.addScriptTag({ path: AXE });
        const findings = (): Promise<unknown> =>
          page.evaluate('axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes[0].html]))');
        assert.deepEqual(await findings(), []);
        await page.fill(SEARCH, 'reload');
        await page.locator('.results a').first().waitFor();
        assert.deepEqual(await findings(), []);
        await close();
      }
    });

    test('served by the demo, with its Content-Security-Policy', async (t) => {
      const demo = readFileSync('config/demo.toml', 'utf8');
      const [route = ''] = /^\[static\."\/docs\/"\]\n(?:.+\n)+/m.exec(demo) ?? [];
      const folder = folderWith(t, {
        'runnel.toml': `[[listen]]\naddress = "127.0.0.1:0"\n${route.replace('../dist/site', site)}`,
      });
      const running = await startRunnel(t, ['serve', '-c', join(folder, 'runnel.toml')], { folder });
      const { page, wrong, close } = await open(running.url('/docs/'), 1280);
      assert.match(await find(page, 'client certificates'), /\/docs\/tls\.html#client-certificates$/);
      const code = page.locator('pre').first();
      await code.hover();
      await code.locator('.copy').click();
      await until('it is copied or selected', async () => /Copied|Selected/.test((await code.textContent()) ?? ''));
      assert.deepEqual(wrong, []);
      await close();
    });
  });
});
