/** What a browser makes of it: sound that is sought in, a page that is kept, errors and folders that are seen. Needs Chromium. */
import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { noBrowser, testBrowser } from '../../support/browser.ts';
import { until } from '../../support/processes.ts';
import { serve } from '../../support/static-site.ts';

const SECOND = 48_000 * 2 * 2;
const DURATION = 400;

/** The head of a WAV file of silence: 16 bit, stereo, 48 kHz. The silence itself is a hole in the file. */
function wavHead(bytes: number): Buffer {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + bytes, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(2, 22);
  head.writeUInt32LE(48_000, 24);
  head.writeUInt32LE(SECOND, 28);
  head.writeUInt16LE(4, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(bytes, 40);
  return head;
}

describe('in a browser', { skip: noBrowser }, () => {
  const browser = testBrowser();

  for (const element of ['audio', 'video'])
    test(`<${element}> seeks by Range`, async (t) => {
      const gateway = await serve(t, '', {
        'index.html': `<${element} src="sound.wav" preload="metadata"></${element}>`,
      });
      const file = join(gateway.root, 'sound.wav');
      writeFileSync(file, wavHead(SECOND * DURATION));
      truncateSync(file, 44 + SECOND * DURATION);
      const page = await (await browser()).newPage();
      const answers: { readonly status: number; readonly asked: string; readonly got: string }[] = [];
      page.on('response', (response) => {
        if (!response.url().endsWith('.wav')) return;
        const got = response.headers()['content-range'] ?? '';
        answers.push({ status: response.status(), asked: response.request().headers()['range'] ?? '', got });
      });
      await page.goto(gateway.url('/'));
      // What runs in the page is text, because only a browser has these words.
      const media = `document.querySelector('${element}')`;
      await page.waitForFunction(`${media}.readyState >= HTMLMediaElement.HAVE_METADATA`);
      const seek = (seconds: number): Promise<unknown> =>
        page.evaluate(`new Promise((resolve) => {
          const media = ${media};
          media.addEventListener('seeked', () => resolve(media.currentTime), { once: true });
          media.currentTime = ${seconds};
        })`);
      assert.equal(Math.round(Number(await page.evaluate(`${media}.duration`))), DURATION);
      for (const to of [350, 100]) {
        assert.equal(await seek(to), to);
        const around = (answer: (typeof answers)[number]): boolean => {
          const start = Number(/^bytes=(\d+)-/.exec(answer.asked)?.[1] ?? Number.NaN);
          return start > (to - 20) * SECOND && start <= 44 + to * SECOND;
        };
        await until(`a range before second ${to}`, () => answers.some(around));
      }
      t.diagnostic(JSON.stringify(answers));
      for (const { status, asked, got } of answers) {
        assert.equal(status, 206);
        assert.match(got, new RegExp(`^${asked.replace('=', ' ')}`));
      }
      await page.close();
    });

  test('a page is kept and asked for again by its tag', async (t) => {
    const gateway = await serve(t, 'cache_control = "no-cache"', { 'index.html': '<p>page</p>' });
    const page = await (await browser()).newPage();
    await page.goto(gateway.url('/'));
    // Chromium shows a 304 to the page as the 200 that it kept; the gateway's log has what was sent.
    await page.goto(gateway.url('/'));
    assert.equal(await page.textContent('p'), 'page');
    await gateway.logged((line) => line.message === 'GET /' && line['status'] === 304);
    await page.close();
  });

  test('an error and a folder are pages that run nothing and lead on', async (t) => {
    const evil = `<img src=x onerror="document.title='owned'">`;
    const gateway = await serve(t, 'listing = true', {
      [`sub/${evil.replaceAll('/', '')}`]: 'evil',
      'sub/a b#.txt': 'odd',
    });
    const page = await (await browser()).newPage();
    const troubles: string[] = [];
    page.on('console', (message) => {
      // The status itself is shown as an error, and so is that there is no icon.
      if (!/status of 404/.test(message.text())) troubles.push(message.text());
    });
    const missing = await page.goto(gateway.url('/missing'));
    assert.equal(missing?.status(), 404);
    assert.equal(await page.textContent('h1'), '404 Not Found');
    const paper = (): Promise<unknown> => page.evaluate('getComputedStyle(document.body).backgroundColor');
    await page.emulateMedia({ colorScheme: 'light' });
    const light = await paper();
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.notEqual(await paper(), light);
    await page.setViewportSize({ width: 320, height: 568 });
    await page.goto(gateway.url('/sub/'));
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 320, 'nothing sticks out on a phone');
    assert.equal(await page.title(), '/sub/');
    await page.click('text=a b#.txt');
    assert.equal(await page.textContent('body'), 'odd');
    await page.goBack();
    await page.click('text=..');
    assert.equal(new URL(page.url()).pathname, '/');
    assert.deepEqual(troubles, []);
    await page.close();
  });
});
